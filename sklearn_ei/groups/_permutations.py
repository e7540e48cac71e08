"""Random permutations of pixels."""

import math
from functools import lru_cache
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..utils.device import settled
from ._base import Group


# Big, so shared by clones and rebuilt rather than pickled.
@lru_cache(maxsize=16)
def _draw_permutations(n_elements, n_pixels, seed, device):
    """Return the permutations as rows, the identity first."""
    if device.type != "cpu":
        cpu = torch.device("cpu")
        return settled(_draw_permutations(n_elements, n_pixels, seed, cpu).to(device))
    rng = check_random_state(seed)
    rows = [np.arange(n_pixels)]
    while len(rows) + 2 <= n_elements:
        rows.append(rng.permutation(n_pixels))
        rows.append(np.argsort(rows[-1]))
    if len(rows) < n_elements:
        # The one without a partner swaps pixels in pairs: its own inverse.
        order, swap = rng.permutation(n_pixels), np.arange(n_pixels)
        pairs = order[: n_pixels // 2 * 2].reshape(-1, 2)
        swap[pairs] = pairs[:, ::-1]
        rows.append(swap)
    return torch.from_numpy(np.stack(rows).astype(np.int32))


class Permutations(Group):
    """Random permutations of the pixels, the same ones in every channel.

    Parameters
    ----------
    n_elements : int, default=101
        Number of elements, with the identity.
    random_state : int, default=0
        Seed of the permutations. An integer, so that clones have the same ones.

    Attributes
    ----------
    is_exact : bool
        True: permutations are unitary.

    Notes
    -----
    (T_g x)[i] = x[σ_g(i)] over the pixels i in row-major order. All n! permu-
    tations are too many to number: the elements are a random sample of the
    symmetric group. It holds its inverses (elements 2k − 1 and 2k are inverse to
    each other; if ``n_elements`` is even, the last swaps pixels in pairs and is
    its own inverse), but not its products.

    No set of natural images is invariant to permutations; sets of signals
    without order, such as sparse vectors, are.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Permutations
    >>> group = Permutations(3, random_state=0)
    >>> x = torch.arange(5.0).reshape(1, 1, 5)
    >>> group.transform(x, 1).flatten().tolist()
    [2.0, 0.0, 1.0, 3.0, 4.0]
    >>> group.transform(group.transform(x, 1), 2).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """

    is_exact = True

    def __init__(self, n_elements=101, *, random_state=0):
        self.n_elements = n_elements
        self.random_state = random_state

    def _check_params(self, image_shape):
        check_scalar(self.n_elements, "n_elements", Integral, min_val=1)
        check_scalar(self.random_state, "random_state", Integral, min_val=0)
        rows = self._table(math.prod(image_shape), torch.device("cpu"))
        if len(torch.unique(rows, dim=0)) < self.n_elements:
            raise ValueError(
                f"{self} has elements that are equal on images of shape {image_shape}"
                ", but expected all to differ: use fewer elements or larger images."
            )

    def _table(self, n_pixels, device):
        return _draw_permutations(
            int(self.n_elements), n_pixels, int(self.random_state), device
        )

    def generators(self):
        """Return one of each pair of inverse elements."""
        return torch.arange(min(1, self.n_elements - 1), self.n_elements, 2)

    def _transform(self, x, g):
        flat = x.flatten(2)
        index = self._table(flat.shape[-1], x.device)[g].long()
        return flat.gather(2, index[:, None].expand_as(flat)).reshape(x.shape)
