"""The exported network is the network."""

import json

import numpy as np
import pytest
import torch

from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    export_onnx,
)
from sklearn_ei.groups import Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting

TINY = {"max_epochs": 1, "network": Unrolled(UNet(width=2, depth=2)), "random_state": 0}
TINY |= {"device": "cpu", "precision": "float32"}


def test_what_has_no_network_is_refused(tmp_path):
    path = tmp_path / "g.onnx"
    linear = PseudoInverseReconstructor(Inpainting(0.3)).fit(np.eye(4))
    with pytest.raises(ValueError, match="without a trained network"):
        export_onnx(linear, path)
    with pytest.raises(TypeError, match="Got estimator of type dict"):
        export_onnx({}, path)
    assert not path.exists()


@pytest.mark.parametrize("shape", [(10, 9), (10, 9, 3)])
def test_the_network_agrees_with_torch_for_any_batch(tmp_path, shape):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    Y = np.random.default_rng(0).random((5, *shape)).astype(np.float32)
    ei = EquivariantReconstructor(Inpainting(0.3, (10, 9)), Shifts(), **TINY).fit(Y)
    sessions = [
        onnxruntime.InferenceSession(
            export_onnx(ei, tmp_path / f"{stage}.onnx", stage=stage),
            providers=["CPUExecutionProvider"],
        )
        for stage in range(ei.network.n_stages)
    ]
    metadata = [s.get_modelmeta().custom_metadata_map for s in sessions]
    scale = float(metadata[0]["scale"])
    assert scale == ei.scale_
    operator = ei.operator_
    with pytest.raises(ValueError, match="stage == "):
        export_onnx(ei, tmp_path / "no.onnx", stage=ei.network.n_stages)
    for n in (1, 2, 5):
        y = torch.from_numpy(Y[:n]) / scale
        y = y.movedim(-1, 1) if len(shape) == 3 else y[:, None]
        x = operator.pinv(y)
        for session, about in zip(sessions, metadata, strict=True):
            (g,) = session.run(None, {"images": x.numpy()})
            x = torch.from_numpy(g)
            for step in json.loads(about["steps"]):
                x = x + step * operator.pinv(y - operator.forward(x))
        x = scale * (x.movedim(1, -1) if len(shape) == 3 else x[:, 0])
        np.testing.assert_allclose(x.numpy(), ei.predict(Y[:n]), atol=1e-5)
