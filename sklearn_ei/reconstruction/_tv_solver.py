"""The primal–dual iteration for total variation, and what it starts from."""

import torch
from torch.nn import functional as F

from ..utils.random import make_generator

# Iterations between two looks at the gap, each of which costs one A and one Aᵀ.
_CHECK_EVERY = 20
# The images that the gap compares with: within this part of the norm of u.
_NEIGHBOURHOOD = 0.1
# Measured on CT, noise-free and noisy, and on lost pixels (λ = 1e-2 to 3e-6): the
# largest step for the sum of both dual blocks, the same for each, and relaxation
# close to its limit of 2 need far fewer iterations than plain steps.
_RELAXATION = 1.9
_PRIMAL_STEP = 0.3  # times λ^−½: images are of size 1, and duals of size λ
_SMALLEST = 1e-8  # below it λ no longer changes the step sizes
# Units in the last place; counts where the objective is next to zero, as that of a
# constant.
_ROUNDING = 8
_UNSEEN = 1e-6


class TotalVariationProblem:
    """min_u ½ ‖K u − d‖² + λ TV(u), optionally over u ≥ 0, for a stack of samples.

    Parameters
    ----------
    K, KT : callable
        A linear map with ‖K‖ ≤ 1 on tensors (batch, channel, *shape), and its
        transpose.
    data : torch.Tensor of shape (batch, channel, *measurement_shape)
        d.
    weight : float
        λ.
    nonneg : bool
        Whether u ≥ 0.
    coupled : bool
        Whether the channels of an image share one length of the gradient. If not,
        each is a problem of its own.
    """

    def __init__(self, K, KT, data, weight, *, nonneg, coupled):
        self.K, self.KT = K, KT
        self.data = data
        self.weight = weight
        self.nonneg = nonneg
        self.coupled = coupled

    def solve(self, u, tol, n_iterations):
        """Return the minimisers by over-relaxed primal–dual hybrid gradients.

        Parameters
        ----------
        u : torch.Tensor of shape (batch, channel, *shape)
            What to start from.
        tol : float
            Largest gap, relative to the objective; see :meth:`gap`.
        n_iterations : int
            Most iterations, each with one K and one Kᵀ.

        Returns
        -------
        u : torch.Tensor
            Each problem's iterate when its gap first was below ``tol``, so that it
            does not depend on the others.
        converged : torch.Tensor of bool, (batch,) or (batch, channel)
            For each problem, whether there was such an iterate.
        """
        size = 4 * max(1, sum(n > 1 for n in u.shape[2:]))  # ≥ ‖∇‖²
        ratio = _PRIMAL_STEP * max(self.weight, _SMALLEST) ** -0.5
        # τ (σ_p ‖K‖² + σ_q ‖∇‖²) = 1, half for each.
        tau, sigma_p, sigma_q = ratio, 0.5 / ratio, 0.5 / (ratio * size)
        p = self.K(u) - self.data
        q = torch.zeros_like(gradient(u))
        found, converged = u, None
        for iteration in range(1, n_iterations + 1):
            v = u - tau * (self.KT(p) + divergence(q))
            if self.nonneg:
                v = v.clamp_min(0)
            ahead = 2 * v - u
            p_next = (p + sigma_p * (self.K(ahead) - self.data)) / (1 + sigma_p)
            q_next = self._project(q + sigma_q * gradient(ahead))
            if iteration % _CHECK_EVERY == 0 or iteration == n_iterations:
                gap, value = self.gap(v, p_next, q_next)
                below = gap <= tol * value + self.rounding(v)
                if converged is None:
                    converged = torch.zeros_like(below)
                found = torch.where(self._beside(converged, v), found, v)
                converged = converged | below
                if bool(converged.all()):
                    break
            u = u + _RELAXATION * (v - u)
            p = p + _RELAXATION * (p_next - p)
            q = q + _RELAXATION * (q_next - q)
        return found, converged

    def gap(self, u, p, q):
        """Return the primal–dual gap within a neighbourhood of u, and the objective.

        With s = Kᵀp + ∇ᵀq and any |q| ≤ λ, convexity gives for every image u′

            P(u) − P(u′) ≤ ½ ‖p − (K u − d)‖² + λ TV(u) − ⟨q, ∇u⟩ + ⟨s, u − u′⟩,

        and the last term is at most ‖s‖ r for ‖u′ − u‖ ≤ r, here a tenth of ‖u‖;
        over u′ ≥ 0 entries of s where u = 0 and s ≥ 0 do not count. P(u) is then
        within (‖u − u*‖ / r) · gap of its minimum at u*, or within the gap, if u*
        is nearer than r.
        """
        slope, residual = gradient(u), self.K(u) - self.data
        s = self.KT(p) + divergence(q)
        if self.nonneg:
            s = torch.where((u > 0) | (s < 0), s, 0)
        size = self._energy(u).sqrt()
        variation = self._variation(slope)
        gap = (
            0.5 * self._energy(p - residual)
            + variation
            - self._sum(q * slope)
            + _NEIGHBOURHOOD * size * self._energy(s).sqrt()
        )
        return gap, 0.5 * self._energy(residual) + variation

    def rounding(self, u):
        """Return what rounding may leave of the gap of u.

        Of the residual the size of d, of the variation that of u at each pixel, and
        of s = Kᵀp + ∇ᵀq that of q, and of u over the step τ ~ λ^−½ at which it no
        longer changes.
        """
        ulp = _ROUNDING * torch.finfo(u.dtype).eps
        size = self._energy(u).sqrt()
        pixels = self.weight * self._sum(torch.ones_like(u)).sqrt()
        s = pixels + self.weight**0.5 * size
        residual = 0.5 * ulp**2 * self._energy(self.data)
        return residual + ulp * size * (pixels + _NEIGHBOURHOOD * s)

    def _lengths(self, slope):
        """Return the gradient's length at each pixel, as it broadcasts to q."""
        axes = (1, 2) if self.coupled else 2
        return slope.square().sum(axes, keepdim=True).sqrt()

    def _project(self, q):
        # q / max(1, |q| / λ), without a division by zero.
        lengths = self._lengths(q)
        factor = self.weight / lengths.clamp_min(torch.finfo(q.dtype).tiny)
        return q * factor.clamp_max(1)

    def _variation(self, slope):
        return self.weight * self._sum(self._lengths(slope))

    def _energy(self, z):
        return self._sum(z.square())

    def _sum(self, z):
        # In float64: gaps are small differences of large sums.
        return z.flatten(1 if self.coupled else 2).sum(-1, dtype=torch.float64)

    def _beside(self, numbers, z):
        return numbers.reshape(*numbers.shape, *[1] * (z.ndim - numbers.ndim))


def gradient(u):
    """Return forward differences inside the image, (batch, channel, d, *shape)."""
    parts = torch.zeros((*u.shape[:2], u.ndim - 2, *u.shape[2:]), dtype=u.dtype)
    parts = parts.to(u.device)
    for axis in range(2, u.ndim):
        n = u.shape[axis] - 1
        torch.sub(
            u.narrow(axis, 1, n),
            u.narrow(axis, 0, n),
            out=parts[:, :, axis - 2].narrow(axis, 0, n),
        )
    return parts


def divergence(q):
    """Return ∇ᵀq, the transpose of :func:`gradient` (minus a divergence)."""
    u = torch.zeros_like(q[:, :, 0])
    for axis in range(2, u.ndim):
        n = u.shape[axis] - 1
        part = q[:, :, axis - 2].narrow(axis, 0, n)
        u.narrow(axis, 1, n).add_(part)
        u.narrow(axis, 0, n).sub_(part)
    return u


def keep_measured(y, A):
    """Return measurements with zeros for those that A does not make.

    They would count as errors that no image can avoid, and whatever stands there, NaN
    included, is not to be read.
    """
    noise = _noise_like(A.adjoint(torch.zeros_like(y)))
    return torch.where(_reached(A.forward(noise)), y, 0)


def fill_unseen(u, A, y):
    """Return images whose pixels that A never reads are filled from neighbours.

    Total variation moves what is lost by one small step after another; from the mean
    of the nearest pixels it has next to nothing left to do.

    Parameters
    ----------
    u : torch.Tensor of shape (batch, channel, *image_shape)
        Images. Those of more than three dimensions stay as they are.
    A : ForwardOperator or RestrictedOperator
        What measured them.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements, of which only the shape is read.
    """
    if u.ndim > 5:
        return u
    seen = _reached(A.adjoint(_noise_like(y))).to(u.dtype)
    if not bool(seen.any()):
        return u
    d = u.ndim - 2
    mean = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[d]
    u = u * seen
    for _ in range(max(u.shape[2:])):
        if bool(seen.all()):
            break
        weight = mean(seen, 3, stride=1, padding=1)
        values = mean(u, 3, stride=1, padding=1)
        grown = (seen == 0) & (weight > 0)
        u = torch.where(grown, values / weight.clamp_min(0.5 / 3**d), u)
        seen = torch.where(grown, 1, seen)
    return u


def _noise_like(z):
    return torch.randn(z.shape, generator=make_generator(0)).to(z)


def _reached(z):
    """Return where an operator's answer to noise is not zero but for rounding."""
    size = z.abs()
    return size > _UNSEEN * size.max()
