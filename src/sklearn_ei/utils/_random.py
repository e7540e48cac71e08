"""Randomness that never touches, or depends on, the global state of torch."""

import threading
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

_FORK_LOCK = threading.Lock()


def draw_seed(random_state):
    """Draw one integer seed from a scikit-learn ``random_state``.

    An integer gives the same seed each time; a ``RandomState`` instance
    advances, as everywhere in scikit-learn.
    """
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def make_generator(seed, device="cpu"):
    """Return a ``torch.Generator`` seeded with ``seed``."""
    return torch.Generator(device=device).manual_seed(seed)


@contextmanager
def seeded_initialisation(seed):
    """Seed torch's CPU generator for weight initialisation, then restore it.

    ``torch.nn`` modules draw their weights from the global generator. The lock
    keeps concurrent fits (joblib's threading backend) from mixing their draws.
    """
    with _FORK_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class RandomStream:
    """A ``torch.Generator`` that can be pickled and copied with its position.

    Parameters
    ----------
    seed : int
        Where the stream starts.
    """

    def __init__(self, seed):
        self.generator = make_generator(seed)

    def __getstate__(self):
        return {"state": self.generator.get_state()}

    def __setstate__(self, state):
        self.generator = torch.Generator()
        self.generator.set_state(state["state"])


def spawn_seeds(random_state, count):
    """Return ``count`` independent integer seeds from one ``random_state``."""
    sequence = np.random.SeedSequence(draw_seed(random_state))
    return [int(seed) for seed in sequence.generate_state(count)]
