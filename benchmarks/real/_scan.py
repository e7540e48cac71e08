"""One problem: what methods are given, and what they are compared with."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone

from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.operators import estimate_detector_offset

N_REFINEMENTS = 3  # of A†y of all views, the reference


@dataclass
class Scan:
    """Measurements of an instrument, a part of which methods are given.

    Attributes
    ----------
    name, title : str
    operator : ForwardOperator
        Of the part that methods are given.
    train, test : ndarray of shape (n_samples, *measurement_shape[, n_channels])
        What methods are fitted to, and what they reconstruct.
    reference : ndarray of shape (n_test, *image_shape[, n_channels])
        A†y of everything that was measured, with three refinements.
    held_out_operator : ForwardOperator
        Of what no method was given.
    held_out : ndarray of shape (n_test, ...)
        What it measured of the test samples.
    voxel : tuple
        Slice, row and column of the volume, for proportions alone.
    setup : dict
        How it was set up, as JSON.
    truth : ndarray of shape (n_train, *image_shape), default=None
        What supervised methods are trained with.
    """

    name: str
    title: str
    operator: Any
    train: np.ndarray
    test: np.ndarray
    reference: np.ndarray
    held_out_operator: Any
    held_out: np.ndarray
    voxel: tuple = (1.0, 1.0, 1.0)
    setup: dict = field(default_factory=dict)
    truth: np.ndarray | None = None

    def digest(self):
        """Return a short digest of all data, by which runs know that it is the same."""
        digest = hashlib.sha256(repr(sorted(self.setup.items())).encode())
        parts = [self.train, self.test, self.reference, self.held_out]
        for array in parts if self.truth is None else [*parts, self.truth]:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    def quality(self, images):
        """Return PSNR and SSIM against the reference, and the held-out error."""
        shown, truth = magnitude(images, self), magnitude(self.reference, self)
        return {
            "psnr": float(psnr(truth, shown)),
            "ssim": float(ssim(truth, shown)),
            "held_out_error": self.held_out_error(images),
        }

    def held_out_error(self, images):
        """Return ‖A_out x − y_out‖/‖y_out‖ over all test samples."""
        found = self.held_out_operator.measure(images)
        error = np.linalg.norm((found - self.held_out).astype(np.complex128))
        return float(error / np.linalg.norm(self.held_out))


def magnitude(images, scan):
    """Return images as they are shown: the magnitude of complex ones."""
    images = np.asarray(images)
    if np.iscomplexobj(images):
        return np.abs(images).astype(np.float32)
    if images.ndim == 4:
        return np.sqrt(np.square(images).sum(axis=-1))
    return images


def sparse_views(name, title, everything, Y, given, *, train, test, offset=None):
    """Return the problem of reconstructing sinograms from some of their views.

    Parameters
    ----------
    name, title : str
    everything : ParallelBeamCT or FanBeamCT
        Of all views, with ``angles``.
    Y : ndarray of shape (n_rows, n_views, n_bins)
        Attenuations; rows of the detector first.
    given : ndarray of int
        Views that methods are given.
    train, test : ndarray of int
        Rows of the detector.
    offset : float, default=None
        ``detector_offset``; None: found, from the views that methods are given.
    """
    angles = np.asarray(everything.angles)
    others = np.setdiff1d(np.arange(len(angles)), given)
    some = clone(everything).set_params(angles=angles[given])
    if offset is None:
        found = estimate_detector_offset(some, Y[train][:, given])
        offset = found.values["detector_offset"]
    everything, some, rest = (
        clone(everything).set_params(angles=angles[views], detector_offset=offset)
        for views in (slice(None), given, others)
    )
    reference = clone(everything).set_params(n_refinements=N_REFINEMENTS)
    setup = {
        "operator": type(some).__name__,
        "image_shape": list(some.image_shape),
        "n_bins": int(Y.shape[2]),
        "views": f"{len(given)} of {len(angles)}",
        "rows": f"{len(train)} to train, {len(test)} to test",
        "detector_offset": round(float(offset), 4),
    }
    return Scan(
        name,
        title,
        some,
        np.ascontiguousarray(Y[train][:, given]),
        np.ascontiguousarray(Y[test][:, given]),
        reference.reconstruct(Y[test]),
        rest,
        np.ascontiguousarray(Y[test][:, others]),
        setup=setup,
    )
