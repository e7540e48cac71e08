"""What is right: a small tomograph, images, measurements and signals."""

import numpy as np

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT

TINY = {"max_epochs": 1, "network": Unrolled(UNet(width=2, depth=2))}
TINY |= {"random_state": 0, "device": "cpu", "noise": None}
TINY |= {"precision": "float32", "check_rank": False}

X = np.random.default_rng(0).random((3, 12, 12)).astype(np.float32)
CT = ParallelBeamCT(8, image_shape=(12, 12))
Y = CT.measure(X)
SIGNALS = np.random.default_rng(1).random((4, 16)).astype(np.float32)


def make_fitted(operator, group, Y, y=None, **parameters):
    return EquivariantReconstructor(operator, group, **TINY, **parameters).fit(Y, y)
