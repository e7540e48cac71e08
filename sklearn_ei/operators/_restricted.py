"""The part of an operator that belongs to the measurements that there are."""

import torch

from ..utils.cgls import cgls
from ._refinement import Refinement

_CGLS_STEPS = 15


class RestrictedOperator(Refinement):
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
    operator : ForwardOperator
        A; of a part of a part, that of the whole.
    kept : torch.Tensor of bool
        M.
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
    has_orthogonal_rows, has_complex_channels : bool
        Those of A.

    Notes
    -----
    - forward: M A x;
    - adjoint: Aᵀ M y;
    - pseudo-inverse: A† of measurements that A's ``part_filling`` prepares. Where A
      has orthogonal rows, such as a mask, they are M y, as (M A)†y = A† M y. In
      tomography lost bins are interpolated from their neighbours, and views weighted
      by the gaps that are left, as for an operator with these views alone. Elsewhere
      they are M y + (1 − M) A (M A)†y, with (M A)†y by 15 steps of conjugate
      gradients (CGLS); the result then depends on y through the steps, which is not
      quite linear, but differentiable.

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
        kept = kept != 0
        if isinstance(operator, RestrictedOperator):
            kept = kept & operator.kept.to(kept.device)
            operator = operator.operator
        self.operator = operator
        self.kept = kept
        self._filling = None
        self.image_shape = operator.image_layout.shape
        self.measurement_shape = shape
        self.n_refinements: int = operator.n_refinements
        for name in (
            "image_layout",
            "measurement_layout",
            "image_channels",
            "measurement_channels",
            "natural_axis",
            "has_orthogonal_rows",
            "has_complex_channels",
        ):
            setattr(self, name, getattr(operator, name))

    def __repr__(self):
        share = float(self.kept.float().mean())
        return f"RestrictedOperator({self.operator}, kept={share:.0%})"

    @property
    def _refinement_spectrum(self):
        """That of A; B M A is a projection for orthogonal rows alone."""
        norm, projects = self.operator._refinement_spectrum
        return norm, projects and self.has_orthogonal_rows

    def take(self, samples):
        """Return the operator of some samples of a batch.

        Parameters
        ----------
        samples : slice or torch.Tensor of int64
            Which ones.

        Returns
        -------
        part : RestrictedOperator
            Itself, where all samples have the same mask.
        """
        alone = self.kept.shape == self.measurement_shape or len(self.kept) == 1
        whole, kept = self.operator.take(samples), self.kept
        if alone and whole is self.operator:
            return self
        return RestrictedOperator(whole, kept if alone else kept[samples])

    @property
    def depends_on_measurements(self):
        """Whether A is known beside measurements only."""
        return self.operator.depends_on_measurements

    def for_measurements(self, y):
        """Return M A for a batch of measurements, where A depends on them.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements, NaN where there is none.

        Returns
        -------
        operator : RestrictedOperator
        """
        if not self.depends_on_measurements:
            return self
        seen = y.masked_fill(~self._kept_like(y), torch.nan)
        return RestrictedOperator(self.operator.for_measurements(seen), self.kept)

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
        return self.only_measured(self.operator.forward(x))

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
        return self.operator.adjoint(self.only_measured(y))

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        """Return A† of the kept measurements, prepared for it; see Notes.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Reconstructed images: B y, followed by ``n_refinements`` calls of
            :meth:`refine`.
        """
        x = self._plain_pinv(y)
        for _ in range(self.n_refinements):
            x = self.refine(x, y)
        return x

    def _correction(self, x, y):
        """Return B(y − M A x), the residual prepared like measurements."""
        residual = self.only_measured(y - self.operator.forward(x))
        _, fill_step = self._fillings(residual)
        return self.operator._plain_pinv(fill_step(residual))

    def _plain_pinv(self, y):
        """Return B y, the approximate inverse of M A without refining steps."""
        fill, _ = self._fillings(y)
        return self.operator._plain_pinv(fill(self.only_measured(y)))

    def _fillings(self, y):
        if self._filling is None:
            self._filling = self.operator.part_filling(self._kept_like(y))
        return self._filling

    def squared_norm(self) -> float:
        """Return an upper bound on ‖M A‖², that on ‖A‖²."""
        return self.operator.squared_norm()

    def only_measured(self, y):
        """Return M y, zeros in place of measurements that are not kept.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements, NaN where there are none.

        Returns
        -------
        y : torch.Tensor
        """
        # Not a product: NaN times zero is NaN.
        return y.masked_fill(~self._kept_like(y), 0)

    def _kept_like(self, y):
        if self.kept.device != y.device:  # copied only once
            self.kept = self.kept.to(y.device)
        return self.kept


def part_of(operator, y):
    """Return the part of A that measured y, and y without NaN.

    The one place where measurements meet the operator that made them. What it never
    measures is no reading, whatever an instrument left there.

    Parameters
    ----------
    operator : ForwardOperator or RestrictedOperator
        A, with its shapes fixed.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements, NaN where nothing was measured.

    Returns
    -------
    part : ForwardOperator or RestrictedOperator
        A itself, where nothing is missing, and A does not depend on measurements.
    y : torch.Tensor
        Zero where nothing was measured.
    """
    operator = operator.for_measurements(y)
    y = operator.only_measured(y)
    missing = y.isnan()
    if not bool(missing.any()):
        return operator, y
    part = RestrictedOperator(operator, ~missing)
    return part, part.only_measured(y)


def completed(operator, y, kept):
    """Return M y + (1 − M) A (M A)†y, with (M A)†y by conjugate gradients.

    Parameters
    ----------
    operator : ForwardOperator
        A.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        M y.
    kept : torch.Tensor of bool
        M.

    Returns
    -------
    y : torch.Tensor
    """

    def forward(x):
        return operator.forward(x).masked_fill(~kept, 0)

    x, *_ = cgls(forward, operator.adjoint, y, _CGLS_STEPS)
    return torch.where(kept, y, operator.forward(x))
