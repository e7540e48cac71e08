"""Equivariant imaging that chooses α by itself."""

import copy
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import ShuffleSplit, check_cv
from sklearn.utils._param_validation import StrOptions

from ..losses import choose_data_term
from ..model_selection import doubt, round_trip_score
from ..training import resolve_processes, searching
from ..utils.params import brief
from ..utils.random import draw_seed
from ..utils.torch_state import own_torch
from ..utils.validation import check_measurements
from ..utils.warn import warn
from ._base import BaseReconstructor
from ._equivariant import EquivariantReconstructor
from ._parameters import CONSTRAINTS
from ._plan import Planner
from ._uncertainty import UncertaintyMixin

# Parts of max_epochs: the start that all α share, and the branch of each. On four
# fifths of the samples, five α and the fit that follows cost
# 0.8 · (0.5 + 5 · 0.2) + 1 = 2.2 fits, and five scores about a tenth.
_SHARED, _BRANCH = 0.5, 0.2
_TEST_SIZE = 0.2
_SINGLE = 8  # samples that are scored one by one as well, to see how scores scatter
_AUTO_FACTORS = (0.01, 0.1, 1.0, 10.0, 100.0)
# Those of EquivariantReconstructor that make no sense here.
_NOT_SHARED = {"alpha", "warm_start", "checkpoint", "early_stopping"}
_NOT_SHARED |= {"n_iter_no_change"}
_SHARED_PARAMETERS = [name for name in CONSTRAINTS if name not in _NOT_SHARED]


class EquivariantReconstructorCV(UncertaintyMixin, BaseReconstructor):
    """Learn from measurements alone, with the weight α chosen without truth.

    One path over α: half of the epochs with the α in the middle, from there a
    branch of a fifth for each α, and a score of each on samples left out. With the
    best α follows a fit from the start, on all samples. Five values cost 2.2 times
    the samples · epochs of a single fit, and the scores.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    group : Group or "auto", default="auto"
        Transformations that leave the set of images invariant; ``"auto"``: those that
        are recommended for the operator.
    alphas : array-like of shape (n_alphas,) or "auto", default="auto"
        Weights to choose from. ``"auto"``: 0.01, 0.1, 1, 10 and 100 times the
        ``alpha="auto"`` of :class:`EquivariantReconstructor`.
    cv : int, splitter, iterable or None, default=None
        As for ``GridSearchCV``; each split costs a path. None: one split, that
        leaves a fifth of the samples out.
    scoring : callable or None, default=None
        Scorer ``(estimator, Y, y=None)``, such as those of
        :mod:`sklearn_ei.model_selection`. None:
        :func:`~sklearn_ei.model_selection.round_trip_score`.
    beta, noise, data_term, equivariance_term, network, check_rank
        As for :class:`EquivariantReconstructor`; ``data_term`` without ground truth.
    max_epochs, batch_size, lr, lr_schedule
        As for :class:`EquivariantReconstructor`, of the final fit.
    device, accelerate, precision, allow_missing, random_state, verbose, callbacks
        As for :class:`EquivariantReconstructor`. There is no checkpoint and no early
        stopping; where these matter, search a grid with a folder as ``checkpoint``.

    Attributes
    ----------
    alpha_ : float
        The α chosen.
    alphas_ : ndarray of shape (n_alphas,)
        The values tried, increasing.
    scores_ : ndarray of shape (n_alphas, n_splits)
        Score of each, after its branch.
    best_score_ : float
        Mean over splits of the best one.
    cv_results_ : dict of ndarrays
        ``"alpha"``, ``"mean_test_score"``, ``"std_test_score"``,
        ``"split0_test_score"``, … and ``"rank_test_score"``, for a DataFrame.
    best_estimator_ : EquivariantReconstructor
        The estimator with ``alpha_``. Its fitted attributes
        (``operator_``, ``group_``, ``net_``, ``history_``, ``n_iter_``,
        ``scale_``, …) are attributes of this object too.
    measurement_shape_ : tuple of int
        Shape of one measurement, channels (if any) last.
    n_features_in_ : int
        Length of the first axis of one measurement.

    See Also
    --------
    EquivariantReconstructor : With α given.

    Notes
    -----
    The result is, bit by bit, that of :class:`EquivariantReconstructor` with
    ``alpha_`` and the same integer ``random_state``; the path only chooses. A
    network that is trained for short prefers a larger α than one that is trained to
    the end, so that all branches start from a network that is half trained, and end
    with a decayed learning rate. ``GridSearchCV`` trains each α to the end, at
    n_alphas times the cost.

    Examples
    --------
    >>> from sklearn_ei import EquivariantReconstructorCV
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.groups import Rotations
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(n_views=20)
    >>> Y = operator.measure(make_thorax_phantoms(5, (16, 16), random_state=0))
    >>> ei = EquivariantReconstructorCV(
    ...     operator, Rotations(360), [1, 20], max_epochs=4, random_state=0
    ... )
    >>> ei.fit(Y).alpha_ in (1.0, 20.0)
    True
    >>> ei.scores_.shape
    (2, 1)
    """

    _parameter_constraints: ClassVar[dict] = {
        **{name: CONSTRAINTS[name] for name in _SHARED_PARAMETERS},
        "alphas": ["array-like", StrOptions({"auto"})],
        "cv": ["cv_object"],
        "scoring": [callable, None],
    }

    def __init__(
        self,
        operator,
        group="auto",
        alphas="auto",
        *,
        cv=None,
        scoring=None,
        beta=0.0,
        noise="auto",
        data_term="auto",
        equivariance_term="auto",
        network="auto",
        check_rank="warn",
        max_epochs="auto",
        batch_size="auto",
        lr="auto",
        lr_schedule="cosine",
        device="auto",
        accelerate=False,
        precision="auto",
        allow_missing=True,
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        self.operator = operator
        self.group = group
        self.alphas = alphas
        self.cv = cv
        self.scoring = scoring
        self.beta = beta
        self.noise = noise
        self.data_term = data_term
        self.equivariance_term = equivariance_term
        self.check_rank = check_rank
        self.network = network
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.device = device
        self.accelerate = accelerate
        self.precision = precision
        self.allow_missing = allow_missing
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    @own_torch()
    def fit(self, Y: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Choose α and train with it.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements; at least two samples.
        y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
            Ground truth, which only a ``scoring`` such as
            :func:`~sklearn_ei.model_selection.psnr_score` looks at. Nothing is
            learned from it.
        groups : array-like of shape (n_samples,), default=None
            For splitters such as ``GroupKFold``: the patient of each sample.

        Returns
        -------
        self : EquivariantReconstructorCV

        Raises
        ------
        TypeError, ValueError
            As for :class:`EquivariantReconstructor`, if ``alphas`` are not
            finite, distinct and non-negative, or if there is a single sample.

        Warns
        -----
        UserWarning
            If the best of three or more α is the smallest (but for 0) or the largest
            one, or another one is within the scatter of its scores between samples.
        """
        self._validate_params()
        if choose_data_term(self.data_term, self.noise).needs_truth:
            raise ValueError(
                f"Got data_term={brief(self.data_term)}, but expected one without "
                "ground truth, from which α is chosen here; with it, search alpha of "
                "EquivariantReconstructor with GridSearchCV."
            )
        checked = check_measurements(self, Y, reset=True)
        processes = resolve_processes(self.accelerate, self.device)
        alphas, settings = self._resolve(checked, y, processes)
        scorer = check_scoring(self, scoring=self.scoring or round_trip_score)
        splits = processes.from_main(self._splits(checked, y, groups))
        fixed = isinstance(self.random_state, Integral)
        seed = self.random_state if fixed else draw_seed(self.random_state)
        settings["seed"] = seed = processes.from_main(seed)
        truth = y if y is None else np.asarray(y)
        with searching():  # which Ctrl-C leaves
            rows = [
                self._path((checked, truth), split, alphas, settings, scorer)
                for split in splits
            ]
            rows = processes.from_main(rows)
            scores = np.transpose([score for score, _ in rows])
            paired = np.concatenate([of_samples for _, of_samples in rows], axis=1)
            # The first of equals; NaN is never best.
            means = np.nan_to_num(scores.mean(axis=1), nan=-np.inf)
            best = int(np.argmax(means))
            # The group has been looked at before the path.
            last = {"check_rank": False, "noise": settings["noise"]}
            estimator = self._make(alphas[best], seed, **last).fit(Y)
        estimator.set_params(check_rank=self.check_rank, noise=self.noise)
        self._warn_of_a_doubtful_choice(alphas, means, best, paired)

        self.best_estimator_ = estimator
        for name, value in vars(estimator).items():
            if name.endswith("_"):
                setattr(self, name, value)
        if hasattr(self, "feature_names_in_") and not hasattr(
            estimator, "feature_names_in_"
        ):
            del self.feature_names_in_
        self.alphas_, self.scores_ = alphas, scores
        self.best_score_ = float(means[best])
        self.cv_results_ = {
            "alpha": alphas,
            "mean_test_score": means,
            "std_test_score": scores.std(axis=1),
            "rank_test_score": 1 + (means[:, None] < means).sum(axis=1),
            **{f"split{i}_test_score": column for i, column in enumerate(scores.T)},
        }
        return self

    def _warn_of_a_doubtful_choice(self, alphas, means, best, paired):
        """Say so where the best α is at the edge of those tried, or one of several."""
        said = doubt(alphas, means, best, paired)
        if said is not None:
            name = type(self).__name__
            message = f"{name}: alpha_={alphas[best]:.4g} {said}."
            warn(message)

    def _make(self, alpha, seed, **parameters):
        """Return the estimator with one α, and this object's parameters."""
        shared = {name: getattr(self, name) for name in _SHARED_PARAMETERS}
        shared.update({"alpha": float(alpha), "random_state": seed, **parameters})
        return EquivariantReconstructor(**shared)

    def _resolve(self, Y, y, processes):
        """Return the values of α to try, increasing, and what all fits share.

        Refuses bad parameters, before the first of many fits.
        """
        alphas = self.alphas
        if isinstance(alphas, str):
            factors, base = _AUTO_FACTORS, "auto"
        else:
            try:
                factors = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
            except (TypeError, ValueError):
                factors = np.full(1, np.nan)
            valid = factors.ndim == 1 and len(factors) and np.isfinite(factors).all()
            if not valid or factors.min() < 0 or len(set(factors)) < len(factors):
                raise ValueError(
                    f"Got alphas={alphas!r}, but expected distinct, finite numbers, "
                    "zero or more."
                )
            base = float(factors.max())
        probe = self._make(0, 0).set_params(alpha=base)
        planner = Planner(probe, processes, goes_on=False, incremental=False)
        plan, _ = planner.plan(Y, y)
        if base == "auto":
            factors = np.multiply(factors, plan.alpha)
        settings = {"max_epochs": plan.n_epochs, "batch_size": plan.batch_size}
        # What "auto" found in all samples holds for each part of them.
        settings["noise"] = plan.noise if isinstance(self.noise, str) else self.noise
        return np.sort(factors), settings

    def _splits(self, Y, y, groups):
        if len(Y) < 2:
            raise ValueError(
                f"Got 1 sample (n_samples = {len(Y)}), but expected at least two: "
                "α is chosen on samples that are left out."
            )
        if self.cv is None:
            n_test = max(1, round(_TEST_SIZE * len(Y)))
            seed = draw_seed(0 if self.random_state is None else self.random_state)
            splitter = ShuffleSplit(1, test_size=n_test, random_state=seed)
        else:
            splitter = check_cv(self.cv)
        return list(splitter.split(Y, y, groups))

    def _path(self, data, split, alphas, settings, scorer):
        """Return the score of each α on one split, and those of single samples."""
        (Y, y), (train, test) = data, split
        truth = None if y is None else y[test]
        n_shared = max(1, round(_SHARED * settings["max_epochs"]))
        n_branch = max(1, int(_BRANCH * settings["max_epochs"]))
        settings = {**settings, "check_rank": False, "callbacks": None}
        settings.update(max_epochs=n_shared, lr_schedule="constant")
        middle = alphas[len(alphas) // 2]
        start = self._make(middle, **settings).fit(Y[train])
        scores, of_samples = [], []
        for alpha in alphas:
            branch = copy.deepcopy(start).set_params(
                alpha=float(alpha),
                warm_start=True,
                max_epochs=n_branch,
                lr_schedule="cosine",
            )
            branch.fit(Y[train])
            given = [Y[test]] if truth is None else [Y[test], truth]
            scores.append(float(scorer(branch, *given)))
            of_samples.append(
                [
                    float(scorer(branch, *(part[i : i + 1] for part in given)))
                    for i in range(min(len(test), _SINGLE))
                    if len(test) > 1
                ]
            )
        return scores, of_samples

    def _reconstruct(self, y, A):
        return self.best_estimator_._reconstruct(y, A)

    def _reconstruct_averaged(self, y):
        return self.best_estimator_._reconstruct_averaged(y)

    def _score_without_truth(self, Y):
        return self.best_estimator_._score_without_truth(Y)
