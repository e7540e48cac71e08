"""The part of an operator that belongs to the measurements that there are."""

import torch

from ..utils.cgls import cgls

_CGLS_STEPS = 15


class RestrictedOperator:
    """The part M A of an operator: some of its measurements, the others unknown.

    In place of A within a reconstruction function: what is not kept may hold
    anything, NaN included, and is neither read nor written.

    Parameters
    ----------
    operator : ForwardOperator or RestrictedOperator
        A, with its shapes fixed.
    kept : torch.Tensor of shape measurement_shape or (batch, 1, *measurement_shape)
        M, true (or not zero) where a measurement is kept: for all samples, or for
        each of a batch. With as many channels as measurements in the place of 1,
        each has its own.

    Attributes
    ----------
    image_shape, measurement_shape : tuple
        Those of A: what is not kept is zero in M A x.
    image_layout, measurement_layout : Layout
        Those of A.
    image_channels, measurement_channels : "any", "none" or int
        Those of A.
    natural_axis : int or None
        That of A.
    n_refinements : int
        That of A.
    has_orthogonal_rows : bool
        That of A.

    Notes
    -----
    - forward: M A x;
    - adjoint: Aᵀ M y;
    - pseudo-inverse: A† of completed measurements, M y + (1 − M) A (M A)†y, with
      (M A)†y by 15 steps of conjugate gradients (CGLS). A† then does with the kept
      measurements what it does with all, such as filtering views that stand evenly.

    Where A has orthogonal rows, such as a mask, (M A)†y = A† M y, and nothing has
    to be completed. Elsewhere the result depends on y through the steps of
    conjugate gradients, which is not quite linear, but differentiable.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.operators import Downsampling, RestrictedOperator
    >>> operator = Downsampling(2, (4,))
    >>> second_lost = RestrictedOperator(operator, torch.tensor([True, False]))
    >>> second_lost.pinv(torch.tensor([[[3.0, torch.nan]]]))
    tensor([[[3., 3., 0., 0.]]])
    """

    def __init__(self, operator, kept):
        shape = operator.measurement_layout.shape
        if shape is None:
            raise ValueError(
                f"The shapes of {operator} are still open, but expected an operator "
                "that resolve has given them."
            )
        kept = torch.as_tensor(kept)
        alone = kept.shape == shape
        if not alone and (kept.ndim != len(shape) + 2 or kept.shape[2:] != shape):
            raise ValueError(
                f"Got kept of shape {tuple(kept.shape)}, but expected {shape}, the "
                "shape of a measurement, or (batch, 1, "
                f"{', '.join(map(str, shape))})."
            )
        self.operator = operator
        self.kept = kept != 0
        self.image_shape = operator.image_layout.shape
        self.measurement_shape = shape
        for name in (
            "image_layout",
            "measurement_layout",
            "image_channels",
            "measurement_channels",
            "natural_axis",
            "n_refinements",
            "has_orthogonal_rows",
        ):
            setattr(self, name, getattr(operator, name))

    def __repr__(self):
        share = float(self.kept.float().mean())
        return f"RestrictedOperator({self.operator}, kept={share:.0%})"

    @property
    def refinement_step(self):
        """The step w of :meth:`refine`, that of A."""
        return self.operator.refinement_step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return M A x.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.

        Returns
        -------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements, zero where they are not kept.
        """
        return self._keep(self.operator.forward(x))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return Aᵀ M y.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Back-projected images.
        """
        return self.operator.adjoint(self._keep(y))

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        """Return A† of the kept measurements, completed by A (M A)†y.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Reconstructed images.
        """
        return self.operator.pinv(self._completed(y))

    def refine(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return x + w·B(y − M A x), the residual completed like measurements.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images whose kept measurements are closer to those of ``y``.
        """
        residual = self._completed(y - self.operator.forward(x))
        return x + self.refinement_step * self._plain_pinv(residual)

    def _plain_pinv(self, y):
        """Return B y, the approximate inverse of A without refining steps."""
        return self.operator._plain_pinv(y)

    def squared_norm(self) -> float:
        """Return an upper bound on ‖M A‖², that on ‖A‖²."""
        return self.operator.squared_norm()

    def _kept_like(self, y):
        if self.kept.device != y.device:  # copied only once
            self.kept = self.kept.to(y.device)
        return self.kept

    def _keep(self, y):
        # Not a product: NaN times zero is NaN.
        return y.masked_fill(~self._kept_like(y), 0)

    def _completed(self, y):
        """Return y with A (M A)†y in the place of what is not kept."""
        y = self._keep(y)
        if self.has_orthogonal_rows:
            return y
        x, *_ = cgls(self.forward, self.adjoint, y, _CGLS_STEPS)
        return torch.where(self._kept_like(y), y, self.operator.forward(x))
