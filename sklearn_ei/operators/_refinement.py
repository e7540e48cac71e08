"""Steps of images towards their measurements."""

import math

import torch

from ..utils.random import make_generator

# The step of x += w·B(y − Ax) is stable below 2/‖BA‖; the margin covers what
# the power iteration leaves undecided.
_STEP_MARGIN = 0.9
_POWER_ITERATIONS = 30
# Eigenvalues of B A, of its norm, below which several steps do not aim: chosen on CT
# without noise, and with 5 %, where weakly measured parts of an image are noise
# (benchmarks/consistency_steps.py).
_LEAST_OF_NORM, _LEAST_IN_NOISE = 0.05, 0.3
_PROJECTION = 1e-3  # (B A)² − B A, relative


class Refinement:
    """What operators, and parts of them, do between networks: data consistency.

    The class that inherits has ``forward``, ``_plain_pinv``, ``_derived`` and
    ``_image_tensor_shape``.
    """

    def refine(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        n_steps: int = 1,
        *,
        noisy: bool = False,
    ) -> torch.Tensor:
        """Return ``x`` after steps x += w·B(y − A x) towards the measurements.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.
        n_steps : int, default=1
            How many steps, whose sizes w are :meth:`refinement_steps`.
        noisy : bool, default=False
            Whether ``y`` has noise.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images whose measurements are closer to ``y``.

        Notes
        -----
        B is the plain approximate inverse. Where it is the exact pseudo-inverse, w = 1
        and one step is the projection onto ``{x: A x = y}``; others would change
        nothing, and are left out.
        """
        for step in self.refinement_steps(n_steps, noisy=noisy):
            x = x + step * self._correction(x, y)
        return x

    def _correction(self, x, y):
        """Return B(y − A x)."""
        return self._plain_pinv(y - self.forward(x))

    def refinement_steps(
        self, n_steps: int, *, noisy: bool = False
    ) -> tuple[float, ...]:
        """Return the sizes of so many steps of :meth:`refine`.

        Parameters
        ----------
        n_steps : int
            How many are asked for.
        noisy : bool, default=False
            Whether measurements have noise.

        Returns
        -------
        steps : tuple of float
            Sizes w, at most ``n_steps``.

        Notes
        -----
        With L = ‖B A‖, from a power iteration, the size of a single step is min(1,
        1.8/L). Those of n > 1 are inverses of the zeros of the Chebyshev polynomial of
        degree n on [a L, L], a = 0.05, or 0.3 with noise,

            w_k = 1/(c + d cos(π (2k − 1)/(2n))),  c, d = (1 ± a) L/2,

        which together leave least of x where the eigenvalues of B A are in that
        interval [1]_. Large and small steps bring weakly measured parts of an image
        further than equal ones do: f learns better from two of them than from three
        equal ones. If B A is a projection, one step of size 1 is all there is to do.

        References
        ----------
        .. [1] G. H. Golub and R. S. Varga, "Chebyshev semi-iterative methods,
           successive overrelaxation iterative methods, and second order Richardson
           iterative methods", Numerische Mathematik 3, 1961.
        """
        if n_steps == 0:
            return ()
        norm, projects = self._refinement_spectrum
        if projects:
            return (1.0,)
        if n_steps == 1:
            return (min(1.0, 2 * _STEP_MARGIN / norm),)
        angles = (math.pi * (2 * k - 1) / (2 * n_steps) for k in range(1, n_steps + 1))
        low, high = (_LEAST_IN_NOISE if noisy else _LEAST_OF_NORM) * norm, norm
        centre, radius = (high + low) / 2, (high - low) / 2
        return tuple(1 / (centre + radius * math.cos(angle)) for angle in angles)

    @property
    def _refinement_spectrum(self):
        """‖B A‖, and whether B A is a projection."""
        return self._derived("refinement", self._find_refinement_spectrum)

    @torch.no_grad()
    def _find_refinement_spectrum(self):
        x = torch.randn((1, *self._image_tensor_shape), generator=make_generator(0))
        once = self._plain_pinv(self.forward(x))
        change = self._plain_pinv(self.forward(once)) - once
        size = torch.linalg.vector_norm(once)
        projects = bool(torch.linalg.vector_norm(change) <= _PROJECTION * size)
        norm = torch.tensor(1.0)
        for _ in range(_POWER_ITERATIONS):
            x = x / torch.linalg.vector_norm(x).clamp_min(1e-30)
            x = self._plain_pinv(self.forward(x))
            norm = torch.linalg.vector_norm(x)
        return max(float(norm), 1e-30), projects
