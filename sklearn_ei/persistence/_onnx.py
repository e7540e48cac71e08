"""The network G as an ONNX file."""

import copy
import json
import os
import warnings
from numbers import Integral
from pathlib import Path

import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ..reconstruction import BaseReconstructor
from ..utils.files import write_atomically
from ..utils.random import make_generator
from ..utils.torch_state import own_torch

_TOLERANCE = 1e-4  # of the largest value


@own_torch()
def export_onnx(
    estimator: BaseEstimator, path: str | os.PathLike[str], *, stage: int = 0
) -> Path:
    """Write a trained network G of an estimator as an ONNX file.

    The operator is not part of it: the input is A†y in the units of training, and
    the steps of data consistency come after it.

    Parameters
    ----------
    estimator : BaseReconstructor
        Fitted, with a network.
    path : str or path-like
        The file, written completely or not at all.
    stage : int, default=0
        Which of the estimator's ``n_stages`` networks.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    ImportError
        Without the packages ``onnx`` and ``onnxscript``:
        ``pip install "sklearn_ei[onnx]"``.
    TypeError, ValueError
        If there is no trained network.
    RuntimeError
        If ONNX Runtime is installed and does not return what torch does, to 1e-4
        of the largest value. Nothing is written then.

    See Also
    --------
    save : The whole estimator, for this package.

    Notes
    -----
    Input ``images`` and output ``reconstructions`` are float32 of shape (batch,
    channels, *image_shape), where the batch may have any size. With the
    estimator's ``scale_`` s, starting from x = A†(y / s),

        x = G(x), then x += w · A†(y / s − A x) for each w of ``steps``,

    for each stage in turn, s · x is f(y), which ``predict`` averages over symmetries
    of the instrument, where it has any; a
    :class:`~sklearn_ei.networks.GroupAveraged` network is the average of that over
    the elements of its group, G acting as T_g G T_g⁻¹. With ``noise`` no steps follow
    the last network. s, the sizes of the steps after this network, its stage and the
    number of stages are in the file's metadata. The
    network is computed in float32, also where it was trained in bfloat16.
    """
    if not isinstance(estimator, BaseReconstructor):
        raise TypeError(
            f"Got estimator of type {type(estimator).__name__}, but expected a fitted "
            "estimator of sklearn_ei with a network."
        )
    if not hasattr(estimator, "function_"):
        raise ValueError(
            f"Got a {type(estimator).__name__} without a trained network, but expected "
            "a fitted estimator that trains one, such as EquivariantReconstructor."
        )
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "export_onnx needs onnx and onnxscript: expected them to be installed, as "
            'by pip install "sklearn_ei[onnx]".'
        ) from error
    function = estimator.function_
    check_scalar(stage, "stage", Integral, min_val=0, max_val=len(function.stages) - 1)
    network = copy.deepcopy(function.stages[stage]).cpu().float().eval()
    shape = (2, *estimator.image_layout_.tensor_shape)
    images = torch.rand(shape, generator=make_generator(0))
    with warnings.catch_warnings():  # the exporter warns of its own dependencies
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (images,),
            input_names=["images"],
            output_names=["reconstructions"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # with dynamo
    model = program.model_proto
    onnx.helper.set_model_props(
        model,
        {
            "scale": repr(estimator.scale_),
            "steps": json.dumps(
                estimator.operator_.refinement_steps(
                    function.n_steps_after(stage), noisy=not function.last_consistency
                )
            ),
            "stage": str(stage),
            "n_stages": str(len(function.stages)),
        },
    )
    content = model.SerializeToString()
    _check(content, network, images)
    path = Path(path)
    write_atomically(path, (content,))
    return path


@torch.no_grad()
def _check(content, network, images):
    """Compare ONNX Runtime, where it is installed, with torch, for several batches."""
    try:
        import onnxruntime
    except ImportError:
        return
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )
    for batch in (images, images[:1], images.repeat(3, *[1] * (images.ndim - 1))):
        expected = network(batch)
        (found,) = session.run(None, {"images": batch.numpy()})
        error = float((torch.from_numpy(found) - expected).abs().max())
        if not error <= _TOLERANCE * float(expected.abs().max()):
            raise RuntimeError(
                f"Got an ONNX network that differs from torch's by {error:.2g}, but "
                f"expected at most {_TOLERANCE:g} of the largest value."
            )
