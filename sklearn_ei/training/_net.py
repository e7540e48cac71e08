"""The skorch net behind the estimators."""

from contextlib import nullcontext

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog

from ..losses import critic_error
from ..utils.dataset import BatchLoader
from ..utils.random import RandomStream, mix_seeds, seeded_torch
from ._average import AveragedWeights
from ._divergence import EXPLOSION, check_epoch
from ._interrupts import Interrupts
from .machine import CapturedStep, SharedFunction, can_capture, may_draw


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
        self._make_capturable()
        return self

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

    def run_epochs(
        self,
        dataset,
        n_epochs,
        *,
        best=None,
        checkpoint=None,
        tasks=None,
        interrupts=None,
    ):
        """Train for whole epochs; one that fails is undone as a whole.

        Parameters
        ----------
        dataset : BatchedDataset
            What to train on.
        n_epochs : int
            How long, unless a callback ends it by ``KeyboardInterrupt`` at the end
            of an epoch, as is skorch's way.
        best : BestWeights or None, default=None
            Scores epochs, and ends training when they get no better.
        checkpoint : Checkpoint or None, default=None
            Written after every epoch.
        tasks : EpochTasks or None, default=None
            Told of each epoch, after all other callbacks.
        interrupts : Interrupts or None, default=None
            Who notes Ctrl-C. None: nobody, and it may fall anywhere.

        Raises
        ------
        DivergenceError
            See :func:`check_epoch`.
        KeyboardInterrupt
            If the user interrupted the training.
        """
        self.interrupts_ = interrupts or Interrupts()
        watchers = [] if tasks is None else [("tasks", tasks)]
        self.callbacks_ += watchers
        if self.capture and self.processes is None and self.captured_ is None:
            self.captured_ = CapturedStep(self) if can_capture(self) else None
        try:
            self.notify("on_train_begin", X=dataset, y=None)
            loader = self.get_iterator(dataset, training=True)
            for _ in range(n_epochs):
                stop = self._take_epoch(loader, best)
                if checkpoint is not None:
                    checkpoint.write(self, complete=False)
                self.interrupts_.check()
                if stop:
                    break
            self.notify("on_train_end", X=dataset, y=None)
        finally:
            self.callbacks_ = [c for c in self.callbacks_ if c not in watchers]

    def partial_fit(self, X, y=None, *, epochs=1, **kwargs):
        """Train for some epochs; :meth:`run_epochs` under the name skorch gives it.

        Parameters
        ----------
        X : BatchedDataset
            What to train on.
        y : None
            Ignored.
        epochs : int, default=1
            How long.
        **kwargs
            As for :meth:`run_epochs`.

        Returns
        -------
        self : ReconstructionNet
        """
        self.run_epochs(X, epochs, **kwargs)
        return self

    def _take_epoch(self, loader, best):
        """Take an epoch and score it; if it fails, go back to where it began.

        Returns whether it is to be the last.
        """
        interrupts = self.interrupts_
        before, n_epochs = _copied(self.training_state()), len(self.history)
        best_before = None if best is None else best.state_dict()
        dataset = {"dataset_train": loader.dataset, "dataset_valid": None}
        stop = False
        try:
            with interrupts.computing():
                self.notify("on_epoch_begin", **dataset)
                self.run_single_epoch(loader, True, "train", self.train_step)
                if best is not None:
                    best.score_epoch(self)
                    stop = best.exhausted
                try:
                    self.notify("on_epoch_end", **dataset)
                except KeyboardInterrupt:
                    if interrupts.cut:
                        raise
                    stop = True  # how skorch's callbacks end a training
        except BaseException:
            self.load_training_state(before)
            if best is not None:
                best.load_state_dict(best_before)
            del self.history[n_epochs:]
            raise
        return stop

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch.

        Parameters
        ----------
        iterator : BatchLoader
            Of the batches.
        training : bool
            Always True: validation is a score.
        prefix : str
            Of the names in the history.
        step_fn : callable
            Takes one step.
        **fit_params
            Passed on to ``step_fn``.
        """
        self._set_training(training)
        sizes, rows = [], []
        for batch in iterator:
            self.interrupts_.check()
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            sizes.append(len(batch[0]))
            rows.append(torch.stack([step["loss"], *step["terms"]]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self._record(prefix, sizes, torch.stack(rows).tolist())

    def _record(self, prefix, sizes, rows):
        """Write the losses of an epoch into the history, unless it diverged."""
        history = self.history
        names = [f"{prefix}_loss", *self.criterion_.term_names]
        limit = self.explosion_
        if limit > 0:  # before the first step, nothing has exploded
            limit = max(limit, EXPLOSION * self._first_loss(rows))
        check_epoch(len(history), names, rows, limit, f"lr={self.lr:g}")
        for record, size, row in zip(history[-1]["batches"], sizes, rows, strict=True):
            record.update(zip(names, row, strict=True))
            record[f"{prefix}_batch_size"] = size
        for name, column in zip(names, zip(*rows, strict=True), strict=True):
            total = sum(value * size for value, size in zip(column, sizes, strict=True))
            history.record(name, total / sum(sizes))
        history.record(f"{prefix}_batch_count", len(rows))

    def _first_loss(self, rows):
        """Return the loss before the first step, as far as it is known.

        Of one that goes on from a file, the mean of the first epoch is.
        """
        epoch = self.history[0]
        if len(self.history) == 1:
            return rows[0][0]
        batches = epoch.get("batches")  # none of them are in files
        return (batches[0] if batches else epoch)["train_loss"]

    def set_rate(self, rate):
        """Set the learning rate of f.

        Parameters
        ----------
        rate : float
            Without making a GPU wait.
        """
        for group in self.optimizer_.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _make_capturable(self):
        """Keep rates on the device, where a record of a step sees them change.

        Without records they are plain numbers, also those of a state that was
        trained with them on another machine.
        """
        for name in self._stateful:
            for group in getattr(getattr(self, name), "param_groups", ()):
                group["capturable"] = self.capture
                rate = float(group["lr"])
                group["lr"] = (
                    torch.tensor(rate, device=self.device) if self.capture else rate
                )

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
            part = getattr(self, name)
            part.load_state_dict(state[name])
            if isinstance(part, torch.optim.Optimizer):
                _follow_layout(part)
        self._make_capturable()
        if self.captured_ is not None:
            self.captured_.forget()
        schedule = dict(self.callbacks_).get("lr_schedule")
        if schedule is not None:
            schedule.step_ = state["step"]


def _copied(state):
    """Return a state whose tensors nobody else changes; faster than ``deepcopy``."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: _copied(part) for name, part in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(_copied, state))
    return state


def _follow_layout(optimizer):
    """Lay an optimizer's moments out in memory as its weights are.

    The fused kernels walk through both side by side, whatever their strides; what
    comes from a file is contiguous, and weights may be channels-last.
    """
    for weight, state in optimizer.state.items():
        for name, moment in state.items():
            if moment.shape == weight.shape and moment.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=moment.dtype).copy_(moment)
