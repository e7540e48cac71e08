"""What all reconstruction estimators share."""

import time
from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_is_fitted

from ..groups import Group
from ..metrics import psnr
from ..model_selection import score_without_truth, tensors
from ..operators import (
    ForwardOperator,
    ModelMismatchWarning,
    check_consistency,
    check_operator,
    part_of,
)
from ..utils.html import FactsMixin
from ..utils.torch_state import own_torch
from ..utils.validation import (
    check_images,
    check_measurements,
    check_out,
    shape_of_images,
)
from ..utils.warn import warn


class OperatorEstimator(FactsMixin, BaseEstimator):
    """Base class of estimators that have a parameter ``operator``."""

    def _facts(self):
        operator = getattr(self, "operator_", self.operator)
        yield "operator", type(operator).__name__
        yield from operator._facts()
        group = getattr(self, "group_", getattr(self, "group", None))
        if isinstance(group, Group):
            yield "group", type(group).__name__
            yield from (fact for fact in group._facts() if fact[0] != "images")
        if hasattr(self, "alpha_"):
            yield "α", f"{self.alpha_:.4g}"
        if hasattr(self, "n_steps_"):
            yield "steps", f"{self.n_steps_} of batches of {self.batch_size_}"

    def _validate_params(self):
        """Validate parameters as scikit-learn does, in one line."""
        try:
            super()._validate_params()
        except InvalidParameterError as error:  # arrays are shown in several
            text = " ".join(str(error).split())
            raise InvalidParameterError(text) from None

    def _resolve_operator(self, Y, truth=None):
        """Return the fitted attributes that follow from the operator and a stack.

        Ground truth, where it is given, settles the shape of 2-D images, which
        a detector alone leaves ambiguous. Nothing is set on the estimator, so
        that a refused stack leaves it as it was.
        """
        operator = self.operator
        check_operator(operator)
        image_layout, measurement_layout = operator.layouts(
            measurement=Y.shape[1:], is_complex=Y.dtype.kind == "c"
        )
        image_shape = operator.image_shape
        truth_shape = None if truth is None else shape_of_images(truth, len(Y))
        if image_shape is None and truth is not None:
            shape = image_layout.spatial(truth_shape[1:])
            known = operator._image_n_dims or max(len(shape), 2)
            image_shape = shape if len(shape) == known else None
        resolved = operator.resolve(
            measurement_shape=measurement_layout.shape, image_shape=image_shape
        )
        return {
            "operator_": resolved,
            "measurement_shape_": Y.shape[1:],
            "measurement_layout_": measurement_layout,
            "image_layout_": image_layout.settle(shape=resolved.image_shape),
        }

    def _check_explains(self, operator, Y):
        """Warn if no image has such measurements."""
        report = check_consistency(operator, Y)
        if not report.is_consistent:
            warn(
                f"{type(self).__name__}: {report.sentence} See check_consistency.",
                ModelMismatchWarning,
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = bool(getattr(self, "allow_missing", False))
        return tags


class BaseReconstructor(TransformerMixin, OperatorEstimator, metaclass=ABCMeta):
    """Base class of estimators that turn stacks of measurements into images.

    A subclass has a parameter ``operator``, calls :meth:`_resolve_operator` in
    ``fit`` and supplies :meth:`_reconstruct`.

    Attributes
    ----------
    image_layout_, measurement_layout_ : Layout
        How images and measurements lie in arrays and tensors.
    """

    #: Samples reconstructed at a time.
    _predict_batch_size = 16

    @abstractmethod
    def _reconstruct(self, y, A):
        """Return images of measurements by A, tensors (batch, channel, *shape)."""

    def _reconstruct_averaged(self, y):
        """Return images as :meth:`predict` does: perhaps better than f(y, A)."""
        A, y = part_of(self.operator_, y)
        return self._reconstruct(y, A)

    def reconstruct_tensors(
        self, y: torch.Tensor, A: ForwardOperator | None = None
    ) -> torch.Tensor:
        """Return f(y, A), for scores and calculations of one's own.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements, in the units of ``fit``; NaN where there are none.
        A : ForwardOperator, default=None
            What measured them, such as a part of the estimator's operator
            (:class:`~sklearn_ei.operators.RestrictedOperator`). None: ``operator_``.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.

        Raises
        ------
        TypeError, ValueError
            If ``y`` is no tensor, or does not fit A.
        """
        check_is_fitted(self)
        if not isinstance(y, torch.Tensor):
            raise TypeError(
                f"Got y of type {type(y).__name__}, but expected a tensor (batch, "
                "channel, *measurement_shape); predict takes arrays."
            )
        A, y = part_of(self.operator_ if A is None else A, y)
        return self._reconstruct(y, A)

    def predict(self, Y: Any, *, out: np.ndarray | None = None) -> np.ndarray:
        """Reconstruct images from measurements.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements, of the shape seen in ``fit``. Read batch by batch if they
            are a large memory map, an HDF5 or zarr array, or a torch ``Dataset``.
        out : ndarray or memmap of float32 or float64 (or complex), default=None
            Where the reconstructions are written, batch by batch, so that they
            need not fit into memory. None: a new array.

        Returns
        -------
        images : ndarray of shape (n_samples, *image_shape) or \
                (n_samples, *image_shape, n_channels)
            Reconstructions, float32, or complex64 of complex measurements; or
            ``out``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``Y`` has another shape than in ``fit``, or infinity, or NaN where
            nothing may be missing, or ``out`` cannot take the reconstructions.
        MemoryError
            If a GPU has too little memory for a single sample. For more at a time
            it need not suffice: the batches are halved, with a warning.
        """
        check_is_fitted(self)
        checked = check_measurements(self, Y, reset=False, lazy=True)
        return self._predict_array(checked, out)

    @own_torch()
    @torch.no_grad()
    def _predict_array(self, Y, out=None):
        layout = self.image_layout_
        shape = (len(Y), *layout.array_shape)
        if out is None:
            images = np.empty(shape, dtype=layout.dtype)
        else:
            images = check_out(out, shape, Y, is_complex=layout.is_complex)
        start, size = 0, self._predict_batch_size
        progress = _Progress(len(Y), getattr(self, "verbose", 0) and len(Y) > size)
        while start < len(Y):
            batch = slice(start, start + size)
            y = self.measurement_layout_.to_tensor(Y[batch])
            try:
                x = self._reconstruct_averaged(y)
                images[batch] = self.image_layout_.to_array(x)
            except torch.cuda.OutOfMemoryError:
                fits = False
            else:
                fits = True
            if fits:
                start += size
                progress.say(min(start, len(Y)))
            else:  # outside of the except clause, which holds on to the memory
                size = _halve(min(size, len(Y) - start))
        return images

    def transform(self, Y: Any) -> np.ndarray:
        """Reconstruct images; the same as :meth:`predict`, for pipelines.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.

        Returns
        -------
        images : ndarray of shape (n_samples, *image_shape[, n_channels])
            Reconstructions, float32.
        """
        return self.predict(Y)

    @own_torch()
    def score(self, Y: Any, y: Any = None) -> float:
        """Return the PSNR in dB with ground truth, a score from ``Y`` without.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
            Ground truth. One number a sample (class labels that travel along
            in a pipeline) is not an image, and is treated as None.

        Returns
        -------
        score : float
            Higher is better. With ground truth the mean
            :func:`~sklearn_ei.metrics.psnr`; without, minus the relative
            measurement error, −mean ‖A f(y) − y‖² / mean ‖y‖², unless the
            estimator knows better.
        """
        check_is_fitted(self)
        checked = check_measurements(self, Y, reset=False)
        if y is None or len(shape_of_images(y, len(checked))) < 2:
            return self._score_without_truth(checked)
        images = self._predict_array(checked)
        truth = check_images(
            y,
            len(images),
            images.shape[1:],
            type(self).__name__,
            is_complex=self.image_layout_.is_complex,
        )
        return psnr(truth, images)

    def _score_without_truth(self, Y):
        return score_without_truth(
            self._reconstruct, self.operator_, None, tensors(self, Y)
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class _Progress:
    """Prints how many samples are done, at most about twenty times."""

    def __init__(self, n_samples, wanted):
        self.n_samples, self.wanted = n_samples, wanted
        self.start, self.shown = time.perf_counter(), 0

    def say(self, n_done):
        if self.wanted and (
            n_done == self.n_samples or n_done - self.shown >= self.n_samples / 20
        ):
            seconds = time.perf_counter() - self.start
            text = (
                f"{n_done} of {self.n_samples} samples reconstructed, {seconds:.1f} s"
            )
            print(text, flush=True)
            self.shown = n_done


def _halve(size):
    """Return how many samples to try next, after a GPU ran out of memory."""
    if size == 1:
        raise MemoryError(
            "The GPU ran out of memory with a single sample, but expected it to fit; "
            "use device='cpu', or a smaller network."
        )
    warn(
        f"The GPU ran out of memory with {size} samples at a time; going on with "
        f"{size // 2}.",
        RuntimeWarning,
    )
    torch.cuda.empty_cache()
    return size // 2
