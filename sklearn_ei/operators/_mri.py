"""Cartesian magnetic resonance imaging."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..utils.device import Constants
from ..utils.params import check_real, check_shape
from ._base import ForwardOperator
from ._checks import check_mask, refuse_other_than_number


class MRI(ForwardOperator):
    """Cartesian MRI with undersampled k-space lines, with one coil or several.

    Images and k-space are complex, as channels along the last axis: (real,
    imaginary) for images, (real, imaginary) of the first coil, then of the
    second, … for measurements.

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
    sensitivities : complex array-like of shape (n_coils, H, W), default=None
        Sensitivity of each coil. None: one coil, the same everywhere.
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

    Notes
    -----
    With the centred orthonormal discrete Fourier transform F, the mask M and
    the sensitivities S_c (one S = I if not given),

    - forward: (A x)_c = M F S_c x;
    - adjoint: Aᵀ y = Σ_c conj(S_c) F⁻¹ M y_c;
    - pseudo-inverse: A† y = (Σ_c |S_c|²)⁻¹ Aᵀ y, the coil-combined zero-filled
      image. With one coil and S = I it is exact. With several it is not, but
      refining it converges with step 1.

    ‖A‖_F²/m counts all of k-space as measurements, as for
    :class:`~sklearn_ei.operators.Inpainting`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import MRI
    >>> image = np.ones((32, 32)) * (1 + 0.5j)
    >>> images = np.stack([image.real, image.imag], axis=-1)[np.newaxis]
    >>> MRI(acceleration=4).measure(images).shape
    (1, 32, 32, 2)
    """

    _image_n_dims = 2
    _measurement_n_dims = 2
    image_channels = 2

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
        return 2 if self.sensitivities is None else 2 * len(self.sensitivities)

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

    def calibration_lines(self):
        """Return the indices of the sampled lines that surround the centre, unbroken.

        They hold the contrast of the image: it cannot be told from the others.
        """
        if self.natural_axis is None:
            return np.arange(0)
        measured = self.measured_entries().any(axis=0)
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
        if self.sensitivities is None:
            return np.repeat(mask[None].numpy(), 2, axis=0)
        seen = constants.sensitivities.any(dim=-1).any(dim=-1).any(dim=-1)
        return (seen[:, None, None] & mask).repeat_interleave(2, dim=0).numpy()

    def _infer_shapes(self, image_shape, measurement_shape):
        self._check_params()
        given = [("image_shape", image_shape), ("measurement_shape", measurement_shape)]
        if self.mask is not None and np.ndim(self.mask) == 2:
            given.append(("mask.shape", np.shape(self.mask)))
        if self.sensitivities is not None:
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
        if self.sensitivities is not None:
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
        if self.sensitivities is None:
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
        image = _to_complex(x)
        if self.sensitivities is not None:
            image = image * torch.view_as_complex(constants.sensitivities)
        return _to_channels(constants.mask * _centered(torch.fft.fft2, image))

    def _adjoint(self, y, constants):
        image = _centered(torch.fft.ifft2, constants.mask * _to_complex(y))
        if self.sensitivities is not None:
            coils = torch.view_as_complex(constants.sensitivities).conj()
            image = (coils * image).sum(dim=1, keepdim=True)
        return _to_channels(image)

    def _pinv(self, y, constants):
        image = self._adjoint(y, constants)
        return image if self.sensitivities is None else image / constants.power

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
        return share * float(np.square(np.abs(self.sensitivities)).mean())


def _to_complex(x):
    """Return (batch, c, H, W) complex of (batch, 2c, H, W) real."""
    pairs = x.reshape(len(x), -1, 2, *x.shape[2:]).movedim(2, -1)
    return torch.view_as_complex(pairs.contiguous())


def _to_channels(z):
    """Return (batch, 2c, H, W) real of (batch, c, H, W) complex."""
    return torch.view_as_real(z).movedim(-1, 2).flatten(1, 2)


def _centered(transform, z):
    """Apply an orthonormal transform with the zero frequency in the middle."""
    z = torch.fft.ifftshift(z, dim=(-2, -1))
    return torch.fft.fftshift(transform(z, norm="ortho"), dim=(-2, -1))
