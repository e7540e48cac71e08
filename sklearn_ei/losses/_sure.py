"""Stein's unbiased risk estimate, for Gaussian and Poisson noise and their mixture."""

import torch
import torch.nn.functional as F

from ._data_term import DataTerm

# Of the noise's standard deviation. Smaller steps drown in the rounding errors of
# bfloat16, larger ones in curvature; see Notes of SURE.
_STEP = 0.1


class SURE(DataTerm):
    """Unbiased estimate of MSE(A f(y), A x), the error against noise-free data.

    Needs a noise model.

    Notes
    -----
    With h = A ∘ f, variances v = σ² + γ y (γ the gain) and means over all
    entries, the term is

        mean (h(y) − y)² − mean v + 2 mean v_i b_i (h_i(y + τ b) − h_i(y))/τ,

    one more pass through f. Its expectation over noise is the error
    ‖A f(y) − A x‖²/m; single values may be negative. The probe b is random with
    mean 0 and variance 1. For Gaussian noise b_i = ±1, and this is Monte-Carlo
    SURE, eq. (8) of [1]_. Where quanta are counted, Stein's identity is

        E u_i h_i(y) = E [y_i h_i(y − γ e_i) − σ² ∂_i h_i(y − γ e_i)],  u = A x,

    which [1]_ and [2]_ expand in ∂_i h_i and ∂_i² h_i. A probe with the skewness
    E b_i³ = −(γ/τ)(γ y_i + 2σ²)/(γ y_i + σ²) brings in the second derivatives
    without a pass of their own; b_i then takes two values.

    The step τ is a tenth of the noise's root mean square. On a trained network the
    divergence is then as good in bfloat16 as in float32, its rounding far below the
    Monte-Carlo error; at a thousandth, gradients in bfloat16 are mostly noise; at one
    standard deviation curvature has a share in it. So f may compute in bfloat16.

    In training mode, batch normalisation ties the samples of a batch together.
    The estimate stays unbiased: all is as if the batch were one measurement, and
    the risk that of f in training mode.

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. E. Davies, "Robust Equivariant Imaging: a
       fully unsupervised framework for learning to image from noisy and partial
       measurements", CVPR 2022.
    .. [2] Y. Le Montagner, E. D. Angelini and J.-C. Olivo-Marin, "An unbiased risk
       estimator for image denoising in the presence of mixed Poisson–Gaussian
       noise", IEEE Trans. Image Processing 23(3), 2014.
    """

    name = "sure"
    takes_noise = "needed"
    n_passes = 2

    def check(self, noise):
        """Refuse that there is no noise model."""
        if noise is None:
            raise ValueError(
                "Got data_term='sure' without noise, but expected a noise model such "
                "as GaussianNoise(0.02); 'unsure' needs none."
            )

    def forward(self, f, y, A, truth=None, start=None):
        """Return x1 and the estimate; see :class:`DataTerm`."""
        x1 = f(y, A, start)
        h = A.forward(x1)
        residual = F.mse_loss(h, y)
        probe = stein_probe(self.noise, y, A, self.generator)
        if probe is None:
            return x1, residual
        b, variance, tau = probe
        difference = A.forward(f(y + tau * b, A)) - h
        divergence = (variance * b * difference).mean() / tau
        return x1, residual - variance.mean() + 2 * divergence


def stein_probe(noise, y, A, generator):
    """Draw what finds the divergence of a function of noisy measurements.

    Parameters
    ----------
    noise : NoiseModel
        With numbers, in the units of ``y``.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Noisy measurements.
    A : ForwardOperator or RestrictedOperator
        What measured them.
    generator : torch.Generator
        Source of randomness, on the CPU.

    Returns
    -------
    b, variance : torch.Tensor
        The probe, and an unbiased estimate of the noise's variance in each entry;
        both are zero where A measures nothing.
    tau : float
        The step: with u = A x and n = y - u, the expectation of n_i h_j(y) is that of
        variance_i b_i (h_j(y + τ b) − h_j(y))/τ. In place of all three None, where
        there is no noise.
    """
    spread = A.only_measured(noise.variance(y))
    power = float(spread.mean())
    if power == 0:
        return None
    sigma, gain = noise.levels
    tau = _STEP * power**0.5
    # Unbiased also where y is negative.
    variance = A.only_measured(sigma**2 + gain * y)
    skewness = -gain / tau * (1 + sigma**2 / spread.clamp_min(1e-12 * power))
    return A.only_measured(draw_probe(skewness, generator)), variance, tau


def draw_probe(skewness, generator):
    """Draw independent numbers with mean 0, variance 1 and given skewness.

    Parameters
    ----------
    skewness : torch.Tensor
        E b³, for each entry.
    generator : torch.Generator
        Source of randomness, on the CPU.

    Returns
    -------
    b : torch.Tensor
        Like ``skewness``. Its values are a with probability 1/(1 + a²) and
        −1/a otherwise, with a − 1/a the skewness.
    """
    root = torch.sqrt(skewness.square() + 4)
    # Of both solutions, a and −1/a, the larger without cancellation first.
    large = (skewness.abs() + root) / 2
    u = torch.rand(skewness.shape, generator=generator, dtype=skewness.dtype)
    rare = u.to(skewness.device) * (1 + large.square()) < 1
    b = torch.where(rare, large, -1 / large)
    return torch.where(skewness < 0, -b, b)
