"""Convolution with a known kernel."""

import math
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils import check_scalar

from ..utils.device import Constants
from ..utils.params import brief, check_option, check_real, check_shape
from ._base import ForwardOperator

# Without regularisation, frequencies below this share of the largest are lost.
_LOST = 1e-6


def gaussian_kernel(sigma: float, n_dims: int = 2, truncate: float = 4.0) -> np.ndarray:
    """Return a Gaussian kernel for :class:`Blur`.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels.
    n_dims : int, default=2
        1 for signals, 2 for images.
    truncate : float, default=4.0
        Half-width of the kernel, in standard deviations.

    Returns
    -------
    kernel : ndarray of shape (2r + 1,) * n_dims
        Sums to 1, with r = ``truncate · sigma``, rounded.

    Examples
    --------
    >>> from sklearn_ei.operators import gaussian_kernel
    >>> gaussian_kernel(1.5).shape
    (13, 13)
    """
    check_real("sigma", sigma, min_val=0, include_boundaries="neither")
    check_scalar(n_dims, "n_dims", Integral, min_val=1)
    check_real("truncate", truncate, min_val=0, include_boundaries="neither")
    radius = int(truncate * sigma + 0.5)
    profile = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    profile /= profile.sum()
    kernel = profile
    for _ in range(n_dims - 1):
        kernel = np.multiply.outer(kernel, profile)
    return kernel


class Blur(ForwardOperator):
    """Convolution with a kernel: an optical system, a detector, motion.

    Parameters
    ----------
    kernel : array-like of shape (k,) or (k_1, k_2)
        Point spread function; its number of axes is that of the images. Its
        centre is element ``k // 2``. See :func:`gaussian_kernel`.
    image_shape : tuple of int, default=None
        Spatial shape of the images, no smaller than the kernel. None: follows
        from the measurements.
    boundary : {"circular", "valid"}, default="circular"
        What lies outside the image: its repetition, or nothing that is known.
        In the latter case only pixels whose blur is within the image are
        measured, ``n − k + 1`` along each axis.
    regularization : float, default=0.01
        ε of the pseudo-inverse. Noise is amplified by at most 1/(2√ε max|ĥ|).

    Attributes
    ----------
    measurement_shape : tuple or None
        ``image_shape``, less ``k − 1`` if the boundary is ``"valid"``.

    Notes
    -----
    With the kernel's discrete Fourier transform ĥ, circular convolution
    C = F⁻¹ ĥ F, and the crop P to valid pixels (P = I if circular),

    - forward: A x = P C x;
    - adjoint: Aᵀ y = Cᵀ Pᵀ y, with Cᵀ = F⁻¹ conj(ĥ) F;
    - pseudo-inverse: A† y = F⁻¹ [conj(ĥ) / (|ĥ|² + ε max|ĥ|²)] F E y
      (Tikhonov), where E repeats the border of y up to the image's shape. For a
      circular boundary and ε = 0 it is exact, with frequencies below 10⁻⁶ of
      the largest taken as lost.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import Blur, gaussian_kernel
    >>> operator = Blur(gaussian_kernel(1.0), boundary="valid")
    >>> operator.measure(np.ones((2, 32, 32))).shape
    (2, 24, 24)
    """

    def __init__(
        self, kernel, image_shape=None, *, boundary="circular", regularization=0.01
    ):
        self.kernel = kernel
        self.image_shape = image_shape
        self.boundary = boundary
        self.regularization = regularization

    loses = "detail"

    @property
    def mixing_radius(self):
        """Radius of the kernel's autocorrelation, weighted with its squares."""
        self._check_params()
        kernel = np.asarray(self.kernel, dtype=np.float64)
        shape, axes = [2 * k - 1 for k in kernel.shape], tuple(range(kernel.ndim))
        power = np.abs(np.fft.fftn(kernel, shape, axes)) ** 2
        energy = np.fft.ifftn(power, axes=axes).real ** 2
        steps = [np.fft.fftfreq(n, 1 / n) for n in shape]
        squares = sum(d**2 for d in np.meshgrid(*steps, indexing="ij"))
        return float(np.sqrt((energy * squares).sum() / energy.sum()))

    @property
    def _image_n_dims(self):
        return np.ndim(self.kernel)

    _measurement_n_dims = _image_n_dims

    def _infer_shapes(self, image_shape, measurement_shape):
        self._check_params()
        kernel_shape = np.shape(self.kernel)
        lost = [k - 1 if self.boundary == "valid" else 0 for k in kernel_shape]
        n_dims = len(kernel_shape)
        if measurement_shape is not None:
            measurement_shape = check_shape(
                "measurement_shape", measurement_shape, n_dims
            )
            inferred = tuple(
                m + k for m, k in zip(measurement_shape, lost, strict=True)
            )
            if image_shape not in (None, inferred):
                raise ValueError(
                    f"Blur got measurements of shape {measurement_shape}, but expected "
                    f"those of image_shape={tuple(image_shape)} with boundary="
                    f"{self.boundary!r}."
                )
            image_shape = inferred
        if image_shape is None:
            return None, None
        image_shape = check_shape("image_shape", image_shape, n_dims)
        if any(n < k for n, k in zip(image_shape, kernel_shape, strict=True)):
            raise ValueError(
                f"Blur got image_shape={image_shape} and a kernel of shape "
                f"{kernel_shape}, but expected images no smaller than the kernel."
            )
        return image_shape, tuple(n - k for n, k in zip(image_shape, lost, strict=True))

    def _check_params(self):
        check_option("boundary", self.boundary, ("circular", "valid"))
        check_real("regularization", self.regularization, min_val=0)
        try:
            kernel = np.asarray(self.kernel)
        except ValueError:  # rows of different lengths
            raise ValueError(
                f"Got kernel={brief(self.kernel)}, but expected a 1-D or 2-D array."
            ) from None
        real = kernel.dtype.kind in "fiu" and np.isfinite(kernel).all()
        if kernel.ndim not in (1, 2) or not real or not kernel.any():
            raise ValueError(
                f"Got a kernel of shape {kernel.shape} and dtype {kernel.dtype}, but "
                "expected a finite, real 1-D or 2-D array that is not all zero, such "
                "as gaussian_kernel(1.5)."
            )

    @property
    def _margins(self):
        """Pixels before and after the valid ones, along each axis."""
        if self.boundary == "circular":
            return [(0, 0) for _ in np.shape(self.kernel)]
        return [(k - 1 - k // 2, k // 2) for k in np.shape(self.kernel)]

    def _build(self, image_shape, measurement_shape):
        kernel = np.asarray(self.kernel, dtype=np.float64)
        padded = np.zeros(image_shape)
        padded[tuple(slice(k) for k in kernel.shape)] = kernel
        axes = tuple(range(kernel.ndim))
        padded = np.roll(padded, [-(k // 2) for k in kernel.shape], axes)
        spectrum = np.fft.rfftn(padded)
        power = np.abs(spectrum) ** 2
        floor = self.regularization * power.max()
        # A frequency that is exactly lost has no inverse, but the zero in its place.
        kept = power + floor > _LOST**2 * power.max()
        inverse = np.divide(
            spectrum.conj(), power + floor, out=np.zeros_like(spectrum), where=kept
        )
        return Constants(
            spectrum=torch.view_as_real(torch.from_numpy(spectrum)),
            inverse=torch.view_as_real(torch.from_numpy(inverse)),
        )

    def _filter(self, x, spectrum):
        axes = tuple(range(2, x.ndim))
        filtered = torch.fft.rfftn(x, dim=axes) * spectrum
        return torch.fft.irfftn(filtered, s=self.image_shape, dim=axes)

    def _pad(self, y, mode):
        padding = [side for margins in reversed(self._margins) for side in margins]
        return F.pad(y, padding, mode=mode) if any(padding) else y

    def _forward(self, x, constants):
        blurred = self._filter(x, torch.view_as_complex(constants.spectrum))
        valid = (
            slice(before, size - after)
            for (before, after), size in zip(
                self._margins, self.image_shape, strict=True
            )
        )
        return blurred[(..., *valid)]

    def _adjoint(self, y, constants):
        spectrum = torch.view_as_complex(constants.spectrum).conj()
        return self._filter(self._pad(y, "constant"), spectrum)

    def _pinv(self, y, constants):
        inverse = torch.view_as_complex(constants.inverse)
        return self._filter(self._pad(y, "replicate"), inverse)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly: the sum of the kernel's squares."""
        return math.fsum(np.square(np.asarray(self.kernel, dtype=np.float64)).ravel())
