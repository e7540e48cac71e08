"""Every public entry that takes a stack, against every bad one."""

from functools import partial

from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    ReconstructionDisplay,
)
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.preprocessing import (
    MeasurementScaler,
    TransmissionToAttenuation,
    transmission_to_attenuation,
)

from ._case import Case
from ._examples import CT, TINY, X, Y, make_fitted
from ._stacks import BAD_STACKS, MISFITS


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


def entry_cases():
    """Return the cases of stacks that every entry has to refuse."""
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
    return cases
