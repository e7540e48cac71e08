"""What users pass by mistake, and what they may pass: the table of cases.

For robust_inputs.py and the tests. Each public entry meets each input; a case is
refused in one sentence before anything has changed, or accepted with a right result.
"""

import tempfile
import traceback
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import sklearn
import torch
from scipy import sparse

import sklearn_ei
from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    ReconstructionDisplay,
    check_group_rank,
)
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import MRI, Downsampling, Inpainting, ParallelBeamCT
from sklearn_ei.preprocessing import (
    MeasurementScaler,
    TransmissionToAttenuation,
    transmission_to_attenuation,
)

try:
    import pandas as pd
except ImportError:
    pd = None

OURS = Path(sklearn_ei.__file__).parent
# scikit-learn's checks of parameters, of scalars, of random_state, of the number of
# features, and of whether an estimator is fitted; they say what came and what was
# expected.
SKLEARN_CHECKS = {
    Path(sklearn.__file__).parent / "utils" / name
    for name in ("validation.py", "_param_validation.py")
}
TINY = {"max_epochs": 1, "network": Unrolled(UNet(width=2, depth=2))}
TINY |= {"random_state": 0, "device": "cpu", "noise": None}
TINY |= {"precision": "float32", "check_rank": False}

X = np.random.default_rng(0).random((3, 12, 12)).astype(np.float32)
CT = ParallelBeamCT(8, image_shape=(12, 12))
Y = CT.measure(X)
SIGNALS = np.random.default_rng(1).random((4, 16)).astype(np.float32)


def memory_map(array):
    """Return a read-only memory map of a file that holds the array."""
    with tempfile.TemporaryFile() as file:
        file.write(array.tobytes())
        file.flush()
        return np.memmap(file, array.dtype, "r", shape=array.shape)


class Unreadable:
    """An object whose conversion to an array fails in its own way."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not today")


class Readable:
    """An object that only offers itself as an array."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def changed(array, value, dtype=None):
    """Return a copy with one other value in sample 1."""
    array = np.array(array, dtype=dtype)
    array[(1,) + (0,) * (array.ndim - 1)] = value
    return array


# Each function gets a good stack and makes it bad, whatever its shape.
BAD_STACKS = {
    "None": lambda a: None,
    "number": lambda a: 3.0,
    "string": lambda a: "sinograms.npy",
    "dict": lambda a: {"Y": a},
    "set": lambda a: {1.0, 2.0},
    "generator": lambda a: (sample for sample in a),
    "function": lambda a: np.sum,
    "class": lambda a: np.ndarray,
    "unreadable object": lambda a: Unreadable(),
    "0-D": lambda a: np.float32(1),
    "1-D": lambda a: a.ravel(),
    "single sample's row": lambda a: a[0].ravel()[:5],
    "one axis too many": lambda a: a[..., None, None],
    "three axes too many": lambda a: a[..., None, None, None],
    "no samples": lambda a: a[:0],
    "empty list": lambda a: [],
    "list of empty lists": lambda a: [[], []],
    "samples of nothing": lambda a: a[:, :0],
    "ragged list": lambda a: [a[0].tolist(), a[1][:2].tolist()],
    "list of unequal arrays": lambda a: [a[0], a[1][:2]],
    "list of lists of strings": lambda a: np.full(a.shape, "a").tolist(),
    "NaN": lambda a: changed(a, np.nan),
    "infinity": lambda a: changed(a, np.inf),
    "minus infinity": lambda a: changed(a, -np.inf),
    "all NaN": lambda a: np.full_like(a, np.nan),
    "NaN in float16": lambda a: changed(a, np.nan, np.float16),
    "NaN in objects": lambda a: changed(a, np.nan, object),
    "NaN in a tensor": lambda a: torch.from_numpy(changed(a, np.nan)),
    "beyond float32": lambda a: (a + 1.0).astype(np.float64) * 1e300,
    "1e35": lambda a: (a + 1.0) * np.float32(1e35),
    "vanishing in float32": lambda a: (a + 1.0).astype(np.float64) * 1e-300,
    "1e-38": lambda a: (a + 1.0) * np.float32(1e-38),
    "complex": lambda a: a + 1j,
    "complex without imaginary part": lambda a: a.astype(complex),
    "complex tensor": lambda a: torch.from_numpy(a) + 1j,
    "complex objects": lambda a: changed(a, 1j, object),
    "strings": lambda a: np.full(a.shape, "a"),
    "numbers as strings": lambda a: a.astype(str),
    "bytes": lambda a: np.full(a.shape, b"1"),
    "dates": lambda a: np.full(a.shape, np.datetime64("2020-01-01")),
    "durations": lambda a: np.full(a.shape, np.timedelta64(1, "s")),
    "records": lambda a: np.zeros(a.shape, dtype=[("re", "f4"), ("im", "f4")]),
    "dictionaries": lambda a: np.full(a.shape, {}, dtype=object),
    "None inside": lambda a: changed(a, None, object),
    "a string inside": lambda a: changed(a, "1", object),
    "a huge integer inside": lambda a: changed(a, 10**400, object),
    "masked": lambda a: np.ma.masked_greater(a, np.median(a)),
    "list of masked": lambda a: list(np.ma.masked_greater(a, np.median(a))),
    "SciPy sparse": lambda a: sparse.csr_array(a.reshape(len(a), -1)),
    "sparse tensor": lambda a: torch.from_numpy(a).to_sparse(),
}  # fmt: skip
if pd is not None:
    BAD_STACKS |= {
        "data frame of text": lambda a: pd.DataFrame({"a": ["x", "y"]}),
        "data frame with NA": lambda a: pd.DataFrame(
            {"a": pd.array([1, None], dtype="Int64"), "b": [1, 2]}
        ),
        "data frame with NaN": lambda a: pd.DataFrame({"a": [1.0, np.nan]}),
        "data frame of dates": lambda a: pd.DataFrame(
            {"a": pd.to_datetime(["2020-01-01", "2021-01-01"])}
        ),
        "series": lambda a: pd.Series([1.0, 2.0]),
    }

# What is wrong for a fitted estimator or an operator whose shapes are fixed.
MISFITS = {
    "fewer rows": lambda a: a[:, 1:],
    "fewer columns": lambda a: a[:, :, 1:],
    "transposed": lambda a: a.swapaxes(1, 2)[:, :, :-1],
    "flattened": lambda a: a.reshape(len(a), -1),
    "single sample": lambda a: a[0],
    "three channels first": lambda a: np.stack([a] * 3, axis=1),
    "samples last": lambda a: np.moveaxis(a, 0, -1)[:, 1:],
}

# Each keeps the values, exactly or to the tolerance.
GOOD_STACKS = {
    "list": (lambda a: a.tolist(), 0),
    "tuple of arrays": (tuple, 0),
    "list of tensors": (lambda a: [torch.from_numpy(s) for s in a], 0),
    "float64": (lambda a: a.astype(np.float64), 0),
    "float16": (lambda a: a.astype(np.float16), 1e-2),
    "longdouble": (lambda a: a.astype(np.longdouble), 0),
    "other byte order": (lambda a: a.astype(">f4"), 0),
    "objects": (lambda a: a.astype(object), 0),
    "Fortran order": (np.asfortranarray, 0),
    "negative strides": (lambda a: a[::-1, ::-1].copy()[::-1, ::-1], 0),
    "every second": (lambda a: np.repeat(a, 2, axis=0)[::2], 0),
    "read-only": (lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape), 0),
    "memory map": (memory_map, 0),
    "masked nowhere": (np.ma.masked_invalid, 0),
    "array-like object": (Readable, 0),
    "tensor": (torch.from_numpy, 0),
    "float64 tensor": (lambda a: torch.from_numpy(a).double(), 0),
    "bfloat16 tensor": (lambda a: torch.from_numpy(a).bfloat16(), 0.05),
    "tensor with a gradient": (lambda a: torch.from_numpy(a).requires_grad_(), 0),
    "transposed tensor": (
        lambda a: torch.from_numpy(a.swapaxes(0, 1).copy()).transpose(0, 1),
        0,
    ),
}
if torch.cuda.is_available():
    GOOD_STACKS["CUDA tensor"] = (lambda a: torch.from_numpy(a).cuda(), 0)


def make_fitted(operator, group, Y, y=None, **parameters):
    return EquivariantReconstructor(operator, group, **TINY, **parameters).fit(Y, y)


@dataclass
class Case:
    """One call: ``refused`` says what has to come of it."""

    entry: str
    name: str
    call: object  # () -> result
    refused: bool = True
    estimator: object = None  # unchanged if the call is refused
    expected: object = None  # result of an accepted call
    tolerance: float = 0

    def __str__(self):
        return f"{self.entry} <- {self.name}"


@dataclass
class Outcome:
    """What came of a case; ``problem`` is None if that is as it should be."""

    case: Case
    problem: str | None
    error: str = ""


def _entries():
    """Yield (entry, call with a stack, good stack, estimator) of every entry."""
    ei, linear = make_fitted(CT, Rotations(12), Y), PseudoInverseReconstructor(CT)
    linear.fit(Y)

    def fresh():
        return EquivariantReconstructor(ParallelBeamCT(8), Rotations(12), **TINY)

    for make, state in ((fresh, "fresh"), (lambda: ei, "fitted")):
        for method in ("fit", "partial_fit"):
            estimator = make()
            yield f"{state} {method}(Y)", getattr(estimator, method), Y, estimator
    for method in ("predict", "transform", "score"):
        yield f"{method}(Y)", getattr(ei, method), Y, ei
    yield "linear fit(Y)", linear.fit, Y, linear
    yield "linear predict(Y)", linear.predict, Y, linear
    yield "measure(images)", CT.measure, X, CT
    yield "reconstruct(Y)", CT.reconstruct, Y, CT
    yield "psnr(x_true)", lambda stack: psnr(stack, X), X, None
    yield "psnr(x_pred)", lambda stack: psnr(X, stack), X, None
    yield "ssim(x_pred)", lambda stack: ssim(X, stack), X, None
    for step in (TransmissionToAttenuation(0, 1e6), MeasurementScaler()):
        step.fit(Y)
        for method in ("fit", "transform"):
            name = f"{type(step).__name__} {method}(Y)"
            yield name, getattr(step, method), Y, step
    field = 2 * Y.max()
    yield (
        "attenuation(intensities)",
        lambda stack: transmission_to_attenuation(stack, flat=field),
        Y,
        None,
    )
    every = {"samples": range(len(Y))}
    yield "display(Y)", partial(_show, "from_estimator", ei, **every), Y, ei
    yield "display(images)", partial(_show, "from_predictions", CT, Y, **every), X, None


def _show(how, *arrays, **options):
    """Draw what is not expected to get that far."""
    display = getattr(ReconstructionDisplay, how)(*arrays, **options)
    display.figure_.clear()
    return display


# Where the number of bins follows from the data.
_ANY_DETECTOR = {
    "fresh fit(Y)", "fitted fit(Y)", "linear fit(Y)", "fresh partial_fit(Y)",
    "reconstruct(Y)",
}  # fmt: skip
# Steps before a reconstructor take any measurements.
_ANY_SHAPE = {
    "TransmissionToAttenuation fit(Y)", "MeasurementScaler fit(Y)",
    "attenuation(intensities)",
}  # fmt: skip
# They also take what was not measured, all of a sample included; estimators need some.
_BLANK_OK = _ANY_SHAPE | {
    "TransmissionToAttenuation transform(Y)", "MeasurementScaler transform(Y)",
}  # fmt: skip
_MISSING_OK = {
    "fresh fit(Y)", "fitted fit(Y)", "fresh partial_fit(Y)", "fitted partial_fit(Y)",
    "predict(Y)", "transform(Y)", "score(Y)", "linear fit(Y)", "linear predict(Y)",
    "reconstruct(Y)", "display(Y)",
}  # fmt: skip
_MISSING = ("NaN", "NaN in float16", "NaN in a tensor")


def refused_cases():
    """Return the cases that have to be refused."""
    cases = []
    for entry, call, good, estimator in _entries():
        bad = dict(BAD_STACKS)
        if entry.startswith("ssim"):
            bad = {"NaN": bad["NaN"], "complex": bad["complex"], "1-D": bad["1-D"]}
        elif entry.startswith("psnr"):
            bad |= {"fewer rows": MISFITS["fewer rows"]}
        else:
            bad |= MISFITS
        if entry in _ANY_DETECTOR:
            bad.pop("fewer columns")
        if entry in _ANY_SHAPE:
            for name in (*MISFITS, "one axis too many", "three axes too many"):
                bad.pop(name)
        if entry in _MISSING_OK | _BLANK_OK:
            bad = {name: spoil for name, spoil in bad.items() if name not in _MISSING}
            bad.pop("masked")
            bad.pop("list of masked")
        if entry in _MISSING_OK:
            bad.pop("NaN in objects")
            bad.pop("None inside")
        if entry in _BLANK_OK:
            bad.pop("all NaN")
        for name, spoil in bad.items():
            cases.append(
                Case(
                    entry,
                    name,
                    lambda call=call, spoil=spoil, good=good: call(spoil(good)),
                    estimator=estimator,
                )
            )
    return cases + _truth_cases() + _out_cases() + _channel_cases() + _other_cases()


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


def accepted_cases():
    """Return the cases that have to give a right result."""
    cases = []
    ei = make_fitted(CT, Rotations(12), Y)

    def refit(stack):
        return make_fitted(CT, Rotations(12), stack).predict(Y)

    def fit_on_more(stack):
        supervised = make_fitted(CT, None, Y, stack, data_term="supervised", alpha=0)
        return supervised.predict(Y)

    entries = {
        "fit(Y)": (refit, Y),
        "supervised fit(Y, y)": (fit_on_more, X),
        "predict(Y)": (ei.predict, Y),
        "score(Y)": (ei.score, Y),
        "score(Y, y)": (lambda x: ei.score(Y, x), X),
        "measure(images)": (CT.measure, X),
        "reconstruct(Y)": (CT.reconstruct, Y),
        "psnr(x_pred)": (lambda x: psnr(X + 0.1, x), X),
    }
    for entry, (call, good) in entries.items():
        expected = call(good)
        cases += [
            Case(
                entry, name, lambda f=call, c=convert, a=good: f(c(a)),
                refused=False, expected=expected, tolerance=tolerance,
            )
            for name, (convert, tolerance) in GOOD_STACKS.items()
        ]  # fmt: skip
    return cases + _accepted_values(refit, ei.predict(Y)) + _accepted_frames()


def _accepted_values(refit, predicted):
    """Other units, integers, booleans, constants, one sample."""
    base = refit(Y)
    grains = np.random.default_rng(2).integers(0, 200, X.shape)
    holes = grains > 100
    counts = {
        np.dtype(t).name: grains.astype(t) for t in ("u1", "u2", "i2", "i4", "i8")
    }
    expected = CT.measure(grains.astype(np.float32))

    def scaled(factor):
        fitted = make_fitted(CT, Rotations(12), Y * np.float32(factor))
        return fitted.predict(Y * np.float32(factor)) / np.float32(factor)

    accepted = [
        Case("measure(images)", name, lambda a=a: CT.measure(a), expected=expected)
        for name, a in counts.items()
    ]
    accepted += [
        Case("fit(Y)", f"{factor:g} times", lambda f=factor: scaled(f), expected=base,
             tolerance=1e-4)
        for factor in (1e6, 1e-6, 1e12, 1e-12)
    ]  # fmt: skip
    zeros, ones = np.zeros_like(Y), np.ones_like(Y)
    accepted += [
        Case("measure(images)", "booleans", lambda: CT.measure(holes),
             expected=CT.measure(holes.astype(np.float32))),
        Case("fit(Y)", "zeros", lambda: make_fitted(CT, Rotations(12), zeros)
             .predict(zeros), expected=np.zeros_like(X), tolerance=1e-5),
        Case("fit(Y)", "constant", lambda: np.isfinite(refit(ones)), expected=True),
        Case("fit(Y)", "one sample", lambda: refit(Y[:1]).shape, expected=X.shape),
        Case("predict(Y)", "one sample", lambda: refit(Y)[:1], expected=predicted[:1]),
        Case("psnr", "zeros twice", lambda: psnr(X * 0, X * 0), expected=np.inf),
        Case("fit(Y, y)", "labels", lambda: make_fitted(CT, Rotations(12), Y, [0, 1, 1])
             .predict(Y), expected=base),
        Case("score(Y, y)", "labels", lambda: make_fitted(CT, Rotations(12), Y)
             .score(Y, [0, 1, 1]), expected=make_fitted(CT, Rotations(12), Y).score(Y)),
    ]  # fmt: skip
    for case in accepted:
        case.refused = False
    return accepted


def _accepted_frames():
    if pd is None:
        return []
    operator = Inpainting(0.3)
    expected = make_fitted(operator, Shifts(), SIGNALS).predict(SIGNALS)
    names = [f"t{i}" for i in range(SIGNALS.shape[1])]
    frames = {
        "data frame": pd.DataFrame(SIGNALS, columns=names),
        "data frame without names": pd.DataFrame(SIGNALS),
        "data frame of Float64": pd.DataFrame(SIGNALS, columns=names).astype("Float64"),
        "data frame of objects": pd.DataFrame(SIGNALS, columns=names).astype(object),
    }
    return [
        Case(
            "signals fit(Y).predict(Y)", name,
            lambda f=frame: make_fitted(operator, Shifts(), f).predict(f),
            refused=False, expected=expected,
        )
        for name, frame in frames.items()
    ]  # fmt: skip


def state_of(estimator):
    """Return what a refused call must not change."""
    if estimator is None:
        return None
    derived = ("_state",)  # by operators on first use
    state = {name: id(v) for name, v in vars(estimator).items() if name not in derived}
    if hasattr(estimator, "function_"):
        weights = estimator.function_.state_dict().values()
        state["weights"] = [w.clone() for w in weights]
        state["epochs"] = len(estimator.history_)
        state["training"] = estimator.function_.training
    return state


def _same(before, after):
    if before is None or before.keys() != after.keys():
        return before == after
    weights = before.pop("weights", []), after.pop("weights", [])
    return before == after and all(map(torch.equal, *weights))


def run(case):
    """Call a case with warnings as errors and judge what comes of it."""
    before = state_of(case.estimator)
    generators = _global_generators()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = case.call()
    except Exception as error:
        problem, message = _judge_error(case, error), f"{type(error).__name__}: {error}"
    else:
        message = ""
        problem = "silent" if case.refused else _judge_result(case, result)
    if case.refused and not _same(before, state_of(case.estimator)):
        problem = problem or "changed the estimator"
    if _global_generators() != generators:
        problem = problem or "moved a global generator"
    return Outcome(case, problem, message)


def _global_generators():
    """Return the states of the generators that nobody may move."""
    numpy_state = np.random.mtrand._rand.get_state(legacy=False)["state"]
    return (
        numpy_state["pos"],
        numpy_state["key"].tobytes(),
        torch.get_rng_state().numpy().tobytes(),
    )


def raised_by_us(error):
    """Whether the error was raised on purpose, by a check of ours or scikit-learn's."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = Path(frame.filename)
    ours = OURS in file.parents or file in SKLEARN_CHECKS
    return ours and frame.line.startswith("raise")  # not an operation that failed


def is_one_sentence(message):
    return "\n" not in message and 20 <= len(message) <= 500


def _judge_error(case, error):
    if not case.refused:
        return "refused what is right"
    if not isinstance(error, ValueError | TypeError) or not raised_by_us(error):
        return "error from below"
    return None if is_one_sentence(str(error)) else "not one sentence"


def _judge_result(case, result):
    result, expected = np.asarray(result, float), np.asarray(case.expected, float)
    size = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), 1e-30)
    close = np.allclose(result, expected, rtol=0, atol=case.tolerance * size)
    return None if close else "wrong result"
