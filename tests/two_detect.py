"""A tree of files as 2DeteCT is published, made of discs whose attenuation is known.

Geometry as ASTRA's ``fanflat``, which the published scripts use, written down here by
itself: source at R (sin β, −cos β), bins along (cos β, sin β), rows from the top.
"""

import numpy as np

SOURCE, DETECTOR = 431.019989, 529.000488 - 431.019989
BIN, N_BINS, N_VIEWS, SIDE = 0.0748, 1912, 3601, 1024
VOXEL = N_BINS * BIN * SOURCE / (SOURCE + DETECTOR) / SIDE
DISC = (14.0, 21.0, 9.0, 0.05)  # x, y, radius in mm and attenuation in 1/mm


def line_integrals(disc, shift):
    """Return attenuation · chord of every ray, of bins that are shifted by so many."""
    x, y, radius, attenuation = disc
    angles = np.linspace(0, 2 * np.pi, N_VIEWS)[:, np.newaxis]
    u = (np.arange(N_BINS) - shift - (N_BINS - 1) / 2) * BIN
    sine, cosine = np.sin(angles), np.cos(angles)
    source = SOURCE * sine, -SOURCE * cosine
    along = (
        u * cosine - DETECTOR * sine - source[0],
        u * sine + DETECTOR * cosine - source[1],
    )
    cross = along[0] * (y - source[1]) - along[1] * (x - source[0])
    distance = cross / np.hypot(*along)
    return 2 * attenuation * np.sqrt(np.maximum(radius**2 - distance**2, 0))


def reconstruction(disc):
    """Return what the published script would save: per voxel, rows 511 to 1534."""
    x, y, radius, attenuation = disc
    middles = (np.arange(2 * SIDE) - SIDE + 0.5) * VOXEL
    inside = np.hypot(middles - x, -middles[:, np.newaxis] - y) < radius
    return (attenuation * VOXEL * inside[511:1535, 511:1535]).astype(np.float32)


def write(folder, number, *, disc=DISC, beam=30000, seed=0):
    """Write mode 1 of a slice, counts with photon noise, and its reconstruction."""
    import tifffile

    rng = np.random.default_rng(seed)
    shift = 2 if number <= 2830 else 0
    transmission = np.exp(-line_integrals(disc, shift))
    gain = rng.uniform(0.9, 1.1, (1, N_BINS))
    measured, clean = (folder / f"slice{number:05d}" / f"mode{m}" for m in (1, 2))
    for place in (measured, clean):
        place.mkdir(parents=True)
    frames = {
        "sinogram": 100 + rng.poisson(beam * gain * transmission),
        "dark": np.full((1, N_BINS), 100),
        "flat1": 100 + 0.98 * beam * gain,
        "flat2": 100 + 1.02 * beam * gain,
    }
    for name, frame in frames.items():
        tifffile.imwrite(measured / f"{name}.tif", frame.astype(np.uint16))
    tifffile.imwrite(clean / "reconstruction.tif", reconstruction(disc))
