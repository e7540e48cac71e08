"""Random calls for robust_fuzz.py and the tests: shapes, dtypes and parameters.

A call returns finite numbers of the right shape, or is refused by one of our checks
in one sentence. Everything else is a fault.
"""

import warnings

import numpy as np
import torch
from _bad_inputs import TINY, is_one_sentence, raised_by_us
from hypothesis import strategies as st

from sklearn_ei import (
    DivergenceError,
    EquivariantReconstructor,
    GroupRankWarning,
    PseudoInverseReconstructor,
    check_group_rank,
)
from sklearn_ei.groups import (
    Permutations,
    ProductGroup,
    RandomAffine,
    Reflections,
    Rotations,
    Scalings,
    Shifts,
)
from sklearn_ei.losses import (
    R2R,
    SURE,
    UNSURE,
    EquivarianceTerm,
    MeasurementConsistency,
    SupervisedError,
)
from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise, PoissonNoise
from sklearn_ei.operators import (
    MRI,
    BlockOperator,
    Blur,
    CompressedSensing,
    Downsampling,
    FanBeamCT,
    Inpainting,
    MatrixOperator,
    ModelMismatchWarning,
    ParallelBeamCT,
)

# What somebody may type where a number, a shape or an option belongs. No sizes
# that would fill the memory: those are another question.
JUNK = st.sampled_from(
    [None, True, -1, 0, 1, 2, 7, 0.5, -0.5, 2.0, float("nan"), float("inf"), 1e-300,
     "", "auto", "fft", "full", (), [], {}, (0,), (4,), (4, 5), (4.0, 5.0), (-4, 5),
     (2, 3, 4), "45", np.nan, np.arange(3), np.eye(3), np.zeros(4), np.array("a"),
     np.full(3, np.nan), np.float32(2), np.int8(3), 1j, b"a", object, len,
     [[1], [1, 2]], torch.ones(3), [1, "a"]]
)  # fmt: skip
SHAPES = st.one_of(
    st.none(),
    st.none(),
    st.just((8, 8)),
    st.just((8, 8)),
    st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
)
SEEDS = st.integers(0, 3)


def ints(low=1, high=9):
    return st.integers(low, high)


def floats(low=0.0, high=2.0):
    return st.floats(low, high)


ANGLES = st.none() | st.lists(floats(-200, 200), min_size=1, max_size=5)
CT = {
    "n_views": ints(), "image_shape": SHAPES, "n_bins": st.none() | ints(1, 15),
    "angles": ANGLES, "pixel_size": floats(0.1), "bin_size": st.none() | floats(0.1),
    "filter": st.sampled_from(["ram-lak", "hann"]), "detector_offset": floats(-1, 1),
    "n_refinements": ints(0, 2),
}  # fmt: skip
ARRAYS = st.builds(
    lambda shape, seed: np.random.default_rng(seed).standard_normal(shape),
    st.lists(ints(1, 6), min_size=1, max_size=3),
    SEEDS,
)
MASKS = st.none() | ARRAYS.map(lambda a: a > 0)
OPERATORS = {
    ParallelBeamCT: CT,
    FanBeamCT: CT | {
        "source_distance": floats(1, 60), "detector_distance": floats(0, 20),
        "detector": st.sampled_from(["flat", "curved"]),
        "scan": st.sampled_from(["full", "short"]),
    },
    Inpainting: {"rate": floats(0, 1), "image_shape": SHAPES, "mask": MASKS,
                 "random_state": SEEDS},
    Downsampling: {"factor": ints(1, 3), "image_shape": SHAPES,
                   "antialias": st.booleans()},
    Blur: {"kernel": ARRAYS, "image_shape": SHAPES,
           "boundary": st.sampled_from(["circular", "valid"]),
           "regularization": floats(0, 1)},
    MRI: {"acceleration": floats(1, 5), "image_shape": SHAPES, "mask": MASKS,
          "center_fraction": floats(0, 1), "n_refinements": ints(0, 2)},
    CompressedSensing: {"n_measurements": ints(1, 30), "image_shape": SHAPES,
                        "random_state": SEEDS},
    MatrixOperator: {"matrix": ARRAYS, "image_shape": SHAPES,
                     "measurement_shape": SHAPES, "n_iterations": ints(1, 9)},
}  # fmt: skip
INTERPOLATIONS = st.sampled_from(["bilinear", "bicubic", "nearest", "fft"])
GROUPS = {
    Rotations: {"n_elements": st.none() | ints(1, 12), "angles": ANGLES,
                "interpolation": INTERPOLATIONS},
    Shifts: {"max_shift": st.none() | ints(1, 4)},
    Reflections: {"axes": st.sampled_from([0, -1, (0,), (0, 1), (-1, -2), 5])},
    Scalings: {"factors": st.lists(floats(0.1), min_size=1, max_size=3),
               "reciprocals": st.booleans(), "interpolation": INTERPOLATIONS},
    RandomAffine: {"degrees": floats(0, 40), "shear": floats(0, 20),
                   "n_elements": ints(1, 40), "random_state": SEEDS},
    Permutations: {"n_elements": ints(1, 9), "random_state": SEEDS},
}  # fmt: skip
TRAINING = {
    "alpha": st.just("auto") | floats(0, 100), "beta": st.sampled_from([0, 1e-4]),
    "max_epochs": ints(1, 2), "batch_size": ints(1, 5), "lr": floats(1e-6, 1e-2),
    "lr_schedule": st.sampled_from(["cosine", "constant"]),
    "precision": st.sampled_from(["auto", "float32"]), "warm_start": st.booleans(),
    "random_state": SEEDS,
}  # fmt: skip
DISTANCES = st.sampled_from(["l2", "l1", "huber"])
TERMS = {
    EquivarianceTerm: {"n_transforms": ints(1, 3), "distance": DISTANCES,
                       "stop_gradient": st.booleans()},
    MeasurementConsistency: {"distance": DISTANCES},
    SupervisedError: {"distance": DISTANCES},
    SURE: {},
    UNSURE: {"step_size": floats(1e-4, 0.1), "momentum": floats(0, 0.9)},
    R2R: {"strength": floats(0.1, 1)},
}  # fmt: skip
NETWORKS = {
    UNet: {"width": ints(1, 3), "depth": ints(1, 4)},
    Unrolled: {"n_stages": ints(0, 3), "n_consistency": ints(0, 2)},
}
NAMES = ["auto", "measurement_consistency", "sure", "unsure", "r2r", "supervised"]


@st.composite
def parameters(draw, table):
    """Draw parameters; in one of eight draws one is junk."""
    names = draw(st.lists(st.sampled_from(sorted(table)), unique=True))
    chosen = {name: draw(table[name]) for name in names}
    if draw(ints(0, 7)) == 0:
        chosen[draw(st.sampled_from(sorted(table)))] = draw(JUNK)
    return chosen


@st.composite
def operators(draw):
    cls = draw(st.sampled_from([*OPERATORS, BlockOperator]))
    if cls is BlockOperator:
        return cls(draw(st.lists(operators(), min_size=draw(ints(0, 1)), max_size=2)))
    params = draw(parameters(OPERATORS[cls]))
    for needed in ("source_distance", "kernel", "n_measurements", "matrix"):
        if needed in OPERATORS[cls] and needed not in params:
            params[needed] = draw(OPERATORS[cls][needed])
    return cls(**params)


@st.composite
def groups(draw):
    cls = draw(st.sampled_from([*GROUPS, ProductGroup]))
    if cls is ProductGroup:
        return draw(groups()) * draw(groups())
    return cls(**draw(parameters(GROUPS[cls])))


@st.composite
def trainings(draw):
    """Draw parameters of an estimator, objects among them."""

    def made(cls, **parts):
        table = (TERMS | NETWORKS)[cls]
        return cls(**parts, **draw(parameters(table))) if table else cls()

    chosen = draw(parameters(TRAINING))
    unet = made(UNet)
    network = draw(st.sampled_from([None, unet, made(Unrolled, network=unet)]))
    if network is not None:
        chosen["network"] = network
    if draw(st.booleans()):
        chosen["equivariance_term"] = made(EquivarianceTerm)
    if draw(st.booleans()):
        terms = [cls for cls in TERMS if cls is not EquivarianceTerm]
        chosen["data_term"] = draw(
            st.sampled_from(NAMES) | st.sampled_from(terms).map(lambda cls: cls())
        )
    if draw(ints(0, 3)) == 0:
        level = draw(st.just("auto") | floats(0.01, 0.5))
        chosen["noise"] = draw(st.sampled_from([GaussianNoise, PoissonNoise]))(level)
    return chosen


DTYPES = ["f4"] * 12 + ["f8", "f2", "g", "i1", "u2", "i8", "?", "c8", "O", "U3"]
SPECIAL = [None] * 40 + [0.0, np.nan, np.inf, -1e14, 1e-40]
FORMS = ["array"] * 5 + ["list", "tensor", "fortran", "reversed"]


@st.composite
def stacks(draw, shape=None):
    """Draw a stack of a random shape and dtype, or of one that fits."""
    if shape is None or draw(ints(0, 11)) == 0:
        shape = tuple(draw(st.lists(st.integers(0, 9), max_size=4)))
    rng = np.random.default_rng(draw(SEEDS))
    array = np.asarray(rng.standard_normal(shape)) * 10.0 ** draw(st.integers(-9, 9))
    array = np.asarray(array)
    special = draw(st.sampled_from(SPECIAL))
    if special is not None and array.size:
        array.flat[draw(st.integers(0, array.size - 1))] = special
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = array.astype(draw(st.sampled_from(DTYPES)))
    form = draw(st.sampled_from(FORMS))
    if form == "list":
        return array.tolist()
    if form == "tensor" and array.dtype.kind in "fi" and array.dtype.itemsize <= 8:
        return torch.from_numpy(np.array(array))
    if form == "fortran":
        return np.asfortranarray(array)
    return array[::-1] if form == "reversed" and array.ndim else array


@st.composite
def fitting_stacks(draw, operator, what):
    """Draw a stack that fits an operator, as far as it knows its shape."""
    n = draw(ints(1, 4))
    try:
        layout = getattr(operator, f"{what}_layout")
        shape, channels = layout.shape, layout.channels
    except Exception:  # the parameters are junk; the call will tell
        shape, channels = None, "any"
    if shape is None and draw(ints(0, 3)):
        try:
            resolved = operator.resolve(
                image_shape=draw(st.sampled_from([(8, 8), (9,)]))
            )
            shape = getattr(resolved, f"{what}_shape")
        except Exception:
            shape = None
    if shape is None:
        shape = draw(st.sampled_from([(8, 8), (8,), (9, 7), (3, 11), (1, 1), (6,)]))
    if channels == "any":
        channels = draw(st.sampled_from(["none", "none", "none", 1, 3]))
    return draw(stacks((n, *shape, *(() if channels == "none" else (channels,)))))


@st.composite
def calls(draw):
    """Draw a call: its kind, its description, and a function without arguments."""
    kind = draw(
        st.sampled_from(
            [
                "learned",
                "operator",
                "operator",
                "group",
                "linear",
                "learned",
                "metric",
                "rank",
            ]
        )
    )
    return kind, *draw(_CALLS[kind]())


@st.composite
def operator_calls(draw):
    operator = draw(operators())
    method = draw(st.sampled_from(["measure", "reconstruct"]))
    what = "image" if method == "measure" else "measurement"
    stack = draw(fitting_stacks(operator, what))
    return f"{operator}.{method}({describe(stack)})", lambda: [
        getattr(operator, method)(stack)
    ]


@st.composite
def group_calls(draw):
    group = draw(groups())
    shape = draw(st.sampled_from([(8, 8), (8, 8), (7, 6), (1, 3), (9,), (3, 4, 5)]))
    batch = draw(ints(1, 3))
    g = torch.tensor(draw(st.lists(ints(-1, 5), min_size=1, max_size=batch)))
    method = draw(st.sampled_from(["transform", "inverse_transform", "adjoint"]))
    images = torch.ones(batch, 1, *shape)

    def call():
        result = getattr(group.resolve(shape), method)(images, g)
        assert result.shape == images.shape
        return [result]

    return f"{group}.resolve({shape}).{method}(ones, {g.tolist()})", call


@st.composite
def linear_calls(draw):
    operator = draw(operators())
    fitted = draw(fitting_stacks(operator, "measurement"))
    new = draw(st.just(fitted) | fitting_stacks(operator, "measurement"))
    estimator = PseudoInverseReconstructor(operator)

    def call():
        estimator.fit(fitted)
        return [estimator.predict(fitted), estimator.predict(new), estimator.score(new)]

    return f"{operator} fit {describe(fitted)} predict {describe(new)}", call


@st.composite
def learned_calls(draw):
    operator = draw(operators())
    group = draw(groups()) if draw(ints(0, 9)) else None
    chosen = draw(trainings())
    Y = draw(fitting_stacks(operator, "measurement"))
    more = draw(st.just(Y) | fitting_stacks(operator, "measurement"))
    truth = draw(st.none() | fitting_stacks(operator, "image"))
    estimator = EquivariantReconstructor(operator, group, **{**TINY, **chosen})

    def call():
        estimator.fit(Y, truth)
        results = [estimator.predict(Y), estimator.score(Y)]
        estimator.partial_fit(more, truth)
        return [*results, estimator.predict(more)]

    return f"{operator} {group} {chosen} {describe(Y)} {describe(truth)}", call


@st.composite
def metric_calls(draw):
    shape = tuple(draw(st.lists(ints(1, 12), min_size=2, max_size=4)))
    shape = draw(st.sampled_from([shape, (2, 8, 8), (3, 7, 9), (1, 20)]))
    first, second = draw(stacks(shape)), draw(stacks(shape))
    metric = draw(st.sampled_from([psnr, ssim]))
    description = f"{metric.__name__}({describe(first)}, {describe(second)})"
    return description, lambda: [
        np.nan_to_num(metric(first, second), posinf=0, neginf=0)
    ]


@st.composite
def rank_calls(draw):
    operator, group, shape = draw(operators()), draw(groups()), draw(SHAPES)

    def call():
        report = check_group_rank(
            operator, group, image_shape=shape, random_state=0, max_seconds=0.5
        )
        assert report.verdict
        return []

    return f"check_group_rank({operator}, {group}, {shape})", call


_CALLS = {
    "operator": operator_calls, "group": group_calls, "linear": linear_calls,
    "learned": learned_calls, "metric": metric_calls, "rank": rank_calls,
}  # fmt: skip


def describe(stack):
    if isinstance(stack, np.ndarray | torch.Tensor):
        return f"{type(stack).__name__}{tuple(stack.shape)} {stack.dtype}"
    return f"{str(stack)[:60]}"


def fault_of(call):
    """Run a call; return "result", "refused" or what is wrong, and the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # What is drawn is no measurement of anything: a fit says so.
            warnings.simplefilter("ignore", GroupRankWarning)
            warnings.simplefilter("ignore", ModelMismatchWarning)
            warnings.filterwarnings("ignore", ".* corners that not all views see")
            results = call()
    except (ValueError, TypeError) as error:
        if not raised_by_us(error):
            return "error from below", error
        return ("refused" if is_one_sentence(str(error)) else "not one sentence"), error
    except DivergenceError as error:
        # With steps of a drawn size a training may, and says so.
        return "diverged", error
    except Exception as error:
        return "error of another class", error
    finite = all(np.isfinite(np.asarray(r, dtype=float)).all() for r in results)
    return ("result" if finite else "not finite"), None
