"""What the networks' parameters have in common."""

from numbers import Integral


def check_sizes(n_spatial_dims, **sizes):
    """Refuse dimensions other than 1 to 3, and sizes that are not positive integers.

    Parameters
    ----------
    n_spatial_dims : int
        Of the images.
    **sizes : int
        Channels, widths and depths, by name.
    """
    if n_spatial_dims not in (1, 2, 3):
        raise ValueError(
            f"Got n_spatial_dims={n_spatial_dims!r}, but expected 1 (signals), 2 "
            "(images) or 3 (volumes)."
        )
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"Got {name}={value!r}, but expected a positive integer.")
