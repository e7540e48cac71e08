"""Bad arguments that are not about one stack: truth, out, channels, shapes."""

from functools import partial

import numpy as np
import torch

from sklearn_ei import EquivariantReconstructor, check_group_rank
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.operators import MRI, Downsampling, Inpainting, ParallelBeamCT

from ._case import Case
from ._examples import CT, SIGNALS, TINY, X, Y, make_fitted
from ._stacks import Unreadable, changed


def argument_cases():
    """Return the cases of arguments that have to be refused."""
    return _truth_cases() + _out_cases() + _channel_cases() + _other_cases()


def _truth_cases():
    supervised = make_fitted(CT, None, Y, X, data_term="supervised", alpha=0)
    plain = make_fitted(CT, Rotations(12), Y)
    bad = {
        "too few": X[:2],
        "too many": np.concatenate([X, X]),
        "labels too many": np.zeros(7),
        "one number": 1.0,
        "string": "truth",
        "ragged": [X[0].tolist(), [1.0], [2.0]],
        "unreadable": Unreadable(),
    }
    images = {
        "wrong shape": X[:, 1:],
        "transposed stack": np.moveaxis(X, 0, -1)[:3],
        "NaN": changed(X, np.nan),
        "infinity": changed(X, np.inf),
        "complex": X + 1j,
        "strings": np.full(X.shape, "a"),
        "with a channel": X[..., None],
        "masked": np.ma.masked_greater(X, 0.5),
        "measurements": Y,
    }
    labels = {"None": None, "labels": np.zeros(3), "list of labels": [0, 1, 1]}
    calls = [
        (f"supervised {name}(Y, y)", supervised, getattr(supervised, name), more)
        for name, more in (("fit", images | labels), ("partial_fit", images | labels))
    ]
    calls += [
        ("score(Y, y)", plain, plain.score, images),
        ("fit(Y, y)", plain, plain.fit, {}),
    ]
    return [
        Case(entry, name, lambda f=method, y=y: f(Y, y), estimator=estimator)
        for entry, estimator, method, more in calls
        for name, y in (bad | more).items()
    ]


def _out_cases():
    ei = make_fitted(CT, Rotations(12), Y)
    read_only = np.zeros_like(X)
    read_only.flags.writeable = False
    outs = {
        "list": X.tolist(),
        "tensor": torch.zeros(3, 12, 12),
        "wrong length": np.zeros((2, 12, 12), np.float32),
        "wrong shape": np.zeros((3, 12, 13), np.float32),
        "flat": np.zeros((3, 144), np.float32),
        "integers": np.zeros((3, 12, 12), int),
        "float16": np.zeros((3, 12, 12), np.float16),
        "complex": np.zeros((3, 12, 12), complex),
        "read-only": read_only,
        "masked": np.ma.zeros((3, 12, 12)),
        "string": "out.npy",
    }
    same = make_fitted(Inpainting(0.3, (12, 12)), Shifts(), X)
    cases = [
        Case("predict(out)", name, lambda out=out: ei.predict(Y, out=out), estimator=ei)
        for name, out in outs.items()
    ]
    overlapping = X.copy()
    return [
        *cases,
        Case(
            "predict(out)",
            "Y itself",
            lambda: same.predict(overlapping, out=overlapping),
            estimator=same,
        ),
    ]


def _channel_cases():
    rgb = np.random.default_rng(0).random((2, 3, 16, 16)).astype(np.float32)
    lost = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY)
    mri = make_fitted(
        MRI(2, (8, 8)), Shifts(), MRI(2, (8, 8)).measure(np.ones((2, 8, 8, 2)))
    )
    two = np.ones((2, 8, 8, 2), np.float32)
    cases = {
        ("fit(Y)", "channels first, open Inpainting"): (lost.fit, rgb),
        ("measure(images)", "channels first, open Inpainting"): (
            Inpainting(0.3).measure, rgb,
        ),
        ("measure(images)", "channels first, open Downsampling"): (
            Downsampling(2).measure, rgb,
        ),
        ("measure(images)", "channels first, CT"): (ParallelBeamCT(9).measure, rgb),
        ("measure(images)", "channels first, fixed shape"): (
            Inpainting(0.3, (16, 16)).measure, rgb,
        ),
        ("mri predict(Y)", "channels first"): (mri.predict, np.moveaxis(two, -1, 1)),
        ("mri predict(Y)", "no channels"): (mri.predict, two[..., 0]),
        ("mri predict(Y)", "three channels"): (mri.predict, np.ones((2, 8, 8, 3))),
        ("mri predict(Y)", "complex"): (mri.predict, two[..., 0] + 1j),
    }  # fmt: skip
    return [
        Case(entry, name, lambda f=f, a=a: f(a), estimator=getattr(f, "__self__", None))
        for (entry, name), (f, a) in cases.items()
    ]


def _other_cases():
    signals = make_fitted(Inpainting(0.3), Shifts(), SIGNALS)
    unfitted = EquivariantReconstructor(CT, Rotations(12), **TINY)
    # None, the default, draws from NumPy's global generator, as in scikit-learn.
    rank = partial(check_group_rank, random_state=0)
    parameters = {
        "image_shape as a number": {"image_shape": 12},
        "image_shape of floats": {"image_shape": (12.0, 12.0)},
        "image_shape as a string": {"image_shape": "12x12"},
        "negative image_shape": {"image_shape": (-12, 12)},
        "empty image_shape": {"image_shape": ()},
        "image_shape of 3 axes": {"image_shape": (12, 12, 3, 3)},
        "tol NaN": {"tol": float("nan")},
        "tol as a string": {"tol": "1e-3"},
        "tol 2": {"tol": 2},
        "method": {"method": "guess"},
        "max_seconds": {"max_seconds": -1},
        "random_state": {"random_state": "seed"},
    }
    cases = [
        Case(
            "check_group_rank",
            name,
            lambda p=p: rank(
                Inpainting(0.3), Shifts(), **{"image_shape": (12, 12), **p}
            ),
        )
        for name, p in parameters.items()
    ]
    cases += [
        Case(
            "check_group_rank",
            "array as operator",
            lambda: rank(X, Shifts()),
        ),
        Case("check_group_rank", "string as group", lambda: rank(CT, "C4")),
        Case("check_group_rank", "measurements", lambda: rank(CT, Y)),
    ]
    for method in ("predict", "transform", "score"):
        for entry, name, estimator, stack in (
            (f"{method}(Y)", "not fitted", unfitted, Y),
            (f"signals {method}(Y)", "other length", signals, SIGNALS[:, 1:]),
        ):
            call = getattr(estimator, method)
            cases.append(
                Case(entry, name, lambda f=call, a=stack: f(a), estimator=estimator)
            )
    return cases
