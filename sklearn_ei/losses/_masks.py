"""Measurements with holes: which operator measures a transformed image."""

import torch

from ..operators import RestrictedOperator

_MANY = 256  # masks stand for all


class Masks:
    """Which measurements there are, of the samples that are trained on.

    Parameters
    ----------
    y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements, NaN where there are none. The masks of up to 256 are kept; where
        all of them are alike, one, and nothing is drawn.
    which : {"any", "own"}
        See :class:`EquivarianceTerm`.
    """

    def __init__(self, y, which):
        self.which = which
        self.kept = None
        if which == "any":
            self.kept = masks_of(y)
            # A draw among equal masks would move the stream of the group's elements:
            # the operator that has this mask draws none.
            if bool((self.kept == self.kept[:1]).all()):
                self.kept = self.kept[:1]

    def operator_of(self, A, n_samples, n, generator):
        """Return what measures n transformed images.

        Parameters
        ----------
        A : ForwardOperator or RestrictedOperator
            What measured the samples of a batch.
        n_samples, n : int
            How many there are, and how many transformed images of them.
        generator : torch.Generator
            Draws masks.

        Returns
        -------
        A : ForwardOperator or RestrictedOperator
        """
        own = torch.arange(n_samples).repeat_interleave(n // n_samples)
        if self.kept is None:
            return A.take(own)
        whole = A.operator if isinstance(A, RestrictedOperator) else A
        if n_samples != n:
            whole = whole.take(own)
        if len(self.kept) == 1:
            return RestrictedOperator(whole, self.kept)
        drawn = torch.randint(len(self.kept), (n,), generator=generator)
        return RestrictedOperator(whole, self.kept[drawn.to(self.kept.device)])


def masks_of(y):
    """Return where measurements are not NaN, of up to 256 samples, evenly spread."""
    step = -(-len(y) // _MANY)
    return ~y[torch.arange(0, len(y), step)].isnan()
