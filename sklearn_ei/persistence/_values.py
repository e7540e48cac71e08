"""Values that a file may hold, beside those of the right type."""

import numpy as np
import torch
from scipy import sparse

# Columns of a sparse matrix, for each byte that it takes: few enough that images of
# so many pixels are not much larger than the file.
_COLUMNS_PER_BYTE = 16
_COLUMNS = 2**22  # that are never too many
_CHUNK = 2**20
# Of the training's unit, in units of the measurements: between them float32 neither
# overflows nor vanishes.
_MIN_SCALE, _MAX_SCALE = 1e-30, 1e30
# Where NaN is an answer: of a loss that was not computed, a candidate that failed.
_MAY_BE_NAN = ("history_", "cv_results_", "scores_")


def all_finite(value):
    """Return whether no number in a value is NaN or infinite.

    Parameters
    ----------
    value : object
        A number, array, tensor, sparse matrix, or lists and dictionaries of them;
        anything else has none.

    Returns
    -------
    finite : bool
    """
    if isinstance(value, dict | list | tuple):
        items = value.values() if isinstance(value, dict) else value
        return all(map(all_finite, items))
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        chunks = value.detach().flatten().split(_CHUNK)
        return all(bool(chunk.isfinite().all()) for chunk in chunks)
    if sparse.issparse(value):
        value = value.tocoo().data
    if isinstance(value, float):
        value = np.array(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fc":
        return True
    flat = value.reshape(-1)
    chunks = (flat[i : i + _CHUNK] for i in range(0, flat.size, _CHUNK))
    return all(np.isfinite(chunk).all() for chunk in chunks)


def check_columns(n_columns, n_bytes):
    """Refuse a sparse matrix that describes more than it holds.

    Rows are held by their pointers. Columns need none, and images, products and
    other formats have an entry for each.

    Parameters
    ----------
    n_columns : int
    n_bytes : int
        Of the matrix's pointers, indices and values together.

    Raises
    ------
    ValueError
    """
    if n_columns > max(_COLUMNS, _COLUMNS_PER_BYTE * n_bytes):
        raise ValueError(
            f"Got a sparse matrix with {n_columns} columns in {n_bytes} bytes, but "
            f"expected at most {_COLUMNS_PER_BYTE} columns for each byte, or {_COLUMNS}"
        )


def check_fitted_values(estimator):
    """Refuse fitted attributes that would make images NaN.

    Parameters
    ----------
    estimator : estimator
        With its fitted attributes set.

    Raises
    ------
    ValueError
        If one of them is not finite, or ``scale_`` is beyond what float32 can
        divide measurements by.
    """
    for name, value in vars(estimator).items():
        if name.endswith("_") and not name.endswith(_MAY_BE_NAN):
            _expect(all_finite(value), f"{name} is not finite")
    scales = np.asarray(getattr(estimator, "scale_", 1.0))
    _expect(
        scales.dtype.kind in "iuf"
        and bool(np.all((scales >= _MIN_SCALE) & (scales <= _MAX_SCALE))),
        f"scale_ is not between {_MIN_SCALE:g} and {_MAX_SCALE:g}",
    )


def check_planned_network(make, names, decoder, n_channels, *, of_user):
    """Refuse a network that has other weights than a file holds.

    Parameters
    ----------
    make : callable
        Without arguments; returns the network that the parameters describe, and
        calls it on no image.
    names : dict of str to str
        Names of the stored weights, by key.
    decoder : Decoder
        Of the file.
    n_channels : int
        That ``make`` gives the network.
    of_user : bool
        Whether the network is the user's own, and knows no number of the file but
        that of channels. It may need memory to be made at all; its weights are then
        compared when they are loaded.

    Raises
    ------
    ValueError
        Before memory is taken, for the network or from the file.
    """
    shapes = {key: decoder.tensors.like(name).shape for key, name in names.items()}
    n_elements = sum(shape.numel() for shape in shapes.values())
    _expect(n_channels <= n_elements, "the network would be larger than its weights")
    try:
        with torch.device("meta"):
            planned = make().state_dict()
    except (NotImplementedError, RuntimeError):
        if not of_user:
            raise
        return
    _expect(
        {key: tensor.shape for key, tensor in planned.items()} == shapes,
        "the network has other weights than its parameters",
    )


def _expect(holds, complaint):
    if not holds:
        raise ValueError(complaint)
