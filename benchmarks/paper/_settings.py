"""What the command line says, in one object that goes to every process."""

import os
from dataclasses import dataclass, field
from pathlib import Path

PROBLEMS = ("ct", "inpainting", "ct-fine")


@dataclass(frozen=True)
class Settings:
    """Choices that all runs of one command share."""

    out: Path
    preset: str = "default"
    data: tuple = ()  # pairs (problem or None, path)
    data_home: str | None = None
    size: int | None = None
    n_train: int = 80
    n_test: int = 10
    epochs: int | None = None
    effort: float = 1.0
    iterations: int | None = None
    noise: float = 0.005
    seed: int = 0
    threads: int = 1
    device: str = "auto"
    jobs: int = field(default=1, compare=False)

    def source(self, problem):
        """Return the path of the data of a problem, or None to download it."""
        paths = dict(self.data)
        path = paths.get(problem, paths.get(None))
        return None if path is None else Path(path)

    def scaled(self, n_epochs):
        """Return how many epochs to train where a preset says ``n_epochs``."""
        if self.epochs is not None:
            return self.epochs
        return max(1, round(self.effort * n_epochs))


def default_jobs(threads):
    """Return how many trainings fit side by side: one on a GPU."""
    import torch

    if torch.cuda.is_available():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    return max(1, min(4, cores // threads))
