"""Randomness that never touches, or depends on, the global state of torch."""

import threading
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

from .params import brief

_FORK_LOCK = threading.RLock()  # what is seeded may itself train a network


def draw_seed(random_state):
    """Draw one integer seed from a scikit-learn ``random_state``.

    An integer gives the same seed each time; a ``RandomState`` instance
    advances, as everywhere in scikit-learn.
    """
    try:
        generator = check_random_state(random_state)
    except ValueError:
        raise ValueError(
            f"Got random_state={brief(random_state)}, but expected None, an integer "
            "from 0 to 2**32 - 1, or a RandomState instance."
        ) from None
    return int(generator.randint(np.iinfo(np.int32).max))


def make_generator(seed, device="cpu"):
    """Return a ``torch.Generator`` seeded with ``seed``."""
    return torch.Generator(device=device).manual_seed(seed)


@contextmanager
def seeded_initialisation(seed):
    """Seed torch's CPU generator for weight initialisation, then restore it.

    ``torch.nn`` modules draw their weights from the global generator. The lock
    keeps concurrent fits (joblib's threading backend) from mixing their draws.
    """
    with seeded_torch(seed, torch.device("cpu")):
        yield


@contextmanager
def seeded_torch(seed, device):
    """Seed torch's own generators of the CPU and of a device, then restore them.

    For what is not ours and draws from them, such as dropout. Within this context
    all other threads that enter it wait.

    Parameters
    ----------
    seed : int
        Of both generators.
    device : torch.device
        Where the draws take place.
    """
    generators = [torch.default_generator]
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    with _FORK_LOCK:
        before = [generator.get_state() for generator in generators]
        try:
            # Not torch.manual_seed, which seeds the generators of every device.
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)


class RandomStream(torch.nn.Module):
    """A ``torch.Generator`` whose position is saved, copied and pickled.

    A module without parameters: in the ``state_dict`` of the module that draws
    from it, so that a training resumes with the numbers it would have drawn.

    Parameters
    ----------
    seed : int
        Where the stream starts.
    """

    def __init__(self, seed):
        super().__init__()
        self.generator = make_generator(seed)

    def get_extra_state(self):
        """Return the position, for ``state_dict``."""
        return self.generator.get_state()

    def set_extra_state(self, state):
        """Go to a position returned by :meth:`get_extra_state`."""
        self.generator.set_state(state)

    def __getstate__(self):
        state = self.__dict__.copy()
        state["generator"] = self.generator.get_state()
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        position, self.generator = state["generator"], torch.Generator()
        self.generator.set_state(position)


def mix_seeds(*seeds):
    """Return one seed that follows from several integers from zero."""
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])


def spawn_seeds(random_state, count):
    """Return ``count`` independent integer seeds from one ``random_state``."""
    sequence = np.random.SeedSequence(draw_seed(random_state))
    return [int(seed) for seed in sequence.generate_state(count)]
