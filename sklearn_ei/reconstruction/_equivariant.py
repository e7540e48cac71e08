"""Equivariant imaging as an estimator."""

import warnings
from numbers import Integral
from typing import Any, Self

from sklearn.utils import check_scalar

from ..groups import Group
from ..identifiability import GroupRankWarning
from ..identifiability._check import cheap_failure
from ..losses import EquivariantObjective, check_distance
from ..model_selection import round_trip_score
from ..networks import PatchDiscriminator
from ..utils.callbacks import with_callbacks
from ..utils.params import brief, check_option, check_real
from ..utils.random import seeded_initialisation
from ._learned import LearnedReconstructor
from ._objective import make_data_term, resolve_data_term

# α = 1.5 ‖A‖_F²/m is where the best values of the paper's Table 2 lie, for CT
# and inpainting alike.
_AUTO_ALPHA = 1.5
_NOTHING = 1e-10  # a relative error that is rounding
_NOISE_FREE = ("auto", "measurement_consistency")


class EquivariantReconstructor(LearnedReconstructor):
    """Learn to reconstruct images from measurements alone.

    Equivariant imaging trains f = G ∘ A† on measurements y = A x + noise
    without ground truth. The set of images is taken to be invariant to a group
    of transformations T_g, which ties the null space of A to its range space.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    group : Group or None, default=None
        Transformations that leave the set of images invariant, such as
        ``Rotations(360)``. None only without the equivariance term.
    alpha : float or "auto", default="auto"
        Weight α of the equivariance term. ``"auto"`` is 1.5 · ‖A‖_F²/m; if
        ``supervised`` 1, or 0 without a group. With 0 only the data term
        is left: measurement consistency (MC), or plain supervised training.
    beta : float, default=0
        Weight β of the adversarial term, eq. (7), in units in which A†y has root
        mean square 1. Above 0 a discriminator is trained beside f.
    supervised : bool, default=False
        Whether the data term compares f(y) with ground truth, which ``fit``
        then needs as its second argument. Samples without ground truth, whose
        images are NaN, are compared with their measurements.
    noise : NoiseModel or None, default=None
        Of the measurements, e.g. ``GaussianNoise(0.02)``, or ``GaussianNoise()``
        for a level that ``fit`` estimates. The data term then is unbiased for
        the noise-free error, and A x₂ gets noise as well.
    data_term : {"auto", "measurement_consistency", "sure", "unsure", "r2r"}, \
            default="auto"
        What compares A f(y) with y: the plain distance, Stein's unbiased risk
        estimate, the same for a Gaussian level that nobody knows, or
        recorrupted pairs. ``"auto"`` is ``"sure"`` if there is ``noise``, else
        ``"measurement_consistency"``.
    data_loss, equivariance_loss : {"l2", "l1", "huber"} or callable, default="l2"
        Distances in both terms, of images or measurements in units in which A†y
        has root mean square 1. A callable gets two tensors and returns a scalar.
        α keeps its meaning if both are of one kind.
    check_rank : {"warn", "raise"} or False, default="warn"
        What a new fit does if the group cannot teach anything about the null
        space of ``operator``: a :class:`~sklearn_ei.GroupRankWarning`, a
        ``ValueError``, or nothing. Only what takes about a second is looked at
        (counting, and whether T_g and AᵀA commute);
        :func:`~sklearn_ei.check_group_rank` has the whole answer.
    n_transforms : int, default=1
        Group elements drawn for each sample and step.
    network : torch.nn.Module, callable or None, default=None
        G, from images (batch, channel, *image_shape) to such images. A module is
        copied for every fit, with the weights it has; a callable
        ``f(n_channels, n_spatial_dims)`` returns one. None is the residual U-Net.
    width : int, default=16
        Channels of the first level of the residual U-Net. The paper has 64.
    depth : int, default=3
        Levels of the U-Net.
    n_stages : int, default=3
        Networks, each with weights of its own, that take turns with the steps of
        ``n_consistency``: an unrolled network. The paper has one.
    n_consistency : int, default=3
        Data-consistency steps x += w·A†(y − A x) after each network; the paper has
        none. None follow the last network with ``noise`` or a data term made for
        it: they would put the noise of y back into the image.
    max_epochs : int, default=20
        Passes over the measurements.
    batch_size : int, default=2
        Samples a step.
    lr : float, default=2e-3
        Learning rate of Adam, at its highest.
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
    cuda_graphs : bool, default=True
        Whether a GPU replays training steps as CUDA graphs, wherever a step does
        the same work each time. Steps that draw noise do not.
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
    early_stopping : bool, default=False
        Whether to leave samples out, score f on them after every epoch (as
        :meth:`score` does) and keep the weights with the best score.
    validation_fraction : float, default=0.1
        Share of the samples left out for ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs without a better score after which ``early_stopping`` ends a fit.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, order of samples and drawn group elements.
        Pass an int for reproducible results.
    verbose : int, default=0
        Above 0, print a line for each epoch.
    callbacks : list of skorch callbacks, default=None
        Added to the net. For scikit-learn's own callbacks use
        ``set_callbacks`` (scikit-learn ≥ 1.9).

    Attributes
    ----------
    operator_ : ForwardOperator
        The operator with its shapes fixed.
    group_ : Group or None
        The group, for images of that shape.
    alpha_ : float
        The weight α used.
    noise_ : NoiseModel or None
        The noise model with its numbers, in the units of the measurements.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is f, in units of ``scale_``.
    history_ : skorch.history.History
        One entry an epoch, with the mean of every loss term.
    n_iter_ : int
        Epochs trained.
    best_validation_score_ : float
        Of the weights kept; only with ``early_stopping``.
    scale_ : float
        Root mean square of A†y in the training data. f works on y / scale_,
        so that units do not matter.
    device_ : torch.device
        Where f lives.
    precision_ : torch.dtype
        In which its network computes.
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
    ...     operator, Rotations(360), max_epochs=2, width=4, random_state=0
    ... )
    >>> ei.fit(Y).predict(Y).shape
    (4, 32, 32)
    """

    def __init__(
        self,
        operator,
        group=None,
        alpha="auto",
        *,
        beta=0.0,
        supervised=False,
        noise=None,
        data_term="auto",
        data_loss="l2",
        equivariance_loss="l2",
        check_rank="warn",
        n_transforms=1,
        network=None,
        width=16,
        depth=3,
        n_stages=3,
        n_consistency=3,
        max_epochs=20,
        batch_size=2,
        lr=2e-3,
        lr_schedule="cosine",
        device="auto",
        accelerate=False,
        precision="auto",
        cuda_graphs=True,
        warm_start=False,
        checkpoint=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        self.operator = operator
        self.group = group
        self.alpha = alpha
        self.beta = beta
        self.supervised = supervised
        self.noise = noise
        self.data_term = data_term
        self.data_loss = data_loss
        self.equivariance_loss = equivariance_loss
        self.check_rank = check_rank
        self.n_transforms = n_transforms
        self.network = network
        self.width = width
        self.depth = depth
        self.n_stages = n_stages
        self.n_consistency = n_consistency
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.device = device
        self.accelerate = accelerate
        self.precision = precision
        self.cuda_graphs = cuda_graphs
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
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
            Ground truth; needed if ``supervised``. Images that are NaN throughout
            are missing. Otherwise nothing is learned from it, but images tell
            their shape, if the operator leaves it open.

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
            last epoch that went well is kept.
        MemoryError
            If a GPU runs out of memory. The state after the last whole epoch is
            kept.
        """
        return self._fit_epochs(
            Y,
            y,
            goes_on=self.warm_start and hasattr(self, "net_"),
            incremental=False,
        )

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
            Ground truth; needed if ``supervised``, ignored otherwise.

        Returns
        -------
        self : EquivariantReconstructor
        """
        return self._fit_epochs(
            Y,
            y,
            goes_on=hasattr(self, "net_"),
            incremental=True,
        )

    def _check_training_params(self):
        super()._check_training_params()
        check_scalar(self.n_transforms, "n_transforms", Integral, min_val=1)
        check_scalar(self.supervised, "supervised", bool)
        if self.check_rank is not False:
            check_option("check_rank", self.check_rank, ("warn", "raise"))
        check_distance("equivariance_loss", self.equivariance_loss)
        resolve_data_term(self.data_term, self.noise, self.supervised, self.data_loss)
        check_real("beta", self.beta, min_val=0)
        if isinstance(self.alpha, str):
            check_option("alpha", self.alpha, ("auto",))
            if self.group is None and not self.supervised:
                raise ValueError(
                    "Got no group, but expected one such as Rotations(360), or alpha=0 "
                    "for measurement consistency alone."
                )
        else:
            check_real("alpha", self.alpha, min_val=0)
        for name in ("alpha", "beta"):
            weight = getattr(self, name)
            if self.group is None and weight not in (0, "auto"):
                raise ValueError(
                    f"Got {name}={weight} without a group, but expected a group such "
                    f"as Rotations(360), or {name}=0 for training without that term."
                )

    def _resolve_model(self, Y, truth, reset):
        if self.supervised and truth is None:
            raise ValueError(
                f"{type(self).__name__} with supervised=True needs ground truth: "
                "expected images as the second argument of fit, got None."
            )
        model = self._resolve_operator(Y, truth) if reset else {}
        operator = model.get("operator_") or self.operator_
        group = self._resolve_group(operator.image_shape, Y.shape[1])
        alpha = self._resolve_alpha(operator, group)
        # Ground truth teaches the null space whatever the group does.
        if reset and alpha > 0 and not self.supervised:
            self._check_group(operator, group)
        return {**model, "group_": group, "alpha_": alpha}

    def _resolve_group(self, image_shape, n_features):
        if self.group is None:
            return None
        if not isinstance(self.group, Group):
            raise TypeError(
                f"Got group={brief(self.group)}, but expected a Group such as "
                "Rotations(360)."
            )
        group = self.group.resolve(image_shape)
        if self.n_transforms >= group.n_elements and (self.alpha != 0 or self.beta > 0):
            raise ValueError(
                f"{self.group} has {group.n_elements} element(s) on images of shape "
                f"{image_shape} (n_features = {n_features}), but n_transforms="
                f"{self.n_transforms} needs as many besides the identity."
            )
        return group

    def _check_group(self, operator, group):
        """Warn, or raise, if the group rules out learning beyond A†."""
        if self.check_rank is False:
            return
        failure = cheap_failure(operator, group)
        if failure is None:
            return
        message = (
            f"{type(self).__name__} got operator={self.operator} and "
            f"group={self.group}, whose rank check says {failure} Expected another "
            "group; see check_group_rank, or pass check_rank=False."
        )
        if self.check_rank == "raise":
            raise ValueError(message)
        warnings.warn(message, GroupRankWarning, stacklevel=6)

    def _resolve_alpha(self, operator, group):
        if self.alpha != "auto":
            return float(self.alpha)
        if group is None:
            return 0.0
        if self.supervised:
            return 1.0
        return _AUTO_ALPHA * operator.mean_squared_row_norm()

    def _trusts_measurements(self):
        return self.noise is None and self.data_term in _NOISE_FREE

    def _resolve_data(self, operator, y, truth, same_net):
        partial = truth is not None and bool(truth.isnan().any())
        if same_net:
            if partial and not self._partial_truth:
                raise ValueError(
                    "y has samples without an image (NaN), but expected images for "
                    "all samples, as in the first call of partial_fit."
                )
            return {}
        noise = None if self.noise is None else self.noise.resolve(operator, y)
        return {"noise_": noise, "_partial_truth": partial}

    def _make_objective(self, seeds):
        # Training sees y / scale_.
        noise = None if self.noise_ is None else self.noise_.scaled(1 / self.scale_)
        kind = resolve_data_term(
            self.data_term, self.noise, self.supervised, self.data_loss
        )
        data_term = make_data_term(
            kind,
            self.operator_,
            noise,
            self.data_loss,
            partial_truth=self._partial_truth,
            seed=seeds[1],
        )
        return EquivariantObjective(
            data_term,
            self.operator_,
            self.group_,
            self.alpha_,
            beta=float(self.beta),
            noise=data_term if kind == "unsure" else noise,
            distance=check_distance("equivariance_loss", self.equivariance_loss),
            n_transforms=self.n_transforms,
            seed=seeds[0],
        )

    def _make_critic(self, seed):
        if self.beta == 0:
            return None
        with seeded_initialisation(seed):
            return PatchDiscriminator(
                self._n_image_channels or 1,
                width=self.width,
                depth=self.depth,
                n_spatial_dims=len(self.operator_.image_shape),
            )

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
            transformed image, measured and reconstructed again, says what Y says.
            Unlike the measurement error ‖A f(y) − y‖, which cannot see the null
            space and prefers α = 0, it can rank values of α. Without a group only
            the measurement error is left. Compare such scores between estimators
            with the same operator and group alone.
        """
        return super().score(Y, y)

    def _score_without_truth(self, Y):
        if self.group_ is None or self.group_.n_elements < 2:
            return super()._score_without_truth(Y)
        score = round_trip_score(self, Y)
        # Where the second measurement sees all that the first one saw, nothing is
        # left to compare but all of it.
        nothing_unseen = score > -_NOTHING
        return round_trip_score(self, Y, only_unseen=False) if nothing_unseen else score
