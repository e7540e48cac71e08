"""Interpolation written down without torch, to compare with."""

import numpy as np
from scipy import ndimage


def sampled(image, affine_map, interpolation="bilinear"):
    """Return y(r) = x(M r + b), r from the centre, zero outside.

    Linear interpolation is SciPy's; cubic convolution is Keys' formula with
    a = −0.75, a sum over all pixels.
    """
    matrix, shift = affine_map[:, :-1], affine_map[:, -1]
    centre = (np.array(image.shape) - 1) / 2
    offset = centre + shift - matrix @ centre
    if interpolation != "bicubic":
        return ndimage.affine_transform(
            image, matrix, offset, order=1, mode="grid-constant", cval=0
        )
    axes = np.meshgrid(*map(np.arange, image.shape), indexing="ij")
    positions = matrix @ np.stack([axis.ravel() for axis in axes]) + offset[:, None]
    weights = [
        keys(position[:, None] - np.arange(size))
        for position, size in zip(positions, image.shape, strict=True)
    ]
    if image.ndim == 1:
        return weights[0] @ image
    values = np.einsum("pi,pj,ij->p", *weights, image, optimize=True)
    return values.reshape(image.shape)


def keys(t, a=-0.75):
    """Return the kernel of cubic convolution (Keys, 1981, with a free a)."""
    t = np.abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))
