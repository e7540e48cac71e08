"""How far to trust an image: error maps, intervals, and what was measured."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.stats import norm
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..noise import GaussianNoise, NoiseModel
from ..operators import part_of
from ..utils.cgls import cgls
from ..utils.random import draw_seed, make_generator
from ..utils.torch_state import own_torch
from ..utils.validation import check_measurements, check_out

_CHUNK = 16  # bootstrap samples at a time
_PROBES = 8
_KNOWN = 1e-3  # A†A x = x to this share, for all probes


class UncertaintyMixin:
    """Error maps by the equivariant bootstrap, for reconstructors with a group."""

    def predict(
        self,
        Y,
        return_std=False,
        *,
        n_bootstrap=32,
        noise="auto",
        random_state=0,
        out=None,
    ):
        """Reconstruct images from measurements, with an error map if asked.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements, of the shape seen in ``fit``. Read batch by batch if they
            are a large memory map, an HDF5 or zarr array, or a torch ``Dataset``.
        return_std : bool, default=False
            Whether to return the error map as well. Needs a group.
        n_bootstrap : int, default=32
            Transformed images behind each error map, each the work of one
            reconstruction.
        noise : NoiseModel, float, None or "auto", default="auto"
            Noise of the measurements: a model with numbers, a standard deviation
            in the units of ``Y``, or none. ``"auto"``: that of the estimator,
            ``noise_``.
        random_state : int, RandomState instance or None, default=0
            Determines the group elements and the noise.
        out : ndarray or memmap of float32 or float64 (or complex), default=None
            Where the images are written, batch by batch. None: a new array.

        Returns
        -------
        images : ndarray of shape (n_samples, *image_shape) or \
                (n_samples, *image_shape, n_channels)
            Reconstructions x̂ = f(y), float32, or complex64 of complex measurements;
            or ``out``.
        std : ndarray of float32, of the shape of ``images``
            Only with ``return_std``: the root mean square over g of x̃_g − x̂
            with x̃_g = T_g⁻¹ f(A T_g x̂ + noise): how far f is off, pixel by
            pixel, where x̂ is the truth.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``Y`` has another shape than in ``fit``, or NaN or infinity,
            ``out`` cannot take the images, or an error map is asked for and
            there is no group.
        MemoryError
            If a GPU has too little memory for a single sample. For more at a time
            it need not suffice: the batches are halved, with a warning.

        Notes
        -----
        This is the equivariant bootstrap [1]_ with one addition. A measures other
        pixels of T_g x̂ than of x̂, if it measures single pixels: x̃_g then varies
        where y knows. So pixels that A alone determines, and f keeps to
        (``n_consistency`` > 0), are replaced by those of A x̂ + noise.

        The map has the shape of the error more than its size: x̂ is smoother than
        the truth, and so easier to reconstruct. For intervals that keep what they
        promise see :class:`~sklearn_ei.ConformalReconstructor`. Nor does the map
        contain an error that f makes in every orientation alike.

        References
        ----------
        .. [1] J. Tachella and M. Pereyra, "Equivariant Bootstrapping for
           Uncertainty Quantification in Imaging Inverse Problems", AISTATS 2024,
           arXiv:2310.11838.
        """
        check_is_fitted(self)
        Y = check_measurements(self, Y, reset=False, lazy=True)
        if not return_std:
            return self._predict_array(Y, out)
        if out is not None:
            layout = self.image_layout_
            shape = (len(Y), *layout.array_shape)
            check_out(out, shape, Y, is_complex=layout.is_complex)
        images, std = self._predict_with_std(Y, n_bootstrap, noise, random_state)
        if out is not None:
            out[...] = images
            images = out
        return images, std

    def predict_interval(
        self, Y, level=0.9, *, n_bootstrap=32, noise="auto", random_state=0
    ):
        """Return lower and upper images, without calibration.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        level : float in (0, 1), default=0.9
            Share of pixels that the interval should contain.
        n_bootstrap, noise, random_state
            As for :meth:`predict`.

        Returns
        -------
        lower, upper : ndarrays of shape (n_samples, *image_shape[, n_channels])
            x̂ ∓ z·std with the normal quantile z of ``level``.

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`predict`; and if images are complex, which have no order.

        Notes
        -----
        These contain fewer pixels than ``level`` promises, as a rule: see the
        notes of :meth:`predict`. A few images with ground truth suffice to mend
        it: :class:`~sklearn_ei.ConformalReconstructor`.
        """
        check_level(level)
        check_order(self)
        images, std = self.predict(
            Y, True, n_bootstrap=n_bootstrap, noise=noise, random_state=random_state
        )
        margin = np.float32(interval_factor(level)) * std
        return images - margin, images + margin

    @torch.no_grad()
    def null_space_fraction(self, Y: Any, *, n_iterations: int = 100) -> np.ndarray:
        """Return how much of each pixel was not measured, but learned.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        n_iterations : int, default=100
            Steps of the iteration that finds the measured part.

        Returns
        -------
        fraction : ndarray of shape (n_samples, *image_shape[, n_channels])
            |n| / (|r| + |n|), from 0 to 1, of the measured part r = A†A x of
            x = f(y) and the part n = x − r in the null space; 0 where x is. Where
            both have the same sign, this is |n| / |x|.

        Notes
        -----
        A†A x is the image of least norm that has the measurements of x, by CGLS
        from zero. For an ill-conditioned A (tomography), components whose singular
        value is too small to be found in ``n_iterations`` steps count as not
        measured, which in noise they are; fewer steps call more of an image
        learned.
        """
        check_is_fitted(self)
        checked = check_measurements(self, Y, reset=False)
        images, measured = self._measured_parts(checked, n_iterations)
        null = np.abs(images - measured)
        total = np.abs(measured) + null
        return np.divide(null, total, out=np.zeros_like(null), where=total > 0)

    @own_torch()
    @torch.no_grad()
    def _measured_parts(self, Y, n_iterations=100):
        """Return images f(y) and their parts A†A f(y)."""
        check_scalar(n_iterations, "n_iterations", Integral, min_val=1)
        images = self._predict_array(Y)
        parts = np.empty_like(images)
        for start in range(0, len(Y), self._predict_batch_size):
            batch = slice(start, start + self._predict_batch_size)
            x = self.image_layout_.to_tensor(images[batch])
            A = self._part_of(Y[batch])
            part, *_ = cgls(A.forward, A.adjoint, A.forward(x), n_iterations)
            parts[batch] = self.image_layout_.to_array(part)
        return images, parts

    @own_torch()
    @torch.no_grad()
    def _predict_with_std(self, Y, n_bootstrap, noise, random_state):
        check_scalar(n_bootstrap, "n_bootstrap", Integral, min_val=1)
        add_noise = self._noise_adder(noise)
        if getattr(self, "group_", None) is None:
            raise ValueError(
                f"{type(self).__name__} was fitted without a group, but expected one: "
                "the error map comes from transformed images."
            )
        generator = make_generator(draw_seed(random_state))
        images = self._predict_array(Y)
        std = np.empty(images.shape, dtype=np.float32)
        known = None
        if not self.operator_.depends_on_measurements:  # else each sample has its own
            known = self._known_pixels(self.operator_)
        for index in range(len(Y)):
            x = self.image_layout_.to_tensor(images[index : index + 1])
            A, seen = self._part_of(Y[index : index + 1]), known
            if A is not self.operator_:
                seen = self._known_pixels(A)
            squares = self._bootstrap(
                x, A, n_bootstrap, add_noise, generator, known=seen
            )
            rms = (squares / n_bootstrap).sqrt()
            # The root of the sum of squares, of real and imaginary part.
            std[index] = np.abs(self.image_layout_.to_array(rms)[0])
        return images, std

    def _noise_adder(self, noise):
        """Return the function of measurements and generator that adds the noise."""
        if isinstance(noise, str) and noise == "auto":
            noise = getattr(self, "noise_", None)
        if noise is None:
            return lambda y, generator: y
        if not isinstance(noise, NoiseModel):
            check_scalar(noise, "noise", Real, min_val=0)
            noise = GaussianNoise(float(noise))
        return noise.sample

    def _part_of(self, Y):
        """Return the part of A that measured some samples."""
        y = self.measurement_layout_.to_tensor(np.asarray(Y))
        return part_of(self.operator_, y)[0]

    def _known_pixels(self, A):
        """Return where A alone determines a pixel and f keeps to it, or None."""
        if not self.function_.keeps_measurements:
            return None
        shape = (_PROBES, *self.image_layout_.tensor_shape)
        x = torch.randn(shape, generator=make_generator(0))
        error = (A.pinv(A.forward(x)) - x).abs().amax(dim=(0, 1))
        known = error < _KNOWN * x.abs().max()
        device = getattr(self, "device_", known.device)
        return known.to(device) if known.any() else None

    def _bootstrap(self, x, A, n_bootstrap, add_noise, generator, *, known):
        """Return Σ_g (T_g⁻¹ f(A T_g x + noise) − x)² for one image x."""
        group = self.group_
        x = x.to(getattr(self, "device_", x.device))
        total = torch.zeros_like(x)
        for start in range(0, n_bootstrap, _CHUNK):
            size = min(_CHUNK, n_bootstrap - start)
            g = group.sample(generator, size)
            copies = x.expand(size, *x.shape[1:])
            y = add_noise(A.forward(group.transform(copies, g)), generator)
            again = group.inverse_transform(self._reconstruct(y, A), g)
            if known is not None:
                y = add_noise(A.forward(copies), generator)
                again = torch.where(known, A.refine(again, y), again)
            total += (again - x).square().sum(dim=0, keepdim=True)
        return total


def interval_factor(level):
    """Return the z for which x̂ ∓ z·std holds ``level`` of a normal distribution."""
    return float(norm.ppf((1 + level) / 2))


def check_order(reconstructor):
    """Refuse intervals of complex images."""
    layout = getattr(reconstructor, "image_layout_", None)
    if layout is not None and layout.is_complex:
        raise ValueError(
            f"{type(reconstructor).__name__} was fitted on complex measurements, but "
            "expected real ones for intervals: pass real and imaginary parts as "
            "channels, or take the error map of predict(Y, return_std=True)."
        )


def check_level(level):
    """Refuse a level that is no number between 0 and 1."""
    check_scalar(
        level, "level", Real, min_val=0, max_val=1, include_boundaries="neither"
    )
