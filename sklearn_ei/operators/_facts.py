"""What an operator tells of itself, so that nobody has to ask for its type."""

import math
from typing import Any

import numpy as np
import torch

from ..utils.device import Constants
from ..utils.html import FactsMixin, shape_text
from ..utils.random import make_generator
from ._iterative import squared_norm_bound
from ._shapes import Shapes

_PROBES = 4
# Fourier transforms leave rounding errors where nothing is measured.
_NOTHING = 1e-6


class Facts(FactsMixin, Shapes):
    """The part of a forward operator that others ask for norms, matrices and axes."""

    natural_axis: int | None = None
    loses: str | None = None
    mixing_radius: float | None = None
    has_orthogonal_rows = False

    @property
    def n_measurements(self) -> int:
        """m, the measurements of one image that are not always zero.

        Of one channel, where A acts on every channel alike.
        """
        return math.prod(self._fixed.measurement_layout.tensor_shape)

    @torch.no_grad()
    def mean_squared_row_norm(self) -> float:
        """Return ‖A‖_F²/m, the scale between both terms of the EI objective.

        Estimated by Hutchinson's method, E‖A z‖² = ‖A‖_F² for random signs z,
        with 32 probes and a fixed seed; exact in subclasses that know better.
        """
        signs = torch.randint(
            0, 2, (32, *self._image_tensor_shape), generator=make_generator(0)
        )
        return float(self.forward(2.0 * signs - 1.0).square().mean())

    def squared_norm(self) -> float:
        """Return an upper bound on ‖A‖², the largest eigenvalue of AᵀA.

        By 100 power iterations from a fixed seed, plus 10 %; computed once.
        """
        return self._derived(
            "squared norm",
            lambda: squared_norm_bound(
                self.forward, self.adjoint, (1, *self._image_tensor_shape)
            ),
        )

    def suited_to_noise(self):
        """Return an operator with the same A whose A† lets less noise through.

        Fits start from it where there is much noise in A†y.

        Returns
        -------
        operator : ForwardOperator
            This one, if it has no choice.
        """
        return self

    def as_sparse(self) -> Any:
        """Return A as a SciPy sparse matrix, where it is one.

        Returns
        -------
        matrix : scipy.sparse.csr_array of shape (m, n) or None
            From the pixels of one channel to its measurements, both in C order;
            not to be changed. None where A is not stored as such a matrix.
        """
        return None

    @torch.no_grad()
    def measured_entries(self, *, each_channel: bool = False) -> np.ndarray:
        """Return where A measures: the entries that are not always zero.

        Parameters
        ----------
        each_channel : bool, default=False
            Whether to tell the channels of a measurement apart.

        Returns
        -------
        measured : bool ndarray of shape measurement_shape
            True where any channel is measured; with ``each_channel``, of shape
            ``(n_channels, *measurement_shape)``, as in tensors, where n_channels is
            1 if A acts on every channel alike.

        Notes
        -----
        From the rows of :meth:`as_sparse`, or from four random images, where no
        subclass knows better.
        """
        measured = self._measured()
        return measured if each_channel else measured.any(axis=0)

    def _measured(self):
        """Return :meth:`measured_entries` of each channel."""
        layout = self._fixed.measurement_layout
        matrix = self.as_sparse()
        if matrix is not None:
            return (abs(matrix).sum(axis=1) > 0).reshape(layout.tensor_shape)
        shape = (_PROBES, *self._image_tensor_shape)
        y = self.forward(torch.randn(shape, generator=make_generator(0)))
        size = y.abs().amax(dim=0)
        return (size > _NOTHING * size.max()).numpy()

    def only_measured(self, y):
        """Return measurements with zeros where A measures nothing.

        Parameters
        ----------
        y : torch.Tensor or LazyTensor of shape (batch, channel, *measurement_shape)
            Measurements. What an instrument leaves at a lost pixel is no reading.

        Returns
        -------
        y : torch.Tensor or LazyTensor
            ``y`` itself, where A measures all of it.
        """
        mask = self._derived("measured", self._measured_mask).like(torch.empty(0)).mask
        if mask.all():
            return y
        # Not a product: NaN times zero is NaN.
        return y.masked_fill(~mask.to(getattr(y, "device", "cpu")), 0)

    def _measured_mask(self):
        measured = self.measured_entries(each_channel=True)
        return Constants(mask=torch.from_numpy(measured))

    def calibration_lines(self, measured: np.ndarray | None = None) -> np.ndarray:
        """Return indices along ``natural_axis`` that no method may do without.

        Parameters
        ----------
        measured : bool ndarray of shape measurement_shape, default=None
            Where there are measurements, such as those that all samples of a stack
            with holes have. None: wherever A measures.

        Returns
        -------
        lines : int ndarray
            Empty but for instruments that say otherwise, such as the lines in the
            middle of k-space, which :class:`~sklearn_ei.operators.MRI` measures all.
        """
        return np.arange(0)

    def symmetries(self) -> list:
        """Return the motions of an image that only permute its measurements.

        Returns
        -------
        symmetries : list of Symmetry
            Without the identity, with which they are a group; empty for
            instruments that do not say otherwise, as those of tomography do.
        """
        return []

    def _facts(self):
        image, measurement = self.image_layout, self.measurement_layout
        yield "images", _layout_text(image)
        yield "measurements", _layout_text(measurement)
        if None not in (image.shape, measurement.shape):
            n, m = math.prod(image.tensor_shape), self._fixed.n_measurements
            yield "m / n", f"{m} / {n} = {m / n:.3g}"


def _layout_text(layout):
    """Return a layout as people write it."""
    return shape_text(
        layout.shape, layout.channels if layout.has_channel_axis else None
    )
