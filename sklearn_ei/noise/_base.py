"""What all noise models share."""

from abc import ABCMeta, abstractmethod
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from ..utils.params import brief
from ..utils.stack_check import filled
from ._estimate import estimate_levels


class NoiseModel(BaseEstimator, metaclass=ABCMeta):
    """Base class of noise models y = A x + noise, independent for each entry.

    Parameters are in the units of the measurements, and may be ``"auto"`` until
    :meth:`resolve` has estimated them. The methods that follow it need numbers.

    A subclass supplies ``_draw`` and :meth:`recorrupt`, and has the parameters
    ``sigma`` or ``gain``, or both: the variance is σ² + gain · A x.
    """

    #: Whether :meth:`recorrupt` has pairs with independent errors.
    has_recorrupted_pairs = True

    # ---------------------------------------------------------------- parameters
    @property
    def _given(self):
        """``{"sigma": …, "gain": …}`` as given; 0 for what the model lacks."""
        return {name: getattr(self, name, 0.0) for name in ("sigma", "gain")}

    def _check_params(self):
        for name, value in self._given.items():
            if isinstance(value, str) and value == "auto":
                continue
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not 0 <= value < np.inf:
                raise ValueError(
                    f"Got {name}={value!r}, but expected a finite number, zero or "
                    "more, or 'auto'."
                )

    @property
    def levels(self):
        """The parameters ``(sigma, gain)`` as floats, 0 for what the model lacks.

        Raises ``ValueError`` where one is ``"auto"`` still or out of its range.
        """
        self._check_params()
        for name, value in self._given.items():
            if value == "auto":
                raise ValueError(
                    f"Got {name}='auto', but expected a number, or the noise model "
                    "that resolve(operator, y) returns."
                )
        return tuple(float(value) for value in self._given.values())

    def _with(self, **levels):
        own = self.get_params(deep=False)
        return clone(self).set_params(
            **{name: value for name, value in levels.items() if name in own}
        )

    def resolve(self, operator, y):
        """Return a copy whose parameters are numbers, estimated where ``"auto"``.

        Parameters
        ----------
        operator : ForwardOperator
            A. Shapes that it leaves open are taken from ``y``.
        y : array-like of shape (n_samples, *measurement_shape[, n_channels]) or \
                torch.Tensor of shape (n_samples, n_channels, *measurement_shape)
            Noisy measurements, of which up to 32 are looked at.

        Returns
        -------
        noise : NoiseModel
            Of the same class.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or ``y`` is zero throughout.
        UnknownNoiseError
            A ``ValueError``, too: if noise cannot be told from images.

        Warns
        -----
        UserWarning
            If the noise is correlated between neighbouring entries.

        See Also
        --------
        estimate_noise : How it is done, and a choice between models.

        Notes
        -----
        Levels of 0 mean that the measurements were found noise-free.
        """
        self._check_params()
        if "auto" not in self._given.values():
            return clone(self)
        return self._with(**estimate_levels(operator, y, **self._given))

    def scaled(self, factor: float) -> Self:
        """Return the model of the same measurements multiplied by ``factor``.

        Parameters
        ----------
        factor : float
            Above 0. σ and gain are both in the units of y, and so both grow with it.

        Returns
        -------
        noise : NoiseModel
        """
        sigma, gain = self.levels
        return self._with(sigma=sigma * factor, gain=gain * factor)

    # ------------------------------------------------------------------ randomness
    def variance(self, y: torch.Tensor) -> torch.Tensor:
        """Return an estimate of the noise variance of each entry.

        Parameters
        ----------
        y : torch.Tensor
            Noisy measurements.

        Returns
        -------
        variance : torch.Tensor
            σ² + gain · max(y, 0), of the shape of ``y``.
        """
        sigma, gain = self.levels
        return sigma**2 + gain * y.clamp_min(0)

    def sample(self, y, generator):
        """Return noisy measurements of noise-free ones.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Noise-free measurements. Gradients flow as through y + constant.
        generator : torch.Generator
            Source of randomness, on the CPU.

        Returns
        -------
        noisy : torch.Tensor
            Of the shape, dtype and device of ``y``. Negative entries have no
            Poisson noise.
        """
        self._check_params()
        clean = y.detach().cpu()
        return y + (self._draw(clean, generator) - clean).to(y)

    @abstractmethod
    def _draw(self, clean, generator):
        """Return noisy measurements of noise-free ones, a tensor on the CPU."""

    @abstractmethod
    def recorrupt(self, y, generator, strength):
        """Return a pair of noisier measurements whose errors are independent.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Noisy measurements.
        generator : torch.Generator
            Source of randomness, on the CPU.
        strength : float
            How much noise the first of the pair gets in addition.

        Returns
        -------
        y1, y2 : torch.Tensor
            Both have the noise-free measurements as their mean, and given these
            they are independent (Gaussian: uncorrelated and jointly normal).
        """

    def add(self, Y: Any, random_state: Any = None) -> np.ndarray:
        """Simulate noise on NumPy measurements.

        Parameters
        ----------
        Y : array-like
            Noise-free measurements, of any shape. Complex ones get Gaussian noise
            in their real and in their imaginary part. NaN, or masked, where there is
            none, and so it stays.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same noise at every call.

        Returns
        -------
        noisy : ndarray of float32, or of complex64
            A copy with noise.

        Raises
        ------
        ValueError
            If a parameter is ``"auto"`` or out of its range, or ``Y`` is not an
            array of numbers without infinity, real where photons are counted.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_ei.noise import GaussianNoise
        >>> noisy = GaussianNoise(0.1).add(np.zeros((4, 50, 50)), random_state=0)
        >>> round(float(noisy.std()), 2)
        0.1
        """
        sigma, gain = self.levels
        rng = check_random_state(random_state)
        Y = filled(Y)
        if np.iscomplexobj(Y) and gain == 0:
            real, imaginary = (self.add(part, rng) for part in (np.real(Y), np.imag(Y)))
            return real + np.complex64(1j) * imaginary
        try:
            noisy = np.array(Y, dtype=np.complex128 if np.iscomplexobj(Y) else float)
        except (TypeError, ValueError):
            noisy = np.full(1, np.inf)
        if np.isinf(noisy).any() or np.iscomplexobj(noisy):
            raise ValueError(
                f"Got Y={brief(Y)}, but expected an array of finite, real numbers (NaN "
                "where nothing was measured)."
            )
        if gain > 0:
            # What is negative, or NaN, cannot be counted, and stays as it is.
            rate = np.maximum(np.nan_to_num(noisy), 0)
            noisy += gain * rng.poisson(rate / gain) - rate
        if sigma > 0:
            noisy += rng.normal(0, sigma, noisy.shape)
        return noisy.astype(np.float32)


def draw_poisson(clean, gain, generator):
    """Return gain · Poisson(clean/gain); negative entries stay as they are.

    What is not finite stays so, which training notices when its epoch is over.
    """
    if gain == 0:
        return clean
    rate = clean.clamp_min(0).masked_fill(~clean.isfinite(), 0)
    # Counts above 2²⁴ are not integers in float32; the error is far below noise.
    counts = torch.poisson(rate / gain, generator=generator)
    return clean + (gain * counts - rate)


def draw_normal(y, sigma, generator):
    """Return N(0, σ²) of the shape, dtype and device of ``y``, drawn on the CPU."""
    w = torch.randn(y.shape, generator=generator, dtype=y.dtype)
    return (sigma * w).to(y.device)
