"""Checks of constructor parameters beyond ``sklearn.utils.check_scalar``."""

from numbers import Integral


def check_option(name, value, options):
    """Refuse a value that is none of the ``options``."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(
            f"Got {name}={value!r}, but expected one of "
            f"{', '.join(map(repr, options))}."
        )
    return value


def check_shape(name, shape, n_dims=None):
    """Return ``shape`` as a tuple of positive ints, with ``n_dims`` of them."""
    try:
        checked = tuple(shape)
        valid = all(isinstance(size, Integral) and size > 0 for size in checked)
    except TypeError:
        valid = False
    if not valid or (n_dims is not None and len(checked) != n_dims):
        count = "" if n_dims is None else f"{n_dims} "
        raise ValueError(
            f"Got {name}={shape!r}, but expected a tuple of {count}positive integers."
        )
    return tuple(int(size) for size in checked)
