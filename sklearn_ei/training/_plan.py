"""All that a training needs, checked and resolved before it begins."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from .machine import Processes


class Seeds(NamedTuple):
    """Seeds of the independent streams of random numbers of one training.

    Attributes
    ----------
    weights, order, elements, term, critic, split : int
        Of the networks, the order of the samples, the group elements, the data
        term's own draws, the critic, and the samples left out.
    """

    weights: int
    order: int
    elements: int
    term: int
    critic: int
    split: int


@dataclass(frozen=True)
class FitPlan:
    """What is to be trained, on what, and how; made before anything is changed.

    Training takes place in units in which A†y has root mean square 1.

    Attributes
    ----------
    name : str
        Of who asked for the training, for messages.
    function : ReconstructionFunction
        f, with the weights to start from.
    operator : ForwardOperator
        A, resolved.
    data_term : DataTerm
        Resolved, in the units of the training.
    group : Group or None
        T, resolved.
    alpha, beta : float
        Weights of the equivariance and of the adversarial term.
    equivariance_term : EquivarianceTerm
        How the former is made.
    critic : torch.nn.Module or None
        The discriminator, if ``beta`` > 0.
    dataset : BatchedDataset
        Measurements, ground truth and A†y, in the units of the training.
    scale : float
        The unit, in those of the user.
    noise : NoiseModel or None
        With numbers, in the units of the user.
    image_layout, measurement_layout : Layout
        Settled.
    seeds : Seeds
        Of all streams.
    device : torch.device
        Where f is trained.
    n_epochs, batch_size : int
        Passes over the data, and samples a step.
    lr : float
        Learning rate of Adam, at its highest.
    lr_schedule : {"cosine", "constant"}
        How it changes.
    average : bool
        Whether weights are averaged over steps.
    validate : callable or None
        Score of f, a number; higher is better. None: no early stopping.
    patience : int
        Epochs without a better score after which to stop.
    checkpoint : Checkpoint or None
        Read already.
    callbacks : tuple
        skorch callbacks, or (name, callback) pairs.
    tasks : object or None
        Whom to tell of each epoch, last; see :class:`EpochTasks`.
    processes : Processes
        Among which the training is shared.
    verbose : int
        Above 0, a line for each epoch.
    has_missing : bool
        Whether measurements have holes, NaN.
    predicts_memory : bool
        Whether to say beforehand that a step is not going to fit.
    """

    name: str
    function: torch.nn.Module
    operator: Any
    data_term: torch.nn.Module
    dataset: Any
    seeds: Seeds
    device: torch.device
    n_epochs: int
    batch_size: int
    lr: float
    group: Any = None
    alpha: float = 0.0
    beta: float = 0.0
    equivariance_term: Any = None
    critic: torch.nn.Module | None = None
    scale: float = 1.0
    noise: Any = None
    image_layout: Any = None
    measurement_layout: Any = None
    lr_schedule: str = "constant"
    average: bool = False
    validate: Callable | None = None
    patience: int = 1
    checkpoint: Any = None
    callbacks: tuple = ()
    tasks: Any = None
    processes: Processes = field(default_factory=Processes)
    verbose: int = 0
    has_missing: bool = False
    predicts_memory: bool = True
