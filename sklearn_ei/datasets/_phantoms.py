"""Made images with known truth."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..utils.params import check_shape

# Linear attenuation at about 70 keV, in 1/cm.
_AIR, _LUNG, _FAT, _MUSCLE, _BLOOD, _BONE = 0.0, 0.055, 0.18, 0.20, 0.21, 0.38


def make_thorax_phantoms(
    n_samples: int = 100,
    image_shape: tuple[int, int] = (128, 128),
    *,
    random_state: Any = None,
) -> np.ndarray:
    """Draw slices through made-up chests: body, lungs, heart, spine, ribs, vessels.

    Every slice has its own anatomy, pose and texture, and a nodule in one lung
    of about half of them.

    Parameters
    ----------
    n_samples : int, default=100
        Number of slices.
    image_shape : tuple (H, W), default=(128, 128)
        Shape of each slice, in pixels.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same slices at every call.

    Returns
    -------
    images : ndarray of shape (n_samples, H, W), float32
        Linear attenuation in 1/cm: 0 in air, about 0.055 in lung, 0.2 in soft
        tissue, 0.38 in bone.

    Examples
    --------
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> images = make_thorax_phantoms(2, (64, 64), random_state=0)
    >>> images.shape
    (2, 64, 64)
    """
    shape = check_shape("image_shape", image_shape, n_dims=2)
    (count,) = check_shape("n_samples", (n_samples,))
    rng = check_random_state(random_state)
    return np.stack([_draw_thorax(shape, rng) for _ in range(count)])


class _Canvas:
    """Soft-edged ellipses in body coordinates, where the image is [−1, 1]²."""

    def __init__(self, shape, rng):
        height, width = shape
        self.rng = rng
        self.edge = 1.6 / min(shape)  # half a pixel or so: a partial-volume edge
        v, u = np.meshgrid(
            np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
        )
        tilt = rng.normal(0, 0.06)
        u, v = u - rng.normal(0, 0.03), v - rng.normal(0, 0.03)
        self.u = u * np.cos(tilt) - v * np.sin(tilt)
        self.v = u * np.sin(tilt) + v * np.cos(tilt)
        self.image = np.full(shape, _AIR)

    def jitter(self, value, relative=0.08):
        return value * (1 + self.rng.uniform(-relative, relative))

    def ellipse(self, centre, radii, angle=0.0, wobble=0.0):
        """Return the share of each pixel that a (wobbly) ellipse covers."""
        u, v = self.u - centre[0], self.v - centre[1]
        cos, sin = np.cos(angle), np.sin(angle)
        a, b = (u * cos + v * sin) / radii[0], (v * cos - u * sin) / radii[1]
        radius = np.hypot(a, b)
        if wobble:
            phi = np.arctan2(b, a)
            phases = self.rng.uniform(0, 2 * np.pi, 3)
            radius = radius * (
                1
                + wobble * sum(np.cos(k * phi + p) for k, p in enumerate(phases, 2)) / 3
            )
        return np.clip(0.5 + (1 - radius) * min(radii) / (2 * self.edge), 0, 1)

    def paint(self, cover, value):
        self.image += cover * (value - self.image)


def _draw_thorax(shape, rng):
    canvas = _Canvas(shape, rng)
    half_width, half_depth = canvas.jitter(0.84), canvas.jitter(0.62)
    fat = rng.uniform(0.03, 0.09)
    body = canvas.ellipse((0, 0), (half_width, half_depth), wobble=0.05)
    inside = canvas.ellipse((0, 0), (half_width - fat, half_depth - fat), wobble=0.04)
    canvas.paint(body, _FAT)
    canvas.paint(inside, canvas.jitter(_MUSCLE, 0.04))
    _draw_ribs(canvas, half_width - fat, half_depth - fat)
    lungs = [_draw_lung(canvas, side, half_width, half_depth) for side in (-1, 1)]
    _draw_mediastinum(canvas, half_depth)
    if rng.random() < 0.5:
        _draw_nodule(canvas, lungs[rng.randint(2)])
    return canvas.image.astype(np.float32)


def _draw_ribs(canvas, half_width, half_depth):
    rng = canvas.rng
    places = np.linspace(0, 2 * np.pi, rng.randint(9, 14), endpoint=False)
    for angle in places + rng.normal(0, 0.08, len(places)):
        centre = (
            0.93 * half_width * np.cos(angle),
            0.93 * half_depth * np.sin(angle),
        )
        tangent = np.arctan2(half_depth * np.cos(angle), -half_width * np.sin(angle))
        radii = (rng.uniform(0.05, 0.11), rng.uniform(0.016, 0.026))
        canvas.paint(canvas.ellipse(centre, radii, tangent), canvas.jitter(_BONE, 0.1))


def _draw_lung(canvas, side, half_width, half_depth):
    rng = canvas.rng
    centre = (side * canvas.jitter(0.45) * half_width, canvas.jitter(0.04, 1))
    radii = (canvas.jitter(0.36) * half_width, canvas.jitter(0.70) * half_depth)
    lung = canvas.ellipse(centre, radii, side * rng.uniform(-0.05, 0.2), wobble=0.12)
    canvas.paint(lung, canvas.jitter(_LUNG, 0.25))
    for _ in range(rng.randint(12, 25)):
        # Vessels thin out from the hilum towards the chest wall.
        distance, angle = np.sqrt(rng.uniform(0.02, 0.8)), rng.uniform(0, 2 * np.pi)
        place = (
            centre[0] + distance * radii[0] * np.cos(angle),
            centre[1] + distance * radii[1] * np.sin(angle),
        )
        thick = rng.uniform(0.008, 0.022) * (1.3 - distance)
        long = thick * rng.uniform(1, 6)
        vessel = canvas.ellipse(place, (long, thick), rng.uniform(0, np.pi))
        canvas.paint(vessel * lung, canvas.jitter(_BLOOD, 0.1))
    return centre, radii


def _draw_mediastinum(canvas, half_depth):
    rng = canvas.rng
    heart = canvas.ellipse(
        (canvas.jitter(0.10, 0.5), -canvas.jitter(0.10, 0.5)),
        (canvas.jitter(0.24), canvas.jitter(0.19)),
        rng.uniform(-0.6, 0.1),
        wobble=0.08,
    )
    canvas.paint(heart, canvas.jitter(_BLOOD, 0.05))
    spine = (rng.normal(0, 0.01), 0.66 * half_depth)
    canvas.paint(canvas.ellipse(spine, (0.17, 0.13), wobble=0.1), _MUSCLE)
    canvas.paint(
        canvas.ellipse(spine, (canvas.jitter(0.11), canvas.jitter(0.085)), wobble=0.06),
        canvas.jitter(_BONE, 0.08),
    )
    canal = (spine[0], spine[1] + 0.10)
    canvas.paint(canvas.ellipse(canal, (0.035, 0.03)), _MUSCLE)
    aorta = (-canvas.jitter(0.10, 0.3), spine[1] - canvas.jitter(0.16))
    canvas.paint(canvas.ellipse(aorta, (0.055, 0.055)), canvas.jitter(_BLOOD, 0.1))
    sternum = (rng.normal(0, 0.02), -0.86 * half_depth)
    canvas.paint(canvas.ellipse(sternum, (0.09, 0.025)), canvas.jitter(_BONE, 0.1))


def _draw_nodule(canvas, lung):
    rng = canvas.rng
    (u, v), radii = lung
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.7)
    place = (
        u + distance * radii[0] * np.cos(angle),
        v + distance * radii[1] * np.sin(angle),
    )
    size = rng.uniform(0.02, 0.05)
    nodule = canvas.ellipse(place, (size, canvas.jitter(size, 0.3)), wobble=0.15)
    canvas.paint(nodule, canvas.jitter(_MUSCLE, 0.1))
