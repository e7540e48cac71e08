"""2DeteCT: the methods that Equivariance2Inverse's paper compares, on its real data.

Schut et al. (arXiv:2510.23317) review six self-supervised methods on 2DeteCT. Here are
those that the library has, between supervised training and what needs no training, in
the library's own networks and with its own settings. The split is that of Kiss et al.
(arXiv:2412.08350), whose loader takes the first 80 % of the samples for training, the
next 10 % for validation, and the last 10 % for testing; here it is taken of slices, and
the middle tenth is left out: it keeps apart slices of one sample, at most 50.
"""

from pathlib import Path

import numpy as np
from sklearn.base import clone

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import read_2detect
from sklearn_ei.losses import Splitting

from ._methods import METHODS, Method
from ._scan import Scan

N_VIEWS = 3600
TRAIN, TEST = 0.8, 0.1  # shares of the slices, the first and the last ones


def add_arguments(parser):
    """Add what is chosen of the data set."""
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help="raw archives")
    add("--references", type=Path, help="archives of reconstructions (as --data)")
    add("--slices", help="first-last, of one detector, such as 2831-5000 (all)")
    add("--mode", type=int, default=1, help="of the sinograms, low dose (1)")
    add("--reference-mode", type=int, default=2, help="of the reconstructions (2)")
    add("--views", type=int, default=360, help="that methods are given (360)")
    add("--bin", type=int, default=4, help="average so many of 1912 bins (4)")
    add("--size", type=int, default=512, help="pixels a side of the images (512)")
    add("--epochs", type=int, help="of every training (as many as suit the data)")


def methods(epochs=None):
    """Return the rows of the comparison, by name."""
    common = {} if epochs is None else {"max_epochs": epochs}

    def trained(title, *, supervised=False, **parameters):
        def make(operator, seed):
            return EquivariantReconstructor(
                operator, random_state=seed, **common, **parameters
            )

        return Method(title, make, has_seed=True, supervised=supervised)

    return {
        **{name: METHODS[name] for name in ("fbp", "fbp-hann", "tv", "tv-best")},
        "rei": trained("robust EI (SURE)", data_term="sure"),
        "sparse2inverse": trained(
            "Sparse2Inverse", data_term=Splitting(), alpha=0, group=None
        ),
        "e2i": trained("Equivariance2Inverse", data_term=Splitting()),
        "supervised": trained(
            "supervised", supervised=True, data_term="supervised", alpha=0, group=None
        ),
    }


def from_2detect(options):
    """Return the problem that the command line describes."""
    if options.views < 1 or N_VIEWS % (2 * options.views):
        raise SystemExit(
            f"Got --views {options.views}, but expected a divisor of {N_VIEWS // 2}: "
            "as many views in between tell who is right."
        )
    if not options.data.is_dir():
        raise SystemExit(
            f"Got --data {options.data}, but expected a folder with 2DeteCT: its raw "
            "archives begin with doi:10.5281/zenodo.8014757, its reconstructions with "
            "doi:10.5281/zenodo.8017582."
        )
    try:
        scan = read_2detect(
            options.data,
            _numbers(options.slices),
            options.mode,
            keep_every=N_VIEWS // (2 * options.views),
            factor=options.bin,
            image_shape=(options.size, options.size),
            references=options.references or options.data,
            reference_mode=options.reference_mode,
        )
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from None
    n = len(scan.slices)
    train, test = np.arange(int(TRAIN * n)), np.arange(n - max(int(TEST * n), 1), n)
    if not len(train) or train[-1] >= test[0]:
        raise SystemExit(
            f"Got {n} slice(s), but expected two or more to train and test."
        )
    given, others = (
        clone(scan.operator).set_params(angles=scan.operator.angles[part])
        for part in (slice(0, None, 2), slice(1, None, 2))
    )
    return Scan(
        "2detect",
        f"2DeteCT, mode {options.mode}",
        given,
        np.ascontiguousarray(scan.measurements[train, ::2]),
        np.ascontiguousarray(scan.measurements[test, ::2]),
        scan.images[test],
        others,
        np.ascontiguousarray(scan.measurements[test, 1::2]),
        truth=scan.images[train],
        setup={
            "operator": type(given).__name__,
            "image_shape": list(given.image_shape),
            "n_bins": int(given.n_bins),
            "views": f"{options.views} of {N_VIEWS}",
            "slices": f"{_span(scan.slices[train])} to train, "
            f"{_span(scan.slices[test])} to test",
            "reference": f"published reconstructions of mode {options.reference_mode}",
            "air_counts": round(float(scan.air_counts.mean()), 1),
            "detector_offset": round(float(given.detector_offset), 4),
        },
    )


def _numbers(text):
    """Return the numbers of slices from ``first-last``, None for all."""
    if text is None:
        return None
    try:
        first, last = map(int, text.split("-"))
        numbers = np.arange(first, last + 1)
    except ValueError:
        numbers = np.array([])
    if not numbers.size:
        raise SystemExit(f"Got --slices {text}, but expected first-last.")
    return numbers


def _span(numbers):
    return f"{len(numbers)} of {numbers[0]}-{numbers[-1]}"
