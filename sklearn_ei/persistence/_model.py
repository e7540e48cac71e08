"""Save and load estimators without pickle."""

import os
from pathlib import Path
from typing import Any

import torch
from sklearn.base import BaseEstimator
from skorch.history import History

from .. import __version__
from ..groups import Group
from ..networks import is_described
from ..noise import NoiseModel
from ..operators import ForwardOperator
from ..reconstruction import OperatorEstimator
from ..utils.device import resolve_device
from ..utils.params import brief
from ..utils.tensor_file import ModelFileError, read_file, write_file
from ..utils.torch_state import own_torch
from ._decode import Decoder, _expect
from ._encode import Encoder
from ._values import check_fitted_values, check_planned_network

# What is derived from the rest, or belongs to a training and its process:
# scikit-learn's callbacks are given to set_callbacks again.
_NOT_SAVED = {"function_", "net_", "history_", "device_", "_next_epoch"}
_NOT_SAVED |= {"image_layout_", "measurement_layout_", "_skl_callbacks"}
_NOT_SAVED |= {"_skl_callbacks_to_teardown", "_callback_fit_ctx"}
_MAX_DEPTH = 30


def save(estimator: BaseEstimator, path: str | os.PathLike[str]) -> Path:
    """Save an estimator, fitted or not, as one file without pickle.

    The file is safetensors: weights and arrays are tensors, everything else is
    JSON in its metadata. It is written under a temporary name in the same folder,
    synced and renamed, so that ``path`` is never half a file.

    Parameters
    ----------
    estimator : estimator
        An estimator of this package, or of a class derived from one.
    path : str or path-like
        Where; any suffix, ``.safetensors`` by custom. Replaced if it exists.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    TypeError, ValueError
        If something cannot be saved without pickle: functions without a name,
        ODL operators, a ``LinearOperator``, a ``RandomState`` instance. Nothing is
        written then.
    OSError
        If the file cannot be written; what was there before stays.

    See Also
    --------
    load : The way back.

    Notes
    -----
    Saved are the parameters (``get_params(deep=False)`` of the estimator and of
    every operator, group and so on in it), the fitted attributes, the history with
    one entry an epoch, and the weights. Not saved are the moments of the
    optimizer and random states: training goes on from the weights with a fresh
    optimizer, as with ``warm_start``. Callbacks given to ``set_callbacks`` are not
    saved either.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_ei import PseudoInverseReconstructor, load, save
    >>> from sklearn_ei.operators import Inpainting
    >>> fitted = PseudoInverseReconstructor(Inpainting(0.3)).fit([[1.0, 2.0, 3.0]])
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> load(save(fitted, path)).predict([[1.0, 2.0, 3.0]]).tolist()
    [[1.0, 2.0, 0.0]]
    """
    if not isinstance(estimator, OperatorEstimator):
        raise TypeError(
            f"Got estimator of type {type(estimator).__name__}, but expected an "
            "estimator of sklearn_ei, such as EquivariantReconstructor; save the steps "
            "of a pipeline one by one."
        )
    path = Path(path)
    encoder = Encoder()
    own = estimator.get_params(deep=False)
    document = {
        "written_by": f"sklearn_ei {__version__}",
        "estimator": encoder.value(estimator, type(estimator).__name__),
        "fitted": {
            name: encoder.value(value, name, 1)
            for name, value in vars(estimator).items()
            if name not in own and name not in _NOT_SAVED and _is_fitted_name(name)
        },
    }
    layout = getattr(estimator, "measurement_layout_", None)
    if layout is not None and layout.is_complex:
        document["complex"] = True
    if hasattr(estimator, "history_"):
        history = [_epoch_summary(epoch) for epoch in estimator.history_]
        document["history"] = encoder.value(history, "history_")
    if hasattr(estimator, "function_"):
        network = estimator.function_.stages
        _check_described(estimator, network)
        document["network"] = encoder.state(network, "network")
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise ValueError(
                    f"Got a network whose weights {name} are not finite, but expected "
                    "one that can reconstruct."
                )
    write_file(path, document, encoder.tensors)
    return path


def _is_fitted_name(name):
    """Whether an attribute is one that a fit sets, and not a note of the user's."""
    return name.startswith("_") or name.endswith("_")


def _check_described(estimator, stages):
    """Refuse parameters that were changed since, and describe another network."""
    network = estimator.network
    if not (isinstance(network, str) or is_described(network)):
        return
    planned = estimator.build_function().stages.state_dict()
    trained = stages.state_dict()
    if {k: t.shape for k, t in planned.items()} != {
        k: t.shape for k, t in trained.items()
    }:
        raise ValueError(
            f"Got network={brief(network)}, but expected the one that was trained: set "
            "it back before saving, or fit again."
        )


def _epoch_summary(epoch):
    return {name: value for name, value in epoch.items() if name != "batches"}


@own_torch()
def load(
    path: str | os.PathLike[str],
    custom_objects: dict[str, Any] | None = None,
    *,
    device: str | None = None,
) -> Any:
    """Load an estimator that :func:`save` wrote; safe for files of strangers.

    Nothing in the file is executed: objects are rebuilt from their parameters,
    of the public classes of this package and of those you pass.

    Parameters
    ----------
    path : str or path-like
        The file.
    custom_objects : dict of str to class or function, default=None
        Your own classes and functions that the estimator was made with, by
        name: operators and groups are called with their parameters, networks
        that have no ``get_params`` without arguments, so that
        ``{"MyNetwork": lambda: MyNetwork(width=8)}`` does.
    device : str, default=None
        Replaces the estimator's parameter ``device``, as for a model that was
        trained on a GPU and is loaded where there is none.

    Returns
    -------
    estimator : estimator
        Predicts what the saved one did, bit by bit on the same machine, and can
        be trained further with ``partial_fit`` or ``warm_start``.

    Raises
    ------
    ModelFileError
        A ``ValueError``: if the file is truncated, damaged, of a newer format, or
        holds anything that :func:`save` would not write.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Which has an example, and what is not saved.
    """
    if custom_objects is None:
        custom_objects = {}
    named = isinstance(custom_objects, dict) and all(
        isinstance(name, str) and callable(value)
        for name, value in custom_objects.items()
    )
    if not named:
        raise TypeError(
            f"Got custom_objects={brief(custom_objects)}, but expected a dictionary of "
            'names and classes, such as {"MyOperator": MyOperator}.'
        )
    if device is not None:
        resolve_device(device)
    path = Path(path)
    document, tensors = read_file(path)
    try:
        return _rebuild(document, Decoder(tensors, custom_objects), device)
    except ModelFileError as error:
        raise ModelFileError(f"{str(path)!r}: {error}") from error.__cause__
    # What a hostile file makes of constructors and checks can be any exception.
    except Exception as error:
        message = (str(error).splitlines() or [""])[0][:200].rstrip(".")
        raise ModelFileError(
            f"{str(path)!r} does not describe an estimator that this version of "
            f"sklearn_ei can rebuild: {type(error).__name__}: {message}."
        ) from error


def _rebuild(document, decoder, device):
    known = {"sha256", "format", "written_by", "estimator", "fitted"}
    known |= {"history", "network", "complex"}
    _expect(document.keys() <= known, "there are unknown entries")
    estimator = decoder.value(document["estimator"])
    _expect(isinstance(estimator, OperatorEstimator), "the estimator is none")
    if device is not None:
        estimator.set_params(device=device)
    for name, encoded in document["fitted"].items():
        _check_attribute_name(estimator, name)
        setattr(estimator, name, decoder.value(encoded))
    if any(name.endswith("_") for name in document["fitted"]):
        check_fitted_values(estimator)
        _check_fitted(estimator, document.get("complex", False))
        if hasattr(estimator, "device"):
            estimator.device_ = _resolve_device(estimator)
        learned = hasattr(estimator, "build_function")
        _expect(("network" in document) == learned, "there is no network")
    if "history" in document:
        estimator.history_ = _history(decoder.value(document["history"]))
    if "network" in document:
        _check_training(estimator)
        _restore_network(estimator, document["network"], decoder)
    _expect(decoder.used == decoder.tensors.keys(), "there are unused tensors")
    return estimator


def _check_attribute_name(estimator, name):
    """Refuse what is not a fitted attribute: methods, parameters, __class__."""
    private = name.startswith("_") and not name.startswith("__")
    _expect(
        name.isidentifier()
        and (private or (name.endswith("_") and not name.startswith("_")))
        and name not in _NOT_SAVED
        and name not in estimator.get_params(deep=False)
        and not hasattr(type(estimator), name),
        f"{name!r:.40} is not a fitted attribute",
    )


def _check_fitted(estimator, is_complex):
    """Refuse fitted attributes that contradict each other or the parameters."""
    operator, shape = estimator.operator_, estimator.measurement_shape_
    _expect(isinstance(operator, ForwardOperator), "operator_ is no operator")
    _expect(
        isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape),
        "measurement_shape_ is no shape",
    )
    _expect(isinstance(is_complex, bool), "complex is neither true nor false")
    image_layout, measurement_layout = operator.layouts(
        measurement=shape, is_complex=is_complex
    )
    estimator.image_layout_ = image_layout.settle(shape=operator.image_shape)
    estimator.measurement_layout_ = measurement_layout
    _expect(
        operator.image_shape is not None
        and tuple(operator.measurement_shape) == measurement_layout.shape
        and estimator.n_features_in_ == shape[0],
        "the fitted shapes contradict each other",
    )
    group = getattr(estimator, "group_", None)
    _expect(
        group is None
        or (
            isinstance(group, Group)
            and group.image_shape == tuple(operator.image_shape)
        ),
        "group_ is no group of the images",
    )
    _expect(
        getattr(estimator, "precision_", torch.float32)
        in (torch.float32, torch.bfloat16),
        "precision_ is none that networks compute in",
    )


def _check_training(estimator):
    for name in ("scale_", "alpha_", "n_iter_", "n_steps_", "batch_size_"):
        value = getattr(estimator, name)
        _expect(
            type(value) in (int, float) and 0 <= value < float("inf"),
            f"{name} is not a number from zero",
        )
    _expect(estimator.scale_ > 0, "scale_ is zero")
    _expect(hasattr(estimator, "group_"), "group_ is missing")
    _expect(
        estimator.noise_ is None or isinstance(estimator.noise_, NoiseModel),
        "noise_ is no noise model",
    )


def _resolve_device(estimator):
    try:
        return resolve_device(estimator.device)
    except ValueError as error:
        raise ModelFileError(f"{error} Pass device='cpu' to load.") from None


def _history(epochs):
    _expect(
        isinstance(epochs, list) and all(isinstance(epoch, dict) for epoch in epochs),
        "the history is no list of epochs",
    )
    return epochs


def _restore_network(estimator, names, decoder):
    """Make the net around the stored weights, ready to predict and to train."""
    network = estimator.network
    described = isinstance(network, str) or is_described(network)
    if described:
        n_weights = sum(decoder.tensors.like(n).numel() for n in names.values())
        _check_sizes(estimator, n_weights)
    # First without memory: weights that a hostile file announces and does not contain
    # are never allocated.
    check_planned_network(
        lambda: estimator.build_function().stages,
        names,
        decoder,
        estimator.image_layout_.n_channels,
        of_user=not described,
    )
    function = estimator.build_function(seed=0)
    decoder.load_state(function.stages, names)
    estimator.function_ = function.to(estimator.device_).eval()
    estimator.history_ = History(estimator.history_)


def _check_sizes(estimator, n_weights):
    """Refuse numbers that make even the description of a network too large."""
    described = estimator.get_params()
    sizes = {
        name.rpartition("__")[2]: value
        for name, value in described.items()
        if name.startswith("network__")
        and type(value) is int
        # A group's numbers, and how many elements are averaged over, make no weights.
        and "__group__" not in name
        and name != "network__n_elements"
    }
    _expect(
        max([estimator.image_layout_.n_channels, *sizes.values()]) <= n_weights
        and sizes.get("depth", 0) <= _MAX_DEPTH
        and sizes.get("n_stages", 0) * 2 <= n_weights,
        "the network would be larger than its weights",
    )
