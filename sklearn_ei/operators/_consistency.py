"""Does an operator explain the measurements? Wrong set-ups give plausible images."""

import time

import numpy as np
import torch

from ..utils.stack import is_lazy
from ..utils.stack_check import check_stack, check_tensor, filled
from ..utils.torch_state import own_torch
from ._checks import check_operator
from ._dead_entries import find_dead_entries
from ._explain import explain
from ._stuck import mask_of, say_stuck, without_stuck

_MAX_SAMPLES = 4
_MAX_ENTRIES = 2_000_000  # of all samples that are looked at


class ModelMismatchWarning(UserWarning):
    """The operator does not explain the measurements; the message says how much.

    See :func:`sklearn_ei.operators.check_consistency`.
    """


@own_torch()
def check_consistency(operator, Y):
    """Say how much of the measurements an operator explains, and what may be wrong.

    A wrong angle unit, centre, order or mask gives a plausible, wrong image. But
    no image has such measurements: y − A x does not vanish, whatever x is.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from ``Y``.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels]) or \
            torch.Tensor of shape (n_samples, n_channels, *measurement_shape)
        Measurements, of which up to four are looked at; NaN where there are none. For
        bins that are stuck, all that are in memory.

    Returns
    -------
    report : ConsistencyReport

    Raises
    ------
    TypeError, ValueError
        If ``Y`` is not a real stack, or does not fit the operator.

    See Also
    --------
    estimate_detector_offset : Finds the centre of rotation.
    estimate_parameters : Finds any other number.

    Notes
    -----
    12 steps of conjugate gradients on ‖y − A x‖² leave a residual F y. The same
    steps, with the same coefficients, turn white noise w into F w; second
    differences of both along each axis of y tell the level of the noise in F y,
    and what it adds to ‖F y‖². The rest is ``unexplained``, and so is what rays of a
    tomograph that miss the image have seen, noise apart.

    Above 5 % the operator is wrong, if a common mistake is found or 100 steps leave
    as much. Between 1 % and 5 % it is if one of the common mistakes, put right,
    explains clearly more; real data with the right geometry can be there. Where A has
    full row rank (compressed sensing, decimation), or there are few views of a large
    image, every y is explained, right or wrong.

    Bins of a tomograph that read the same in nine of ten views, and views that do in
    nine of ten bins, are named, and left out of all that follows, if no object in air
    reads so. Not told are those in the air, or at the end of a detector, that read
    much like their neighbours, three or more adjacent ones near the axis that nothing
    gets through, as in a metal core, views that read as air does where the object
    reaches an end of the detector in others, and fewer than eight views.

    *Masks.* Energy where A never measures is told if all of it comes to where A does
    once the axes are exchanged, an axis is reversed or shifted by half, or the mask is
    inverted; if what A measures is missing; or if it goes with what is measured beside
    it, as noise and the rubbish of dead pixels do not. k-space is told whose energy is
    around a corner and not around its middle, and images in its place: usual ones have
    their energy at zero frequency. Entries that are zero in all samples (of up to 256)
    are told if they are between others that are not: black background is not.

    A mirrored image cannot be told: with parallel beams the wrong sense of
    rotation, or the detector read from the other end, explain y as well.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.operators import ParallelBeamCT, check_consistency
    >>> images = make_thorax_phantoms(2, (32, 32), random_state=0)
    >>> Y = ParallelBeamCT(30, (32, 32), detector_offset=3.0).measure(images)
    >>> report = check_consistency(ParallelBeamCT(30, (32, 32)), Y)
    >>> report.is_consistent
    False
    >>> report.causes[0]
    'detector_offset is about 2.9 rather than 0'
    """
    start = time.perf_counter()
    check_operator(operator)
    Y = _as_stack(operator, Y)
    operator, y = some_samples(operator, Y)
    y, stuck = without_stuck(operator, y, Y)
    report = explain(operator, y, axes_of(operator, Y))
    dead = find_dead_entries(operator, Y, y) if report.is_consistent else None
    if dead:
        report.is_consistent, report.sentence = False, dead
        report.causes = ["zeros stand where nothing was measured"]
    if stuck:
        report.is_consistent = False
        report.causes = [f"{stuck.names}: dead, stuck or lost", *report.causes]
        report.sentence = f"{say_stuck(stuck, Y)} Without that: {report.sentence}"
        report.stuck = mask_of(stuck, Y)
    report.seconds = time.perf_counter() - start
    return report


def _as_stack(operator, Y):
    """Return measurements that can be indexed, without a look at all of an array."""
    if isinstance(Y, torch.Tensor):
        check_tensor(Y, "Y", operator.measurement_layout.shape)
        return Y
    is_array = hasattr(Y, "dtype") and hasattr(Y, "shape") and hasattr(Y, "__getitem__")
    if is_array and np.dtype(Y.dtype).kind in "biufc" and np.prod(Y.shape[:1]):
        return Y
    if is_lazy(Y):
        return Y
    complex_ok = operator.has_complex_channels
    return check_stack(Y, "Y", "measurements", complex_ok=complex_ok, missing_ok=True)


def some_samples(operator, Y):
    """Return the resolved operator, and a few measurements as a tensor."""
    if isinstance(Y, torch.Tensor):
        operator = operator.resolve(measurement_shape=tuple(Y.shape[2:]))
        y = Y[:_MAX_SAMPLES].detach().float()
        return operator, y
    n_entries = max(1, int(np.prod(np.shape(Y)[1:])))
    size = max(1, min(_MAX_SAMPLES, _MAX_ENTRIES // n_entries))
    chosen = np.unique(np.linspace(0, len(Y) - 1, size).round().astype(int))
    few = np.stack([np.asarray(filled(Y[i])) for i in chosen])
    complex_ok = operator.has_complex_channels
    Y = check_stack(few, "Y", "measurements", complex_ok=complex_ok, missing_ok=True)
    is_complex = np.iscomplexobj(Y)
    _, layout = operator.layouts(measurement=Y.shape[1:], is_complex=is_complex)
    y, resolved = layout.to_tensor(Y), operator.resolve(measurement_shape=layout.shape)
    return resolved, y


def axes_of(operator, Y):
    """Return which axes of the user's array are those of a measurement."""
    n = len(operator.measurement_layout.shape)
    if isinstance(Y, torch.Tensor):
        return tuple(range(2, 2 + n))
    dtype = Y.dtype if hasattr(Y, "dtype") else np.asarray(Y[0]).dtype
    first = np.ndim(Y) - n if dtype.kind == "c" else 1  # coils stand before
    return tuple(range(first, first + n))
