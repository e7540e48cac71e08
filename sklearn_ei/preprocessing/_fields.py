"""Flat and dark fields: which readings they belong to, and where there is no beam."""

import numpy as np

from ..utils.params import brief
from ..utils.stack_check import check_stack, filled
from ..utils.stuck import listed


def field_of_samples(field, name, shape):
    """Return a field as float64 that broadcasts to a stack, NaN where it is not known.

    Parameters
    ----------
    field : float or array-like
    name : str
        Of the argument, for the messages.
    shape : tuple
        Of the stack, (n_samples, *measurement_shape).

    Returns
    -------
    field : ndarray

    Raises
    ------
    ValueError
        If it does not fit, fits in two ways, or holds no number, or infinity.
    """
    given = _shape(field)
    if _is_ambiguous(given, shape):
        raise ValueError(
            f"Got {name} of shape {given} for {shape[0]} samples of {shape[1]} views, "
            "which may be a field for each sample or for each view, but expected "
            f"{name}[:, np.newaxis] for the former, or {name}[np.newaxis] for the "
            "latter."
        )
    try:
        return _checked(field, name, shape)
    except ValueError as error:
        raise ValueError(f"{error}{_other_way(given, name, shape)}") from None


def field_of_all(field, name, shape):
    """Return the field of every sample, the mean of frames if there are several.

    Parameters
    ----------
    field, name, shape
        As for :func:`field_of_samples`.

    Returns
    -------
    field : ndarray
        That broadcasts to one measurement.

    Raises
    ------
    ValueError
        As there, and if there may be one for each sample.
    """
    given = _shape(field)
    if len(given) == len(shape) and given[0] == shape[0] > 1:
        raise ValueError(
            f"Got {name} of shape {given} for {shape[0]} samples, which may be a field "
            f"for each of them or as many frames, but expected one field: "
            f"{name}.mean(axis=0) of frames; transmission_to_attenuation takes a field "
            "for each sample, such as the rows of a detector."
        )
    are_frames = len(given) == len(shape)
    of_one = given[1:] if are_frames and given[0] > 1 else given
    if _is_ambiguous(of_one, shape):
        mean = f"{name}.mean(0)" if are_frames else name
        raise ValueError(
            f"Got {name} of shape {given} for {shape[0]} samples of {shape[1]} views, "
            "which may be a field for each sample or for each view, but expected "
            f"{mean}[np.newaxis] for the latter; transmission_to_attenuation takes the "
            f"former, as {mean}[:, np.newaxis]."
        )
    if are_frames:
        frames = check_stack(
            filled(field), name, "frames", dtype=np.float64, missing_ok=True
        )
        n_seen = (~np.isnan(frames)).sum(axis=0)
        with np.errstate(invalid="ignore"):
            field = np.nan_to_num(frames).sum(axis=0) / n_seen
    try:
        return _checked(field, name, shape[1:])
    except ValueError as error:
        hint = _other_way(given, name, shape)
        if hint:
            hint = f"{hint[:-1]}, which transmission_to_attenuation takes."
        if given and len(shape) > 2:
            hint += (
                f" Frames are (n_frames, …) with {len(shape)} axes, such as "
                f"{name}[:, np.newaxis]."
            )
        raise ValueError(f"{error}{hint}") from None


def check_beam(dark, flat):
    """Refuse fields without a beam anywhere."""
    known = ~np.isnan(flat - dark)
    dead = np.count_nonzero(flat <= dark)
    if dead == np.count_nonzero(known):
        raise ValueError(
            f"Got flat not above dark in {dead} of {known.size} value(s), up to "
            f"{np.nanmax(flat):g} and {np.nanmax(dark):g}, but expected a beam; they "
            "may be exchanged, or the beam was off."
        )


def refuse_readings_without_beam(readings, dark, flat):
    """Refuse readings, other than NaN, where the flat field is not above the dark.

    Parameters
    ----------
    readings : ndarray
    dark, flat : ndarray
        That broadcast to them.
    """
    dark_there = flat <= dark
    if not dark_there.any():
        return
    bad = dark_there & ~np.isnan(readings)
    if not bad.any():
        return
    bins = np.flatnonzero(bad.any(axis=tuple(range(bad.ndim - 1)))).tolist()
    which = bins if len(bins) <= 6 else "…"
    raise ValueError(
        f"Got flat not above dark in {np.count_nonzero(dark_there)} of "
        f"{dark_there.size} value(s), in {listed('bin', bins)}, but expected a beam "
        "wherever readings are not NaN; bins that are dead are made NaN by "
        f"DeadBinMasker(bins={which}) before."
    )


def _shape(field):
    try:
        return np.shape(field)
    except ValueError:  # ragged
        return ()


def _fits(given, shape):
    try:
        return np.broadcast_shapes(given, shape) == tuple(shape)
    except ValueError:
        return False


def _of_each_sample(given):
    """Return a shape with an axis for views, (n_samples, 1, …)."""
    return (*given[:1], 1, *given[1:])


def _is_ambiguous(given, shape):
    """Whether (n, n_bins) may be a field of each sample, and of each view."""
    return (
        len(given) == len(shape) - 1 > 1
        and given[0] == shape[0] > 1
        and _fits(given, shape)
        and _fits(_of_each_sample(given), shape)
    )


def _other_way(given, name, shape):
    """Return what to write instead of a field that does not fit, or nothing."""
    are_frames = len(given) == len(shape) > 2
    of_one = given[1:] if are_frames else given
    mean = f"{name}.mean(0)" if are_frames else name
    of_samples = len(of_one) == len(shape) - 1 and of_one[0] == shape[0]
    if of_samples and _fits(_of_each_sample(of_one), shape):
        return f" A field for each sample is {mean}[:, np.newaxis]."
    if are_frames and _fits(of_one, shape):
        return f" The mean of frames is {mean}."
    return ""


def _checked(field, name, shape):
    """Return a field as float64, if it has numbers and broadcasts to a shape."""
    if field is None:
        raise ValueError(
            f"Got {name}=None, but expected finite numbers; without {name} fields "
            "leave it out and divide by what the beam gives beside the object "
            "(AirNormalizer)."
        )
    try:
        array = np.asarray(filled(field), dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if isinstance(field, bool | str) or np.isinf(array).any() or np.isnan(array).all():
        raise ValueError(
            f"Got {name}={brief(field)}, but expected finite numbers: one, or an "
            "array, with NaN where none is known."
        )
    if not _fits(array.shape, shape):
        raise ValueError(
            f"Got {name} of shape {array.shape}, but expected a number, or an array "
            f"that broadcasts to {tuple(shape)}."
        )
    return array
