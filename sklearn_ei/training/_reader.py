"""Reading what is as expected from a file, and nothing else."""

import math

import torch

from ._state_json import Stored


class Reader:
    """Reads tensors that are as expected.

    Parameters
    ----------
    tensors : StoredTensors
        Of the file.
    trained : bool
        Whether a step has been taken, so that nothing is NaN any more.
    """

    def __init__(self, tensors, trained):
        self.tensors = tensors
        self.trained = trained

    def tensor(self, name, found, expected):
        """Return a stored tensor of the shape and dtype of another one."""
        expect(isinstance(found, Stored) and not found.is_array, f"{name} is missing")
        like = self.tensors.like(found.name)
        expect(
            like.shape == expected.shape and like.dtype == expected.dtype,
            f"{name} has shape {tuple(like.shape)} and {like.dtype}, where "
            f"{tuple(expected.shape)} and {expected.dtype} are expected",
        )
        tensor = self.tensors[found.name]
        if tensor.is_floating_point() or tensor.is_complex():
            bad = ~tensor.isfinite()
            if bad.any():
                fresh = expected.detach().cpu()
                # A buffer may begin with infinity, or with NaN until the first step.
                same = bad & (tensor == fresh)
                if not self.trained:
                    same |= tensor.isnan() & fresh.isnan()
                expect(torch.equal(same, bad), f"{name} is not finite")
        return tensor

    def generator(self, name, found, expected):
        """Return the state of a stream of random numbers."""
        state = self.tensor(name, found, expected)
        trial = torch.Generator()
        try:
            trial.set_state(state)
        except RuntimeError as error:
            raise ValueError(f"{name} is no state of a generator") from error
        # What it has ready for the next call is part of its state.
        drawn = [
            torch.randn(1, generator=trial, dtype=dtype)
            for dtype in (torch.float64, torch.float32)
        ]
        expect(all(x.isfinite() for x in drawn), f"{name} draws NaN")
        return state


def is_finite(value):
    """Return whether a value from a file is a number, and neither NaN nor infinite."""
    return type(value) in (int, float) and math.isfinite(value)


def expect(holds, complaint):
    """Raise ``ValueError`` with a complaint unless a condition holds."""
    if not holds:
        raise ValueError(complaint)
