"""What is unusual but right, and what has to come of it."""

import numpy as np

from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import Inpainting

from ._case import Case
from ._examples import CT, SIGNALS, X, Y, make_fitted
from ._stacks import GOOD_STACKS, pd


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
    # A constant sinogram is none of an image, and fit says so.
    zeros, ones = np.zeros_like(Y), CT.measure(np.ones_like(X))
    accepted += [
        Case("measure(images)", "booleans", lambda: CT.measure(holes),
             expected=CT.measure(holes.astype(np.float32))),
        Case("fit(Y)", "zeros", lambda: make_fitted(CT, Rotations(12), zeros)
             .predict(zeros), expected=np.zeros_like(X), tolerance=1e-5),
        Case("fit(Y)", "constant images", lambda: np.isfinite(refit(ones)),
             expected=True),
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
