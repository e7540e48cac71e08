"""Measurements without what images produce, and random numbers sent the same way."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from ..utils.params import brief
from ..utils.random import make_generator

_N_ENTRIES = 200_000  # of measurements looked at, in whole samples
_MAX_SAMPLES = 32
_N_PROBES = 16  # at least, unless they would take more than ...
_PROBE_ENTRIES = 2_000_000
_DENSE = 700  # entries of a measurement up to which F is a matrix
_WIDTHS = (0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.25, 1.5, 1.75, 2.0)


class Measurements:
    """Some of the measurements, and what is needed to judge them.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    y : torch.Tensor or LazyTensor of shape (batch, channel, *measurement_shape)
        Noisy measurements, up to 32 of which are looked at. Equal ones in a row
        count once, and blank ones beside others, entries that A does not measure, or
        that are infinite, not at all.

    Attributes
    ----------
    y : torch.Tensor
        Those that are looked at; 0 in entries that do not count.
    live : torch.Tensor of bool, of the shape of one sample
        Entries that count, and differ between the samples. In a single sample:
        that are not 0.
    rms : float
        Root mean square of the live ones.

    Raises
    ------
    ValueError
        If ``y`` is empty, no entry is live, entries that A measures are NaN, or A is
        a part of an operator for each of several samples.
    """

    def __init__(self, operator, y):
        if len(y) == 0:
            raise ValueError(
                f"Got y={brief(y)}, but expected at least one measurement."
            )
        kept = getattr(operator, "kept", None)
        if kept is not None and kept.ndim == y.ndim and len(kept) > 1:
            raise ValueError(
                f"Got the parts of an operator that measured {len(kept)} samples, but "
                "expected that of one; pass part_of(operator, y[:1])."
            )
        y = y[:_MAX_SAMPLES]
        y = y[: max(1, _N_ENTRIES // y[0].numel())].float()
        measured = _measured(operator, y)
        if bool((y.isnan().any(dim=0) & measured).any()):
            # As zeros they would look like a wrong operator.
            raise ValueError(
                "Got y with NaN where the operator measures, but expected all of the "
                "measurements; pass one sample and the part of A that measured it, as "
                "part_of(operator, y[:1]) returns them."
            )
        counted = y.isfinite().all(dim=0) & measured
        y = torch.where(counted, y, 0.0)
        says = y.flatten(1).any(dim=1)
        y = y[says] if says.any() else y
        if len(y) > 1:
            repeated = (y[1:] == y[:-1]).flatten(1).all(dim=1)
            y = y[torch.cat([repeated.new_ones(1), ~repeated])]
        live = (y != y[:1]).any(dim=0) if len(y) > 1 else (y != 0)[0]
        live &= counted
        if not live.any():
            raise ValueError(
                "Got measurements that are zero, or not finite, wherever the operator "
                "measures, but expected noisy ones to estimate the noise from; pass "
                "its level as a number."
            )
        self.operator = operator
        self.y = y
        self.live = live
        self.rms = float(y[:, live].square().mean()) ** 0.5

    def probes(self, blur=None):
        """Return unit noise where entries are live, of a multiple of len(y) samples.

        Parameters
        ----------
        blur : tuple (axis, width), default=None
            Of a Gaussian that the noise is convolved with, in entries.

        Returns
        -------
        probes : torch.Tensor
        """
        wanted = min(_N_PROBES, max(4, _PROBE_ENTRIES // self.y[0].numel()))
        n_probes = -(-wanted // len(self.y)) * len(self.y)
        w = torch.randn((n_probes, *self.y.shape[1:]), generator=make_generator(0))
        if blur is not None:
            blurred = gaussian_filter1d(w.numpy(), blur[1], axis=blur[0], mode="wrap")
            w = torch.from_numpy(blurred / blurred.std())
        return w.to(self.y.device) * self.live

    def residuals(self, tensors, steps):
        """Yield k and F = (I − w A B)^k of each of the tensors, for each k in steps."""
        if self.y[0].numel() <= _DENSE:
            yield from self._powers(tensors, steps)
            return
        images = [torch.zeros_like(self.operator.pinv(tensor)) for tensor in tensors]
        done = 0
        for n_steps in steps:
            for _ in range(n_steps - done):
                images = [
                    self.operator.refine(x, tensor)
                    for x, tensor in zip(images, tensors, strict=True)
                ]
            done = n_steps
            yield (
                n_steps,
                [
                    tensor - self.operator.forward(x)
                    for x, tensor in zip(images, tensors, strict=True)
                ],
            )

    def _powers(self, tensors, steps):
        """As :meth:`residuals`, of small measurements: by the matrix of F.

        A few calls of operators in place of thousands, which is what takes the time
        where there is little to compute. Steps have to double.
        """
        m = self.y[0].numel()
        units = torch.eye(m).reshape(m, *self.y.shape[1:]).to(self.y)
        image = torch.zeros_like(self.operator.pinv(units[:1]))
        images = self.operator.refine(image.expand(m, *image.shape[1:]), units)
        matrix = (units - self.operator.forward(images)).reshape(m, m).double()
        power = torch.linalg.matrix_power(matrix, steps[0])
        for n_steps in steps:
            if n_steps > steps[0]:
                power = power @ power
            yield (
                n_steps,
                [
                    (tensor.reshape(-1, m).double() @ power)
                    .reshape(tensor.shape)
                    .float()
                    for tensor in tensors
                ],
            )


def _measured(operator, y):
    """Return where A has a row other than zero, of the shape of one sample."""
    if hasattr(operator, "measured_entries"):
        measured = operator.measured_entries(each_channel=True)
        return torch.as_tensor(measured).to(y.device).expand_as(y[0])
    image = operator.pinv(torch.zeros_like(y[:1]))
    x = torch.randn((4, *image.shape[1:]), generator=make_generator(0)).to(image)
    rows = operator.forward(x).abs().amax(dim=0)
    # Fourier transforms leave rounding errors where nothing is measured.
    return rows > 1e-6 * rows.max()


def difference(r, orders):
    """Return differences of r along axes, by ``{axis: order}``."""
    for axis, order in orders.items():
        r = r.diff(n=order, dim=axis)
    return r


def middle(r, orders):
    """Return the middle entry of every such difference."""
    for axis, order in orders.items():
        r = r.narrow(axis, order // 2, r.shape[axis] - order)
    return r


def fits(r, orders):
    """Whether differences of these orders leave something to average over."""
    return all(r.shape[axis] >= order + 4 for axis, order in orders.items())


# ------------------------------------------------------- correlation of neighbours
def neighbour_correlation(r, axis, order=4):
    """Return the correlation of neighbours along an axis, one for each sample.

    Parameters
    ----------
    r : torch.Tensor of shape (batch, channel, *measurement_shape)
        Filtered measurements.
    axis : int
        Of ``r``.
    order : {2, 4}, default=4
        Of the differences along the axis that are taken before, with first ones
        along the others: what a wrong model leaves is smoother than noise.

    Returns
    -------
    correlation : torch.Tensor of shape (batch,)
        sin(π/2 · mean sign(r_i r_{i+1})), the quadrant correlation: exact for
        normal r, and blind to a few large values.
    """
    r = difference(r, _orders_about(r, axis, order))
    n = r.shape[axis]
    products = torch.sign(r.narrow(axis, 0, n - 1) * r.narrow(axis, 1, n - 1))
    counted = products.ne(0).flatten(1).sum(dim=1).clamp_min(1)
    return torch.sin(products.flatten(1).sum(dim=1) / counted * (np.pi / 2))


def _orders_about(r, axis, order=4):
    return {other: order if other == axis else 1 for other in range(2, r.ndim)}


def excess_correlations(r, p):
    """Return, for each axis, how far neighbours in r correlate more than in p.

    Parameters
    ----------
    r, p : torch.Tensor
        Filtered measurements and filtered probes.

    Returns
    -------
    excess : dict
        ``{axis: (excess, its statistical error)}``.
    """
    excess = {}
    for axis in range(2, r.ndim):
        if fits(r, _orders_about(r, axis)):
            own = neighbour_correlation(r, axis)
            expected = neighbour_correlation(p, axis)
            error = float(expected.std()) * (1 / len(r) + 1 / len(p)) ** 0.5
            excess[axis] = float(own.mean() - expected.mean()), error
    return excess


def blur_width(measurements, axis, n_steps):
    """Return the width of the blur along an axis that explains the correlation.

    Parameters
    ----------
    measurements : Measurements
        What is looked at, and does correlate.
    axis : int
        Of the measurements.
    n_steps : int
        k of :meth:`Measurements.residuals`.

    Returns
    -------
    width : float
        Standard deviation of a Gaussian in entries, from 0.4 to 2.

    Notes
    -----
    Of second differences: fourth ones leave too little of a wide blur.
    """
    probes = [measurements.probes((axis, width)) for width in _WIDTHS]
    for _, filtered in measurements.residuals([measurements.y, *probes], (n_steps,)):
        own, *found = (
            float(neighbour_correlation(r, axis, 2).mean()) for r in filtered
        )
    return float(np.interp(own, np.maximum.accumulate(found), _WIDTHS))
