"""Cartesian magnetic resonance imaging."""

import copy
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..utils.device import Constants
from ..utils.params import check_real, check_shape
from ..utils.stack_check import filled
from ._base import ForwardOperator
from ._checks import check_mask, refuse_other_than_number
from ._fourier import centered, to_channels, to_complex
from ._sensitivities import coil_maps


class MRI(ForwardOperator):
    """Cartesian MRI with undersampled k-space lines, with one coil or several.

    Images are complex, (n, H, W), and so is k-space: (n, H, W) of one coil, (n,
    n_coils, H, W) of several. Where that is more convenient, both are real, with
    channels along the last axis: (real, imaginary) for images, (real, imaginary) of
    the first coil, then of the second, … for measurements. What comes complex goes
    back complex.

    Parameters
    ----------
    acceleration : float, default=4
        Ratio of all k-space lines to measured ones; ignored if ``mask`` is given.
    image_shape : tuple (H, W), default=None
        Shape of the images. None: that of the measurements.
    center_fraction : float in [0, 1], default=0.08
        Share of all lines that lie around the centre and are always measured.
        They count among the ``W/acceleration`` measured ones, the rest of which
        is random.
    mask : array-like of shape (W,) or (H, W), default=None
        True (or 1) where k-space is measured: columns, or single points. The zero
        frequency is at ``(H // 2, W // 2)``. None: drawn with ``random_state``.
    sensitivities : complex array-like of shape (n_coils, H, W) or int, default=None
        Sensitivity of each coil. None: one coil, the same everywhere. An integer: so
        many coils, whose sensitivities are estimated from the centre of every
        measurement by itself (:func:`estimate_sensitivities`), so that every slice of
        a volume has its own. Then A is known beside measurements only:
        :meth:`for_measurements`.
    n_refinements : int, default=0
        Steps x += A†(y − A x) that follow the plain pseudo-inverse; with several
        coils they are iterations of SENSE.
    random_state : int or None, default=0
        Seed of the drawn mask. An integer, so that clones measure the same
        lines; None means 0.

    Attributes
    ----------
    measurement_shape : tuple (H, W) or None
        Equal to ``image_shape``: what is not sampled is zero.

    See Also
    --------
    estimate_sensitivities : What ``sensitivities=n_coils`` does.

    Notes
    -----
    With the centred orthonormal discrete Fourier transform F, the mask M and
    the sensitivities S_c (one S = I if not given),

    - forward: (A x)_c = M F S_c x;
    - adjoint: Aᵀ y = Σ_c conj(S_c) F⁻¹ M y_c;
    - pseudo-inverse: A† y = (Σ_c |S_c|²)⁻¹ Aᵀ y, the coil-combined zero-filled
      image. With one coil and S = I it is exact. With several it is not, unless all
      of k-space is measured, but refining it converges with step 1.

    ‖A‖_F²/m counts all of k-space as measurements, as for
    :class:`~sklearn_ei.operators.Inpainting`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import MRI
    >>> images = np.ones((1, 32, 32)) * (1 + 0.5j)
    >>> k_space = MRI(acceleration=4).measure(images)
    >>> k_space.shape, k_space.dtype
    ((1, 32, 32), dtype('complex64'))
    >>> channels = np.stack([images.real, images.imag], axis=-1)
    >>> MRI(acceleration=4).measure(channels).shape
    (1, 32, 32, 2)
    """

    _image_n_dims = 2
    _measurement_n_dims = 2
    image_channels = 2
    has_complex_channels = True

    # Sensitivities of a batch, of a copy that for_measurements has made.
    _maps: Any = None

    def __init__(
        self,
        acceleration=4,
        image_shape=None,
        *,
        center_fraction=0.08,
        mask=None,
        sensitivities=None,
        n_refinements=0,
        random_state=0,
    ):
        self.acceleration = acceleration
        self.image_shape = image_shape
        self.center_fraction = center_fraction
        self.mask = mask
        self.sensitivities = sensitivities
        self.n_refinements = n_refinements
        self.random_state = random_state

    @property
    def measurement_channels(self):
        """Real and imaginary part of every coil."""
        return 2 * self._n_coils

    @property
    def _n_coils(self):
        if self.sensitivities is None:
            return 1
        return self.sensitivities if self._estimates else len(self.sensitivities)

    @property
    def _estimates(self):
        """Whether sensitivities follow from measurements."""
        return isinstance(self.sensitivities, Integral)

    loses = "k-space"

    @property
    def natural_axis(self):
        """1, the lines of k-space; None where single points are sampled."""
        lines = self.mask is None or np.ndim(self.mask) == 1
        return 1 if lines else None

    @property
    def has_orthogonal_rows(self):
        """Whether there is one coil, so that A A† only selects."""
        return self.sensitivities is None

    def calibration_lines(self, measured=None):
        """Return the indices of the sampled lines that surround the centre, unbroken.

        They hold the contrast of the image: it cannot be told from the others.
        """
        if self.natural_axis is None:
            return np.arange(0)
        if measured is None:
            measured = self.measured_entries()
        measured = np.asarray(measured).any(axis=0)
        lost = np.flatnonzero(~measured)
        centre = len(measured) // 2
        if not measured[centre]:
            return np.arange(0)
        first = lost[lost < centre].max(initial=-1) + 1
        last = lost[lost >= centre].min(initial=len(measured))
        return np.arange(first, last)

    def _measured(self):
        constants = self._constants.like(torch.empty(0))
        mask = constants.mask.expand(self._fixed.measurement_shape) > 0
        if self.sensitivities is None or self._estimates:
            return np.repeat(mask[None].numpy(), self.measurement_channels, axis=0)
        seen = constants.sensitivities.any(dim=-1).any(dim=-1).any(dim=-1)
        return (seen[:, None, None] & mask).repeat_interleave(2, dim=0).numpy()

    def _infer_shapes(self, image_shape, measurement_shape):
        self._check_params()
        given = [("image_shape", image_shape), ("measurement_shape", measurement_shape)]
        if self.mask is not None and np.ndim(self.mask) == 2:
            given.append(("mask.shape", np.shape(self.mask)))
        if self.sensitivities is not None and not self._estimates:
            given.append(("sensitivities.shape[1:]", np.shape(self.sensitivities)[1:]))
        given = [(name, check_shape(name, s, 2)) for name, s in given if s is not None]
        for name, shape in given[1:]:
            if shape != given[0][1]:
                raise ValueError(
                    f"MRI got {given[0][0]}={given[0][1]} and {name}={shape}, but "
                    "expected equal shapes."
                )
        shape = given[0][1] if given else None
        lines = self.mask is not None and np.ndim(self.mask) == 1
        if lines and shape is not None and len(self.mask) != shape[1]:
            raise ValueError(
                f"MRI got a mask of {len(self.mask)} lines for images of shape "
                f"{shape}, but expected {shape[1]}."
            )
        return shape, shape

    def _check_params(self):
        check_scalar(self.n_refinements, "n_refinements", Integral, min_val=0)
        if self.random_state is not None:
            check_scalar(self.random_state, "random_state", Integral, min_val=0)
        if self.mask is None:
            refuse_other_than_number(
                "acceleration", self.acceleration, "a mask as mask=…"
            )
            check_real("acceleration", self.acceleration, min_val=1)
            check_real("center_fraction", self.center_fraction, min_val=0, max_val=1)
        elif check_mask(self.mask, "k-space is measured").ndim not in (1, 2):
            raise ValueError(
                f"Got a mask of shape {np.shape(self.mask)}, but expected (W,), the "
                "lines, or (H, W)."
            )
        if self._estimates:
            check_scalar(self.sensitivities, "sensitivities", Integral, min_val=2)
        elif self.sensitivities is not None:
            sensitivities = np.asarray(self.sensitivities)
            numeric = sensitivities.dtype.kind in "fc"
            finite = numeric and np.isfinite(sensitivities).all()
            if sensitivities.ndim != 3 or not finite or not sensitivities.any():
                raise ValueError(
                    f"Got sensitivities of shape {sensitivities.shape} and dtype "
                    f"{sensitivities.dtype}, but expected finite complex numbers of "
                    "shape (n_coils, H, W), not all zero."
                )

    def _draw_mask(self, n_lines):
        n_center = round(self.center_fraction * n_lines)
        n_measured = max(round(n_lines / self.acceleration), n_center, 1)
        start = n_lines // 2 - n_center // 2
        mask = np.zeros(n_lines, dtype=bool)
        mask[start : start + n_center] = True
        rng = check_random_state(self.random_state or 0)
        others = rng.permutation(np.flatnonzero(~mask))
        mask[others[: n_measured - n_center]] = True
        return mask

    def _build(self, image_shape, measurement_shape):
        if self.mask is None:
            mask = self._draw_mask(image_shape[1])
        else:
            mask = check_mask(self.mask, "k-space is measured")
        mask = torch.from_numpy(mask).float()
        if self.sensitivities is None or self._estimates:
            return Constants(mask=mask)
        sensitivities = np.array(self.sensitivities, dtype=np.complex128)
        power = np.square(np.abs(sensitivities)).sum(axis=0)
        # Where no coil sees anything, Aᵀ y is zero and stays so.
        power[power == 0] = 1
        return Constants(
            mask=mask,
            sensitivities=torch.view_as_real(torch.from_numpy(sensitivities)),
            power=torch.from_numpy(power),
        )

    def _forward(self, x, constants):
        image = to_complex(x)
        if self.sensitivities is not None:
            image = image * self._coils(image, constants)
        return to_channels(constants.mask * centered(torch.fft.fft2, image))

    def _adjoint(self, y, constants):
        image = centered(torch.fft.ifft2, constants.mask * to_complex(y))
        if self.sensitivities is not None:
            coils = self._coils(image, constants).conj()
            image = (coils * image).sum(dim=1, keepdim=True)
        return to_channels(image)

    def _pinv(self, y, constants):
        image = self._adjoint(y, constants)
        if self.sensitivities is None or self._estimates:
            return image  # estimated ones have power 1
        return image / constants.power

    def _coils(self, z, constants):
        """Return the sensitivities for a batch, as a complex tensor."""
        if not self._estimates:
            return torch.view_as_complex(constants.sensitivities)
        if self._maps is None:
            raise ValueError(
                f"{self} estimates sensitivities from measurements, but there are none "
                "here: expected an operator returned by for_measurements(y), or "
                "sensitivities as an array."
            )
        n_each, rest = divmod(len(z), len(self._maps))
        if rest:
            raise ValueError(
                f"Got {len(z)} samples, but expected as many as for_measurements was "
                f"given, {len(self._maps)}, or a multiple."
            )
        maps = self._maps.to(z.device, z.dtype)
        # Copies of a sample, such as transformed ones, are adjacent.
        return maps.repeat_interleave(n_each, dim=0) if len(maps) > 1 else maps

    def part_filling(self, kept):
        """Return what prepares a part of k-space for A†: nothing is filled in.

        Parameters
        ----------
        kept : torch.Tensor of bool, (..., *measurement_shape)
            True where there is a measurement.

        Returns
        -------
        fill, fill_step : callable
            They return what they are given, so that A† is that of the mask.
        """
        return (lambda y: y,) * 2

    @property
    def depends_on_measurements(self):
        """Whether sensitivities are still to be estimated: :meth:`for_measurements`."""
        return self._estimates and self._maps is None

    def resolve(self, image_shape=None, measurement_shape=None):
        """Return a copy whose shapes are fixed, and sensitivities if they were.

        Parameters
        ----------
        image_shape, measurement_shape : tuple of int, default=None
            As for :meth:`ForwardOperator.resolve`.

        Returns
        -------
        operator : MRI
        """
        resolved = super().resolve(image_shape, measurement_shape)
        resolved._maps = self._maps
        return resolved

    def take(self, samples):
        """Return the operator of some samples of those in :meth:`for_measurements`."""
        if self._maps is None or len(self._maps) == 1:
            return self
        own = copy.copy(self)
        own._maps = self._maps[samples]
        return own

    def for_measurements(self, y: torch.Tensor) -> "MRI":
        """Return A for a batch of measurements, with their own sensitivities.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, 2 * n_coils, H, W)
            Measurements; NaN, or zero in every coil, where not measured.

        Returns
        -------
        operator : MRI
            The operator itself, unless ``sensitivities`` is a number of coils. Else a
            copy for these samples: for as many images, for a multiple of them, where
            copies of a sample are adjacent, or, of a single sample, for any number.
            A copy returns itself.
        """
        if not self.depends_on_measurements:
            return self
        open_shape = self.image_shape is None
        own = self.resolve(measurement_shape=y.shape[2:]) if open_shape else self
        own = copy.copy(own)
        y = own._checked(y, "measurements")
        with torch.autocast(device_type=y.device.type, enabled=False):
            own._maps, _ = coil_maps(to_complex(y.detach()))
        return own

    @staticmethod
    def mask_of(Y: Any) -> np.ndarray:
        """Return where k-space was measured, for data that is zero elsewhere.

        Parameters
        ----------
        Y : array-like of shape (n_samples[, n_coils], H, W), complex, or \
                (n_samples, H, W, 2 * n_coils), real
            k-space.

        Returns
        -------
        mask : bool ndarray of shape (n_samples, H, W)
            False where ``Y`` is NaN, masked, or zero in every coil. ``mask[0]`` is a
            parameter ``mask`` of samples that were all measured alike; where masks
            differ, make NaN of the zeros, ``np.where(mask, Y, np.nan)`` (``mask[:,
            np.newaxis]`` with coils).

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_ei.operators import MRI
        >>> Y = MRI(2, center_fraction=0.25).measure(np.ones((2, 8, 8)) * 1j)
        >>> MRI.mask_of(Y).shape
        (2, 8, 8)
        """
        Y = np.asarray(filled(Y))
        is_complex = np.iscomplexobj(Y)
        if Y.ndim != 4 and not (is_complex and Y.ndim == 3):
            raise ValueError(
                f"Got Y of shape {Y.shape} and dtype {Y.dtype}, but expected complex "
                "k-space (n_samples[, n_coils], H, W), or real (n_samples, H, W, "
                "2 * n_coils)."
            )
        measured = (Y != 0) & ~np.isnan(Y)
        if Y.ndim == 3:
            return measured
        return measured.any(axis=1 if is_complex else -1)

    def squared_norm(self) -> float:
        """Return an upper bound on ‖A‖²: 1 where sensitivities are estimated."""
        return 1.0 if self._estimates else super().squared_norm()

    @property
    def _refinement_spectrum(self):
        """That of normalised coils where sensitivities are estimated."""
        return (1.0, False) if self._estimates else super()._refinement_spectrum

    @property
    def n_measurements(self):
        """m, the real and imaginary parts of all points sampled by all coils."""
        share = float(self._constants.like(torch.empty(0)).mask.mean())
        return round(share * super().n_measurements)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly: the sampled share times the coils' mean |S|²."""
        constants = self._constants.like(torch.empty(0))
        share = float(constants.mask.mean())
        if self.sensitivities is None:
            return share
        if self._estimates:  # of power 1 in all coils together
            return share / self._n_coils
        return share * float(np.square(np.abs(self.sensitivities)).mean())
