"""What the displays share: axes, curves that differ without colour, panels."""

import contextlib
import itertools
from collections.abc import Sequence
from numbers import Integral

import numpy as np

from ..utils.params import brief

# The colours of Okabe and Ito, which colour-blind readers tell apart, in an order
# in which neighbours differ in lightness; and, for print, lines and markers.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P")


def styles():
    """Yield, for one curve after the other, what it is drawn with."""
    yield from (
        {"color": color, "linestyle": line, "marker": marker, "markersize": 4}
        for color, line, marker in itertools.cycle(
            zip(_COLORS, _LINES, _MARKERS, strict=True)
        )
    )


def take_axes(ax, shape, *, layout="constrained", **figure_kwargs):
    """Return the matplotlib axes to draw on.

    Parameters
    ----------
    ax : Axes, sequence of Axes or None
        What the user passed; None makes a figure.
    shape : tuple (n_rows, n_columns)
        Of the panels.
    layout : str, default="constrained"
        Of a new figure; ``"compressed"`` suits panels of fixed aspect.
    **figure_kwargs
        Passed to ``matplotlib.pyplot.subplots``.

    Returns
    -------
    axes : ndarray of shape ``shape``
        Of Axes.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(*shape, squeeze=False, layout=layout, **figure_kwargs)[1]
    from matplotlib.axes import Axes

    axes = np.asarray(ax, dtype=object).reshape(-1)
    if axes.size != shape[0] * shape[1] or not all(isinstance(a, Axes) for a in axes):
        expected = "one" if shape == (1, 1) else f"{shape[0]} × {shape[1]}"
        raise ValueError(
            f"Got ax={brief(ax)}, but expected None or {expected} matplotlib Axes."
        )
    return axes.reshape(shape)


def pick(stack, samples, name):
    """Return some samples of whatever a user passed as a stack.

    Parameters
    ----------
    stack : array-like or data set with a length
        Samples along the first axis.
    samples : ndarray of int
        From :func:`check_samples`.
    name : str
        Of the argument, for the messages.

    Returns
    -------
    chosen : array-like
        Yet to be checked.
    """
    if hasattr(stack, "iloc"):
        return stack.iloc[samples]
    n_samples = count(stack, name)
    if samples.max() >= n_samples:
        raise ValueError(
            f"Got {name} with {n_samples} samples, but expected at least "
            f"{samples.max() + 1}, to show sample {samples.max()}."
        )
    if isinstance(stack, np.ndarray):
        return stack[samples]
    try:
        chosen = [stack[int(i)] for i in samples]
    except Exception as error:  # from whatever the object is
        raise TypeError(_no_stack(stack, name)) from error
    # Items of torch data sets may be pairs of a measurement and its image.
    chosen = [item[0] if isinstance(item, tuple) else item for item in chosen]
    if all(type(item) is np.ndarray for item in chosen):
        with contextlib.suppress(ValueError):  # unequal shapes: see below
            return np.stack(chosen)
    return chosen  # whether it is a stack, check_stack tells


def count(stack, name):
    """Return the number of samples of a stack."""
    try:
        return len(stack)
    except TypeError as error:
        raise TypeError(_no_stack(stack, name)) from error


def _no_stack(stack, name):
    return (
        f"Got {name} of type {type(stack).__name__}, but expected a stack with samples "
        "along its first axis."
    )


def check_samples(samples, n_samples):
    """Return the numbers of samples as an array of non-negative integers.

    Parameters
    ----------
    samples : int or sequence of int
        Negative ones count from the end.
    n_samples : int
        How many there are.

    Returns
    -------
    samples : ndarray of int
    """
    is_list = isinstance(samples, Sequence | np.ndarray | range)
    numbers = list(samples) if is_list and not isinstance(samples, str) else [samples]
    valid = bool(numbers) and all(
        isinstance(i, Integral)
        and not isinstance(i, bool)
        and -n_samples <= i < n_samples
        for i in numbers
    )
    if not valid:
        raise ValueError(
            f"Got samples={brief(samples)}, but expected one or several integers from "
            f"{-n_samples} to {n_samples - 1}."
        )
    return np.array(numbers, dtype=np.int64) % n_samples


def magnitude(image):
    """Return the Euclidean norm over channels, which are last."""
    return np.sqrt(np.square(image).sum(axis=-1))


def shown(image, top=1.0):
    """Return an image with channels as matplotlib shows it.

    Three channels are a colour image from 0 to ``top``; others, among them the two
    of a complex image, are shown by their magnitude.
    """
    if image.shape[-1] == 3:
        return np.clip(image / top, 0, 1)
    return magnitude(image)


def symmetric_limit(values):
    """Return the largest magnitude, or 1 where all are zero."""
    return float(np.abs(values).max()) or 1.0


def without_ticks(axes):
    """Take the ticks off an image."""
    axes.set_xticks([])
    axes.set_yticks([])
