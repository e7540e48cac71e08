"""Entries that are zero in every sample: dead pixels, or what was never measured."""

import numpy as np
import torch
from scipy.ndimage import binary_opening

from ..utils.stack_check import filled

# Samples, at least so many: a single sparse signal looks the same. The most that
# independent sparse signals have of such entries is 4 · 10⁻², 7 · 10⁻³ and 10⁻³ of
# all in two, three and four samples, 2 (1 − q)ⁿ q²ⁿ with q = ⅔ of them not zero.
_FEWEST = 2
_SHARES = {2: 0.1, 3: 0.03}
_MOST = 256  # samples that are looked at, in batches of ...
_BATCH = 16
_ALIVE = 0.9  # of the samples, in which the neighbours are not zero
_LEAST, _OF_ALL = 3, 0.002  # entries, and their share, of four samples or more
_ALIKE = 1e-9  # 1 − cosine of samples that are the same, but for rounding
_LEVELS = 8  # values of binary images, labels and drawings


def find_dead_entries(operator, Y, y):
    """Return what is to be said of entries that are zero in all samples.

    Each between two neighbours that are not: black background has black neighbours,
    and sparse signals are not zero at the same places.

    Parameters
    ----------
    operator : ForwardOperator
        With its shapes fixed.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels]) or \
            torch.Tensor of shape (n_samples, n_channels, *measurement_shape)
        All measurements.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Some of them, which are looked at first.

    Returns
    -------
    sentence : str or None
    """
    is_k_space = operator.loses == "k-space"
    masked = is_k_space or (operator.loses == "pixels" and operator.mixing_radius == 0)
    if not masked or len(Y) < _FEWEST:
        return None
    measured = operator.measured_entries()
    looked_at = y * torch.from_numpy(measured).to(y.device)
    if _has_few_values(looked_at) or _are_alike(looked_at):
        return None
    least = max(_LEAST, _SHARES.get(len(Y), _OF_ALL) * measured.size)
    if not _count(*_seen([y]), measured, least):
        return None
    n = _count(*_seen(_batches(operator, Y)), measured, least)
    if not n:
        return None
    if is_k_space:
        return (
            f"{n} points of k-space are 0 in all samples while their neighbours are "
            "not: if nothing was measured there, pass MRI(mask=…) with True where "
            "measured (MRI.mask_of(Y)[0]), or NaN."
        )
    return (
        f"{n} pixels are 0 in all frames while their neighbours are not: if they are "
        "dead, pass Inpainting(mask=…) with True where measured, or NaN."
    )


def _are_alike(y):
    """Return whether samples are multiples of one, and tell no more than that does."""
    each = torch.nn.functional.normalize(y.nan_to_num().flatten(1).double(), dim=1)
    return bool((each @ each[0] > 1 - _ALIKE).all())


def _has_few_values(y):
    values = y[torch.isfinite(y) & (y != 0)]
    return len(torch.unique(values[:: max(1, len(values) // 10_000)])) < _LEVELS


def _batches(operator, Y):
    """Yield up to 256 samples, evenly spread, as tensors."""
    chosen = np.unique(np.linspace(0, len(Y) - 1, _MOST).round().astype(int))
    for start in range(0, len(chosen), _BATCH):
        numbers = chosen[start : start + _BATCH]
        if isinstance(Y, torch.Tensor):
            yield Y[torch.from_numpy(numbers)]
            continue
        few = np.stack([np.asarray(filled(Y[i])) for i in numbers])
        is_complex = np.iscomplexobj(few)
        _, layout = operator.layouts(measurement=few.shape[1:], is_complex=is_complex)
        yield layout.to_tensor(few)


def _seen(batches):
    """Return where all samples are zero, and where nearly all of them are not."""
    zero, n_alive, n = None, None, 0
    for y in batches:
        none = (y == 0).all(1)
        some = ((y != 0) & ~y.isnan()).any(1)
        zero = none.all(0) if zero is None else zero & none.all(0)
        n_alive = some.sum(0) if n_alive is None else n_alive + some.sum(0)
        n += len(y)
    return zero.numpy(force=True), (n_alive >= _ALIVE * n).numpy(force=True)


def _count(zero, alive, measured, least):
    """Return how many measured entries are dead, 0 where that may be chance."""
    # What pixels read that the mask leaves out is no neighbour of black background.
    zero, alive = zero & measured, alive & measured
    n = int((between(alive) & zero).sum())
    if n < least:
        return 0
    # Beside those between two that live: their dead neighbours, but no background,
    # which is what squares fit into.
    padded = np.pad(zero, 1, constant_values=True)
    solid = binary_opening(padded, np.ones((3,) * zero.ndim, bool))
    inside = (slice(1, -1),) * zero.ndim
    return max(n, int((zero & ~solid[inside]).sum()))


def between(alive):
    """Return which entries have neighbours that live on both sides, along any axis."""
    found = np.zeros_like(alive)
    for axis in range(alive.ndim):
        seen, into = np.moveaxis(alive, axis, 0), np.moveaxis(found, axis, 0)
        into[1:-1] |= seen[:-2] & seen[2:]
    return found
