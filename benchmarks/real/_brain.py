"""One slice of a brain, eight coils, of which nobody gave the sensitivities."""

import numpy as np
from sklearn.base import clone

from sklearn_ei.datasets import read_numpy
from sklearn_ei.operators import MRI, estimate_sensitivities

from ._scan import Scan

HELD_OUT = 0.25  # of the points outside the calibration region
# Of SENSE, which A†y of all points is.
N_ITERATIONS = 10


def brain(path, **_):
    """Points of a Poisson-disc scan, a quarter of which no method is given.

    The scan holds 12 % of k-space: all points of a square in the middle, from which
    coil sensitivities are estimated, and every eighth or so outside. Of the latter,
    some are held out.
    """
    kspace = read_numpy(path).data
    measured = np.abs(kspace).sum(axis=0) > 0
    outside = np.flatnonzero(measured & ~calibration(measured))
    held_out = np.zeros(measured.shape, dtype=bool)
    drawn = np.random.default_rng(0).choice(
        outside, round(HELD_OUT * len(outside)), replace=False
    )
    held_out.flat[drawn] = True
    given = measured & ~held_out
    maps = estimate_sensitivities(kspace[np.newaxis] * given)[0]
    some, rest, everything = (
        MRI(mask=mask, image_shape=measured.shape, sensitivities=maps)
        for mask in (given, held_out, measured)
    )
    Y = channels(kspace)[np.newaxis]
    reference = clone(everything).set_params(n_refinements=N_ITERATIONS)
    return Scan(
        "brain",
        "brain, eight coils",
        some,
        Y * given[..., np.newaxis],
        Y * given[..., np.newaxis],
        reference.reconstruct(Y),
        rest,
        Y * held_out[..., np.newaxis],
        setup={
            "operator": "MRI",
            "image_shape": list(measured.shape),
            "n_coils": len(kspace),
            "points": f"{given.sum()} of {measured.sum()}",
            "of k-space": f"{given.mean():.1%}",
        },
    )


def calibration(measured):
    """Return the largest square in the middle of k-space that is measured whole."""
    height, width = measured.shape
    middle, half = (height // 2, width // 2), 0
    while half < min(middle) and measured[_square(middle, half + 1)].all():
        half += 1
    region = np.zeros_like(measured)
    region[_square(middle, half)] = True
    return region


def _square(middle, half):
    return tuple(slice(i - half, i + half) for i in middle)


def channels(kspace):
    """Return (H, W, 2·n_coils) real of (n_coils, H, W) complex."""
    pairs = np.stack([kspace.real, kspace.imag], axis=1)
    return np.moveaxis(pairs.reshape(-1, *kspace.shape[1:]), 0, -1).astype(np.float32)
