"""The skorch net behind the estimators."""

from contextlib import nullcontext

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog

from ..losses import critic_error
from ..utils.dataset import BatchLoader
from ..utils.random import RandomStream, mix_seeds, seeded_torch
from ._average import AveragedWeights
from ._epochs import run_epochs
from ._interrupts import Interrupts
from ._optimizer import set_rate, settle
from .machine import SharedFunction, may_draw


class ReconstructionNet(NeuralNet):
    """skorch net that trains f, and perhaps a critic, with several named terms.

    The loss of a batch, its terms and its size are in ``history`` under the names
    that skorch would give them, written when the epoch is over: looking at each
    one as it comes would make a GPU wait.

    Parameters
    ----------
    module : ReconstructionFunction
        f.
    criterion : EquivariantObjective
        The objective; it sees f itself, which the equivariance term calls again.
    critic : torch.nn.Module or None, default=None
        The discriminator D of adversarial training, with an optimizer of its own
        and the rate ``lr``.
    seed : int, default=0
        Of the order of the samples.
    capture : bool, default=False
        Whether to take steps by replaying a record; see :class:`CapturedStep`.
    average : bool, default=False
        Whether weights are averaged over steps; see :class:`AveragedWeights`.
    **kwargs
        As for :class:`skorch.NeuralNet`.

    Attributes
    ----------
    processes : Processes or None
        With whom f is shared, while they train.
    explosion_ : float
        The loss above which a training has diverged, unless its first loss was of
        that size already; 0 if that is not known.
    """

    processes = None

    def __init__(
        self,
        module,
        criterion,
        *,
        critic=None,
        seed=0,
        capture=False,
        average=False,
        **kwargs,
    ):
        # Before skorch watches for modules that are set outside of initialize().
        self.critic = critic
        self.seed = seed
        self.capture = capture
        self.average = average
        super().__init__(module, criterion, **kwargs)

    # ------------------------------------------------------------ initialisation
    def initialize(self):
        """Initialise the net."""
        self.explosion_ = 0.0
        self.captured_ = self.average_ = None
        self.interrupts_ = Interrupts()
        return super().initialize()

    @property
    def function(self):
        """What is scored and kept: f, with averaged weights if there are any."""
        return self.module_ if self.average_ is None else self.average_.module

    def initialize_module(self):
        """Initialise f, the critic, and the stream that orders the samples."""
        super().initialize_module()
        self.stream_ = RandomStream(self.seed)
        if self.critic is not None:
            self.critic_ = self.critic
        if self.average:
            self.average_ = AveragedWeights(self.module_)
        return self

    def initialize_optimizer(self):
        """Give f and the critic an optimizer each."""
        args, kwargs = self.get_params_for_optimizer(
            "optimizer", self.module_.named_parameters()
        )
        self.optimizer_ = self.optimizer(*args, **kwargs)
        if self.critic is not None:
            self.critic_optimizer_ = torch.optim.Adam(
                self.critic_.parameters(), lr=self.lr, fused=True
            )
        self._settle_optimizers()
        return self

    def _settle_optimizers(self):
        settle(self.optimizer_, self.device, capture=self.capture)
        if self.critic is not None:
            settle(self.critic_optimizer_, self.device, capture=self.capture)

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())]

    def get_iterator(self, dataset, training=False):
        """Return a loader of whole batches, shuffled by this net's own stream."""
        generator = self.stream_.generator if training else None
        return BatchLoader(dataset, self.batch_size, generator)

    # ------------------------------------------------------------------ training
    def train_step(self, batch, **fit_params):
        """Take one step with f, and one with the critic.

        Parameters
        ----------
        batch : tuple of torch.Tensor or None
            Measurements, ground truth and A†y.
        **fit_params
            Ignored.

        Returns
        -------
        step : dict
            ``loss``, ``y_pred`` and the ``terms`` of the loss, detached.
        """
        y, truth, start = (
            None if part is None else part.to(self.device) for part in batch
        )
        elements = self.criterion_.draw(len(y))
        if elements is not None:
            elements = elements.to(self.device, non_blocking=True)
        if getattr(self.module_, "average", None) is not None:
            self.module_.begin_step(self._step_seed())
        # What processes tell each other is in no record.
        captured = self.captured_ if self.processes is None else None
        if captured is not None:
            step = captured(y, truth, start, elements)
        else:
            with self._own_draws():
                step = self.compute_step(y, truth, start, elements)
        if self.average_ is not None:
            self.average_.update_parameters(self.module_)
        return step

    def _own_draws(self):
        """Return the context in which parts of the user's draw from torch itself.

        The draws of a step follow from its number, so that nothing has to be kept
        for a training that goes on.
        """
        if not may_draw(self.module_, self.criterion_):
            return nullcontext()
        return seeded_torch(self._step_seed(), torch.device(self.device))

    def _step_seed(self):
        """Return a seed that follows from the number of the step, and the process."""
        rank = 0 if self.processes is None else self.processes.rank
        history = self.history
        number = len(history), len(history[-1]["batches"])
        return mix_seeds(self.seed, *number, rank)

    def evaluate(self, y, truth, start, elements):
        """Return the objective of a batch.

        Parameters
        ----------
        y, truth, start : torch.Tensor or None
            A batch, on the device.
        elements : torch.Tensor or None
            Its group elements.

        Returns
        -------
        evaluation : Evaluation
        """
        critic = None if self.critic is None else self._criticise
        function = self.module_
        if self.processes is not None:
            function = SharedFunction(self.module_, self.processes)
        return self.criterion_(
            function, y, truth, start, critic=critic, elements=elements
        )

    def compute_step(self, y, truth, start, elements):
        """Take a step of f, and one of the critic; draws no random numbers.

        Parameters
        ----------
        y, truth, start, elements : torch.Tensor or None
            As for :meth:`evaluate`.

        Returns
        -------
        step : dict
            As for :meth:`train_step`.
        """
        self.optimizer_.zero_grad()
        if self.critic is not None:
            self.critic_.requires_grad_(False)
        evaluation = self.evaluate(y, truth, start, elements)
        evaluation.loss.backward()
        if self.processes is not None:
            SharedFunction(self.module_, self.processes).add_gradients()
        self.notify(
            "on_grad_computed",
            named_parameters=self.module_.named_parameters(),
            batch=(y, truth, start),
            training=True,
        )
        self.optimizer_.step()
        if self.critic is not None:
            self.critic_.requires_grad_(True)
            self.critic_optimizer_.zero_grad()
            critic_error(self._criticise, evaluation.x1, evaluation.x2).backward()
            if self.processes is not None:
                # Each has computed all of it, perhaps not to the last bit alike.
                self.processes.average([p.grad for p in self.critic_.parameters()])
            self.critic_optimizer_.step()
        return {
            "loss": evaluation.loss.detach(),
            "y_pred": evaluation.x1.detach(),
            "terms": [term.detach() for term in evaluation.terms],
        }

    def _criticise(self, x):
        function = self.module_
        with function.precision(x.device.type):
            return self.critic_(x).float()

    def partial_fit(self, X, y=None, *, epochs=1, **kwargs):
        """Train for some epochs; :func:`run_epochs` under the name skorch gives it.

        Parameters
        ----------
        X : BatchedDataset
            What to train on.
        y : None
            Ignored.
        epochs : int, default=1
            How long.
        **kwargs
            As for :func:`run_epochs`.

        Returns
        -------
        self : ReconstructionNet
        """
        run_epochs(self, X, epochs, **kwargs)
        return self

    def set_rate(self, rate):
        """Set the learning rate of f.

        Parameters
        ----------
        rate : float
            Without making a GPU wait.
        """
        set_rate(self.optimizer_, rate)

    def __getstate__(self):
        # A record belongs to a process and to places in its memory.
        kept = self.captured_, self.interrupts_
        self.captured_, self.interrupts_ = None, Interrupts()
        try:
            return super().__getstate__()
        finally:
            self.captured_, self.interrupts_ = kept

    # --------------------------------------------------------------------- state
    @property
    def _stateful(self):
        names = ("module_", "criterion_", "optimizer_", "stream_")
        if self.critic is not None:
            names += ("critic_", "critic_optimizer_")
        if self.average_ is not None:
            names += ("average_",)
        return names

    def training_state(self):
        """Return all that the rest of a training depends on, but for the history.

        Returns
        -------
        state : dict
            State dictionaries by the name of the part, and the schedule's step;
            tensors are shared with the net.
        """
        state = {name: getattr(self, name).state_dict() for name in self._stateful}
        schedule = dict(self.callbacks_).get("lr_schedule")
        state["step"] = 0 if schedule is None else schedule.step_
        return state

    def load_training_state(self, state):
        """Go to a state returned by :meth:`training_state`."""
        for name in self._stateful:
            getattr(self, name).load_state_dict(state[name])
        self._settle_optimizers()
        if self.captured_ is not None:
            self.captured_.forget()
        schedule = dict(self.callbacks_).get("lr_schedule")
        if schedule is not None:
            schedule.step_ = state["step"]
