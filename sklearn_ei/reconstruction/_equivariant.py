"""Equivariant imaging as an estimator."""

from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar, Self

from sklearn.base import clone
from sklearn.utils import check_scalar

from ..model_selection import score_without_truth, tensors, told_noise
from ..networks import ReconstructionFunction
from ..training import EpochTasks, Interrupts, finish, resolve_processes, train
from ..utils.callbacks import (
    CallbackSupportMixin,
    open_callback_context,
    with_callbacks,
)
from ..utils.torch_state import own_torch
from ..utils.validation import record_features
from ._base import BaseReconstructor
from ._networks import make_function
from ._parameters import CONSTRAINTS, resolve_terms
from ._plan import Planner
from ._scaled import ScaledFunction
from ._uncertainty import UncertaintyMixin

_ANY_WAY_UP = 90  # degrees
_LEFT_RIGHT = (False, (False, True))


class EquivariantReconstructor(
    CallbackSupportMixin, UncertaintyMixin, BaseReconstructor
):
    """Learn to reconstruct images from measurements alone.

    Equivariant imaging trains f = G ∘ A† on measurements y = A x + noise
    without ground truth. The set of images is taken to be invariant to a group
    of transformations T_g, which ties the null space of A to its range space.

    The class of the same name in ``deepinv.models`` is another thing: it averages a
    given reconstructor over a group, which is
    :class:`~sklearn_ei.networks.GroupAveraged` here.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    group : Group, "auto" or None, default="auto"
        Transformations that leave the set of images invariant, such as
        ``Rotations(360)``. ``"auto"`` is what is recommended for the operator
        (:func:`~sklearn_ei.groups.recommended_group`), and refused where nothing is;
        with ground truth None, unless ``alpha`` or ``beta`` is a number above 0. None
        only without the equivariance term.
    alpha : float or "auto", default="auto"
        Weight α of the equivariance term. ``"auto"`` is 1.5 · ‖A‖_F²/m; with
        ground truth 1, or 0 without a group. With 0 only the data term
        is left: measurement consistency (MC), or plain supervised training.
    beta : float, default=0
        Weight β of the adversarial term, eq. (7), in units in which A†y has root
        mean square 1. Above 0 a discriminator is trained beside f.
    noise : NoiseModel, "auto" or None, default="auto"
        Of the measurements, e.g. ``GaussianNoise(0.02)``, or ``GaussianNoise()``
        for a level that ``fit`` estimates. The data term then is unbiased for
        the noise-free error, A x₂ gets noise as well, and images need not agree with
        the measurements to the end. ``"auto"``: what
        :func:`~sklearn_ei.noise.estimate_noise` finds in them, which may be none;
        where they do not tell, none is assumed and a
        :class:`~sklearn_ei.noise.NoiseWarning` says so. None: they are noise-free.
    data_term : {"auto", "measurement_consistency", "sure", "unsure", "r2r", \
            "splitting", "supervised"} or DataTerm, default="auto"
        What ties f(y) to the data: the distance of A f(y) from y, Stein's unbiased
        risk estimate, the same for a Gaussian level that nobody knows, recorrupted
        pairs, a part of the measurements that f was not shown, or the distance from
        ground truth, which ``fit`` then needs as its
        second argument (samples without it, whose images are NaN, are compared with
        their measurements). ``"auto"`` is ``"sure"`` if there is ``noise``, else
        ``"measurement_consistency"``; and ``"splitting"`` where ``noise="auto"`` finds
        it correlated between the bins of a view. An instance has parameters, such as
        ``MeasurementConsistency("l1")``, and may be of a class of your own.
    equivariance_term : EquivarianceTerm or "auto", default="auto"
        How the second term is made: group elements a sample, distance, gradient.
        ``"auto"`` is ``EquivarianceTerm()``, with ``stop_gradient=True`` for groups
        that shrink or enlarge images.
    network : "auto", NetworkSpec, torch.nn.Module or callable, default="auto"
        What f consists of. A description such as ``UNet(width=64, depth=4)``, the
        paper's f = G ∘ A†, or ``Unrolled(UNet(width=16, depth=3), n_stages=3,
        n_consistency=2)``. ``"auto"`` is the latter, or eight shallow ones where the
        operator mixes pixels with their neighbours at most, as masks and small blurs
        do (``operator.mixing_radius``). A module G is copied for every fit, with the
        weights it has; a callable ``f(n_channels, n_spatial_dims)`` returns one. Both
        map images (batch, channel, *image_shape) to such images.
    check_rank : {"warn", "raise"} or False, default="warn"
        What a new fit does if the group cannot teach anything about the null
        space of ``operator``: a :class:`~sklearn_ei.GroupRankWarning`, a
        ``ValueError``, or nothing. Only what takes about a second is looked at
        (counting, and whether T_g and AᵀA commute; where Y has NaN, of what any
        sample has);
        :func:`~sklearn_ei.check_group_rank` has the whole answer.
    max_epochs : int or "auto", default="auto"
        Passes over the measurements. ``"auto"``: as many as look at about 180 √n
        samples, of n, in at least 300 steps.
    batch_size : int or "auto", default="auto"
        Samples a step. ``"auto"``: one, or two where there is noise; at least one for
        each process.
    lr : float or "auto", default="auto"
        Learning rate of Adam, at its highest. ``"auto"``: 0.004 for the networks of
        ``network="auto"`` without noise, else 0.002.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        ``"cosine"`` rises over the first twentieth of the steps and decays to
        zero over ``max_epochs``; ``"constant"`` keeps the rate.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, …; ``"auto"`` is a GPU where there is one.
    accelerate : bool, default=False
        Whether ``fit`` and ``partial_fit`` share the work among the processes that
        ``accelerate launch`` or ``torchrun`` started, on several GPUs or machines;
        ``device="auto"`` is then the one of the process. Every process is given all
        data and ends with the same estimator. ``batch_size`` counts the samples of
        all processes together, so that their number changes nothing but rounding.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        In which the network computes. ``"auto"`` is bfloat16 where the
        processor has it in hardware.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the previous call. All other
        parameters may change, but those of the network.
    checkpoint : str, path-like or None, default=None
        File in which ``fit`` keeps everything that the rest of its training
        depends on, written after every epoch. A fit that finds the checkpoint of
        the same training there goes on from it, to the same result bit by bit;
        one that finds that of another training is refused. With a constant rate,
        the same training to fewer epochs will do. A folder holds one such file
        for every training: a search in which each candidate goes on from its own.
    early_stopping : bool or float in (0, 1), default=False
        Whether to leave samples out (True: a tenth, a number: that share), score f
        on them after every epoch (as :meth:`score` does) and keep the weights with
        the best score.
    n_iter_no_change : int, default=10
        Epochs without a better score after which ``early_stopping`` ends a fit.
    allow_missing : bool, default=True
        Whether NaN in measurements is "not measured": dead bins, lost views, another
        mask for every sample. f then gets the part of A that measured each of them
        (:class:`~sklearn_ei.operators.RestrictedOperator`). False: NaN is refused.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, order of samples and drawn group elements.
        Pass an int for reproducible results.
    verbose : int, default=0
        Above 0, print a line for each epoch, and in ``predict`` how many samples of
        several batches are done.
    callbacks : list of skorch callbacks, default=None
        Added to the net. For scikit-learn's own callbacks use
        ``set_callbacks`` (scikit-learn ≥ 1.9).

    Attributes
    ----------
    operator_ : ForwardOperator
        The operator with its shapes fixed; where a tenth of A†y or more is noise, the
        one that it says is suited to that (for CT, with a Hann window).
    group_ : Group or None
        The group, for images of that shape.
    alpha_ : float
        The weight α used.
    noise_ : NoiseModel or None
        The noise model with its numbers, in the units of the measurements; None
        where they were taken as noise-free.
    data_term_ : DataTerm
        The data term used, as it was passed.
    function_ : ReconstructionFunction
        The trained f(y, A), in units of ``scale_``, with weights averaged over the
        last steps.
    net_ : skorch.NeuralNet
        The net that trained it, whose ``module_`` has the weights of the last step;
        not after :func:`~sklearn_ei.load`.
    history_ : skorch.history.History
        One entry an epoch, with the mean of every loss term.
    n_iter_ : int
        Epochs trained.
    n_steps_ : int
        Steps taken in them.
    batch_size_ : int
        Samples a step in the last fit.
    best_validation_score_ : float
        Of the weights kept; only with ``early_stopping``. With ground truth, over the
        samples left out that have any; if none has, the score without ground truth.
    scale_ : float
        Root mean square of A†y in the training data. f works on y / scale_,
        so that units do not matter.
    device_ : torch.device
        Where f lives.
    precision_ : torch.dtype
        In which its network computes.
    image_layout_, measurement_layout_ : Layout
        How images and measurements lie in arrays and tensors.
    measurement_shape_ : tuple of int
        Shape of one measurement, channels (if any) last.
    n_features_in_ : int
        Length of the first axis of one measurement.

    See Also
    --------
    PseudoInverseReconstructor : The linear baseline A†y.

    Notes
    -----
    The objective is eq. (6) of [1]_, with means over all elements,

        MSE(A x₁, y) + α · MSE(f(A x₂), x₂),   x₁ = f(y),  x₂ = T_g x₁.

    It can recover what A does not measure only if the group moves the null
    space of A: rank [A T_1; …; A T_|G|] = n is necessary (Theorem 1).

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning
       Beyond the Range Space", ICCV 2021.

    Examples
    --------
    >>> from sklearn_ei import EquivariantReconstructor
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.groups import Rotations
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(n_views=20)
    >>> Y = operator.measure(make_thorax_phantoms(4, (32, 32), random_state=0))
    >>> ei = EquivariantReconstructor(
    ...     operator, Rotations(360), max_epochs=2, random_state=0
    ... )
    >>> ei.fit(Y).predict(Y).shape
    (4, 32, 32)
    """

    _parameter_constraints: ClassVar[dict] = CONSTRAINTS

    def __init__(
        self,
        operator,
        group="auto",
        alpha="auto",
        *,
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
        warm_start=False,
        checkpoint=None,
        early_stopping=False,
        n_iter_no_change=10,
        allow_missing=True,
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        self.operator = operator
        self.group = group
        self.alpha = alpha
        self.beta = beta
        self.noise = noise
        self.data_term = data_term
        self.equivariance_term = equivariance_term
        self.network = network
        self.check_rank = check_rank
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.device = device
        self.accelerate = accelerate
        self.precision = precision
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.allow_missing = allow_missing
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    @with_callbacks
    def fit(self, Y: Any, y: Any = None) -> Self:
        """Train on measurements.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements, e.g. sinograms (n_samples, n_views, n_bins). Large memory
            maps, HDF5 and zarr arrays and torch data sets, whose items may be
            pairs with the image, are read batch by batch.
        y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
            Ground truth; needed by ``data_term="supervised"``. Images that are NaN
            throughout are missing. Otherwise nothing is learned from it, but images
            tell their shape, if the operator leaves it open.

        Returns
        -------
        self : EquivariantReconstructor

        Raises
        ------
        TypeError, ValueError
            Before any training, if a parameter is out of its range, the data is
            not a finite real stack, or operator, group and data do not fit.
        DivergenceError
            If a term of the loss becomes NaN or explodes. The state after the
            last epoch that went well is kept, if there was one.
        MemoryError
            If a GPU runs out of memory. The state after the last whole epoch is
            kept.
        KeyboardInterrupt
            If it is interrupted before its first epoch is whole, or within a search.

        Warns
        -----
        ModelMismatchWarning
            If no image has such measurements
            (:func:`~sklearn_ei.operators.check_consistency`): what is likely wrong.
        NoiseWarning
            If the measurements do not tell their noise, or it is not independent.
        UserWarning
            If it is interrupted later: the state after the last whole epoch is kept.
        """
        goes_on = self.warm_start and hasattr(self, "function_")
        return self._fit(Y, y, goes_on=goes_on)

    @with_callbacks
    def partial_fit(self, Y: Any, y: Any = None) -> Self:
        """Train for one epoch on these measurements, at the constant rate ``lr``.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements. The first call fixes their shape and ``scale_``, and
            the parameters of the training: changed ones count from the next
            ``fit``.
        y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
            Ground truth; needed by ``data_term="supervised"``, ignored otherwise.

        Returns
        -------
        self : EquivariantReconstructor
        """
        goes_on = hasattr(self, "function_")
        return self._fit(Y, y, goes_on=goes_on, incremental=True)

    @own_torch()
    def _fit(self, Y, y, *, goes_on, incremental=False):
        """Check and plan, train, and keep what came of it."""
        self._validate_params()
        processes = resolve_processes(self.accelerate, self.device)
        planner = Planner(self, processes, goes_on=goes_on, incremental=incremental)
        # Calls of partial_fit share one net, and so the optimizer's moments.
        plan, net, fitted = getattr(self, "_next_epoch", None), None, {}
        if goes_on and incremental and plan is not None:
            plan, net = planner.next_epoch(plan, Y, y), self.net_
        else:
            plan, fitted = planner.plan(Y, y)
        context = open_callback_context(self, plan.n_epochs)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self)
            tasks = EpochTasks(self, context, processes).initialize()
            plan = replace(plan, tasks=tasks)
        with Interrupts().watched() as interrupts:
            trained = train(plan, net, interrupts)
            kept = trained.n_epochs > 0
            if kept:
                self._keep(
                    plan, trained, fitted, Y, goes_on=goes_on, incremental=incremental
                )
        finish(trained, plan, interrupts, kept=kept or goes_on)
        if context is not None:
            context.call_on_fit_task_end(estimator=self)
        return self

    def _keep(self, plan, trained, fitted, Y, *, goes_on, incremental):
        """Set all fitted attributes."""
        if "measurement_shape_" in fitted:
            record_features(self, Y)
        for name, value in fitted.items():
            setattr(self, name, value)
        self.group_ = plan.group
        self.alpha_ = plan.alpha
        self.noise_ = plan.noise
        self.data_term_ = clone(plan.data_term)
        self.scale_ = plan.scale
        self.device_ = plan.device
        self.precision_ = plan.function.dtype
        earlier = list(self.history_) if goes_on and fitted else []
        self.net_ = trained.net
        self.function_ = trained.function
        self._consistency = (
            trained.function.n_consistency,
            trained.function.last_consistency,
        )
        self.history_ = trained.join_history(earlier)
        self.n_iter_ = len(self.history_)
        self.n_steps_ = sum(epoch["train_batch_count"] for epoch in self.history_)
        self.batch_size_ = plan.batch_size
        if trained.score is not None:
            self.best_validation_score_ = trained.score
        else:  # not that of an earlier fit
            vars(self).pop("best_validation_score_", None)
        without_data = replace(plan, dataset=None, tasks=None, checkpoint=None)
        self._next_epoch = without_data if incremental else None

    def score(self, Y: Any, y: Any = None) -> float:
        """Return the PSNR in dB with ground truth, a round-trip score without.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
            Ground truth. One number a sample (class labels that travel along
            in a pipeline) is not an image, and is treated as None.

        Returns
        -------
        score : float
            Higher is better. With ground truth the mean
            :func:`~sklearn_ei.metrics.psnr`; without,
            :func:`~sklearn_ei.model_selection.round_trip_score`, which is 0 where a
            transformed image, measured and reconstructed again, says what Y says
            (with noise that is known, what A x is estimated to say).
            Unlike the measurement error ‖A f(y) − y‖, which cannot see the null
            space and prefers α = 0, it can rank values of α. Without a group only
            the measurement error is left. Compare such scores between estimators
            with the same operator and group alone.
        """
        return super().score(Y, y)

    def build_function(self, seed: int | None = None) -> ReconstructionFunction:
        """Return f as the parameters describe it, for the fitted operator.

        Parameters
        ----------
        seed : int or None, default=None
            Of the weights. None: they take no memory, on torch's ``meta`` device,
            unless a network is a module or a callable of your own.

        Returns
        -------
        function : ReconstructionFunction
            Untrained.

        Raises
        ------
        TypeError, ValueError
            If parameters are out of their range or do not fit together.
        """
        self._validate_params()
        parameters = self.get_params(deep=False)
        if isinstance(parameters["noise"], str):
            parameters["noise"] = self.noise_
        data_term, _, network = resolve_terms(parameters)
        function = make_function(
            network,
            data_term.resolve(self.operator_, self.noise_, 0),
            self.image_layout_,
            self.precision_,
            seed,
            trial=False,  # files of strangers describe images of any size
        )
        steps = getattr(self, "_consistency", None)  # since parameters may have changed
        if steps is not None:
            n_steps, last = steps
            check_scalar(n_steps, "n_consistency", Integral, min_val=0)
            check_scalar(last, "last_consistency", bool)
            function.n_consistency, function.last_consistency = n_steps, last
        return function

    def _reconstruct(self, y, A):
        f = ScaledFunction(self.function_, self.scale_, self.device_, self.data_term_)
        return f(y, A)

    def _used_symmetries(self):
        """Return those of the instrument, or what f has learned of: left to right."""
        symmetries = self.operator_.symmetries()
        learned = self.group_ is not None and self.alpha_ > 0
        if learned and self.group_.largest_turn >= _ANY_WAY_UP:
            return symmetries
        return [s for s in symmetries if (s.transpose, s.mirror) == _LEFT_RIGHT]

    def _reconstruct_averaged(self, y):
        """Return the mean of what f says of y and of its turned and mirrored copies.

        A T x = P A x for the symmetries T of the instrument, and so T⁻¹ f(P y) is as
        good an answer as f(y), if f has learned of images that are turned as far. Not
        where predictions are averages already.
        """
        x = super()._reconstruct_averaged(y)
        if self.data_term_.averages:
            return x
        symmetries = self._used_symmetries()
        for symmetry in symmetries:
            moved = super()._reconstruct_averaged(symmetry.permute(y))
            x = x + symmetry.move_back(moved)
        return x / (1 + len(symmetries))

    def _score_without_truth(self, Y):
        batches = tensors(self, Y)
        noise = told_noise(self.noise_, self.data_term_)
        return score_without_truth(
            self._reconstruct, self.operator_, self.group_, batches, noise=noise
        )
