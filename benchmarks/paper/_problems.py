"""The instruments of the paper, and one whose data our projector has not made."""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sklearn_ei.groups import Group, Rotations, Shifts
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import ForwardOperator, Inpainting, ParallelBeamCT

from ._data import read_images

N_VIEWS = 50


@dataclass
class Problem:
    """Measurements, the images behind them, and what is known of the instrument."""

    name: str
    operator: ForwardOperator
    group: Group
    images: np.ndarray
    Y: np.ndarray
    n_train: int
    sigma: float = 0.0  # of the noise in Y
    _digest: str | None = None

    @property
    def train(self):
        return slice(0, self.n_train)

    @property
    def test(self):
        return slice(self.n_train, None)

    @property
    def in_colour(self):
        return self.images.ndim == 4

    def digest(self):
        """Return what tells these data from others."""
        if self._digest is not None:
            return self._digest
        sha = hashlib.sha256()
        for array in (self.images, self.Y):
            sha.update(f"{array.shape}{array.dtype}".encode())
            sha.update(np.ascontiguousarray(array).view(np.uint8).data)
        self._digest = sha.hexdigest()[:16]
        return self._digest


@lru_cache(maxsize=2)
def load_problem(name, settings):
    """Return a problem with its data."""
    images = read_images(name, settings)
    n_train = settings.n_train
    if name == "inpainting":
        operator = Inpainting(0.3)
        Y = operator.measure(images)
        return Problem(name, operator, Shifts(), images, Y, n_train)
    # The detector reaches the corners: 183 bins for 128 × 128.
    shape = images.shape[1:] if name == "ct" else halved(images[:1]).shape[1:]
    operator = ParallelBeamCT(n_views=N_VIEWS, image_shape=shape)
    if name == "ct":
        Y = operator.measure(images)
        return Problem(name, operator, Rotations(360), images, Y, n_train)
    truth, clean = _fine_measurements(images, operator, settings)
    sigma = settings.noise * float(clean.max())
    Y = clean
    if sigma > 0:
        Y = GaussianNoise(sigma).add(clean, random_state=settings.seed)
    return Problem(name, operator, Rotations(360), truth, Y, n_train, sigma)


def _fine_measurements(images, operator, settings):
    """Return images at half the resolution, and sinograms of the fine ones.

    They are kept in a file: making them takes a second an image.
    """
    sha = hashlib.sha256(np.ascontiguousarray(images).view(np.uint8).data)
    path = settings.out / "data" / f"ct-fine-{sha.hexdigest()[:16]}.npz"
    if path.exists():
        with np.load(path) as file:
            return file["images"], file["Y"]
    truth = halved(images)
    n_bins = operator.resolve(image_shape=truth.shape[1:]).measurement_shape[1]
    Y = np.stack([foreign_sinogram(image, N_VIEWS, n_bins) for image in images])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{os.getpid()}.npz")
    np.savez_compressed(partial, images=truth, Y=Y)
    partial.replace(path)
    return truth, Y


def halved(images):
    """Return the mean of every 2 × 2 pixels."""
    n, height, width = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2)
    return blocks.mean(axis=(2, 4), dtype=np.float64).astype(np.float32)


def foreign_sinogram(image, n_views, n_bins):
    """Return line integrals of a fine image, by scikit-image, on coarse bins.

    ``skimage.transform.radon`` turns the image (interpolating pixels, where our
    projector interpolates along rays) and sums columns, half as wide as the bins
    that they are then averaged over. It turns about the pixel in the middle, which
    for an even number of pixels is half a pixel off the middle of the image: the
    edges of the bins are moved along, view by view. The unit of length is the side
    of a coarse pixel.

    Parameters
    ----------
    image : ndarray of shape (N, N)
        With N even; coarse pixels are twice as wide.
    n_views, n_bins : int
        Of the sinogram.

    Returns
    -------
    sinogram : ndarray of shape (n_views, n_bins), float32
    """
    from skimage.transform import radon

    degrees = np.arange(n_views) * (180 / n_views)
    fine = radon(image.astype(np.float64), degrees, circle=False)  # (bins, views)
    middle = len(fine) // 2
    edges = np.arange(len(fine) + 1) - (middle + 0.5)  # of fine bins, from that pixel
    wanted = 2 * (np.arange(n_bins + 1) - n_bins / 2)
    angles = np.deg2rad(degrees)
    # The middle of the image, seen from the pixel N/2: up and left by one half. Bins
    # count towards (cos θ, −sin θ) in (column, row).
    shifts = -0.5 * np.cos(angles) + 0.5 * np.sin(angles)
    integrals = np.vstack([np.zeros(n_views), np.cumsum(fine, axis=0)])
    sinogram = [
        np.diff(np.interp(wanted + shift, edges, column)) / 2
        for shift, column in zip(shifts, integrals.T, strict=True)
    ]
    # Sums over fine pixels are twice the integral in coarse ones.
    return np.asarray(sinogram, dtype=np.float32) / 2
