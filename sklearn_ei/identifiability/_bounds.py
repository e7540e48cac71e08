"""Bounds that need no linear algebra: how many measurements there must be."""

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def count_orbits(system, budget):
    """Return the number of orbits of pixels under the group, or None.

    A group that permutes pixels (a permutation representation) has for every
    irreducible representation j, of dimension s_j and multiplicity c_j,

        c_j / s_j ≤ number of orbits,

    with equality for the trivial one, as c_j = Σ_orbits dim V_j^H with the
    stabiliser H of the orbit and dim V_j^H ≤ s_j. So the orbits are max_j c_j/s_j,
    and m ≥ channels · orbits is necessary for full rank: images that are constant
    on every orbit look the same to all A T_g.

    None for groups that are not known to permute pixels, or that mix channels: of an
    image and all its phases, the mean is zero.
    """
    group = system.group
    if not group.is_exact or group.mixes_channels:
        return None
    if any(part.is_all_shifts for part in group.parts):
        return 1
    index = torch.arange(system.pixels, dtype=torch.float64)
    x = index.reshape(1, 1, *system.image_shape)
    sources = []
    for g in group.generators().tolist():
        budget.need()
        moved = group.transform(x, g).reshape(-1).round().long()
        if not torch.equal(moved.sort().values, index.long()):
            return None
        sources.append(moved.numpy())
    rows = np.concatenate(sources)
    columns = np.tile(np.arange(system.pixels), len(sources))
    graph = coo_array(
        (np.ones(len(rows), dtype=np.int8), (rows, columns)),
        shape=(system.pixels, system.pixels),
    )
    return int(connected_components(graph, directed=False)[0])


def rank_bound(system, orbits):
    """Return an upper bound on rank M that follows from counting.

    min(n, m·|G|, n − (channels · orbits − m)).
    """
    bound = min(system.n, system.m * system.group.n_elements)
    if orbits is not None:
        bound = min(bound, system.n - max(0, system.channels * orbits - system.m))
    return bound
