"""How much of a ghost becomes visible when it is moved: the innovation index."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from ..groups import Rotations
from ..utils.cgls import cgls

_N_GHOSTS = 2
_N_ITERATIONS = 100
_BATCH = 16  # elements moved at a time: sparse products like batches
_RADIUS = 0.5  # of the images' content, relative to the inscribed circle


@dataclass
class Innovation:
    """The index, its floor, the values they are means of, and what A sees alone."""

    index: float
    floor: float
    floor_kind: str
    elements: dict = field(default_factory=dict)
    seen_alone: float | None = None


def innovation(system, budget):
    """Return the :class:`Innovation` of a group.

    Ghosts are what A does not see of smooth images, n_0 = P x with P = I − A†A.
    Moved by T_g, the share that A sees is

        1 − ‖P T_g n_0‖² / ‖T_g n_0‖²,

    0 if T_g maps null(A) onto itself, 1 if it carries ghosts into the range of
    Aᵀ. The index is its mean over generators and spread elements.

    A discretised operator has an index above 0 even for what is useless in the
    continuum, since rays and pixels fall differently. The floor says how much:
    for CT a rotation by the spacing of the views, after which the same lines
    are measured; for other interpolated groups what T_g⁻¹ T_g, which ought to
    be nothing, brings. Exact groups of other operators have the floor 0.

    P is applied by a fixed number of conjugate-gradient steps, the same for the
    group and the floor. Images are 1/f noise within half the inscribed disc, so
    that little is moved across the border.

    Where A sees nearly all directions by itself, both index and floor are large, as
    little is hidden: the share that it sees, 1 − tr P/n, is estimated from white noise.
    """
    ghosts = _null_part(system, _smooth_images(system), budget)
    elements = system.group.representative_elements().tolist()
    if not elements or float(ghosts.norm()) == 0:
        return Innovation(0.0, 0.0, "nothing moves, or nothing is hidden")
    useless, kind = _useless(system, ghosts, elements)
    moved = [system.transform(ghosts, g) for g in elements]
    shares = _shares(system, [*moved, *useless], budget)
    values, floors = shares[: len(moved)], shares[len(moved) :]
    return Innovation(
        index=float(np.mean(values)),
        floor=float(np.max(floors)) if floors else 0.0,
        floor_kind=kind,
        elements=dict(zip(elements, values, strict=True)),
        seen_alone=_seen_alone(system, budget),
    )


def _seen_alone(system, budget):
    """Return the share of all directions that A sees, 1 − E ‖P w‖²/‖w‖²."""
    white = system.randn(_N_GHOSTS)
    hidden = _null_part(system, white, budget).square().sum()
    return float((1 - hidden / white.square().sum()).clamp_min(0))


def _smooth_images(system):
    """Return 1/f noise within a disc, as rows."""
    shape = system.image_shape
    noise = system.images(system.randn(_N_GHOSTS))
    axes = tuple(range(2, 2 + len(shape)))
    frequencies = torch.meshgrid(
        *(torch.fft.fftfreq(size, dtype=torch.float64) for size in shape), indexing="ij"
    )
    radius = sum(f.square() for f in frequencies).sqrt().clamp_min(1 / max(shape))
    x = torch.fft.ifftn(torch.fft.fftn(noise, dim=axes) / radius, dim=axes).real
    positions = torch.meshgrid(
        *((2 * torch.arange(size) - (size - 1)) / min(shape) for size in shape),
        indexing="ij",
    )
    disc = sum(p.square() for p in positions).sqrt() <= _RADIUS
    return (x * disc).flatten(1)


def _null_part(system, x, budget):
    """Return x − A†A x for rows, by conjugate gradients."""
    y = system.forward(x)
    seen, _, _ = cgls(
        system.forward,
        system.adjoint,
        y,
        _N_ITERATIONS,
        rtol=1e-8,
        before_step=budget.need,
    )
    return x - seen


def _shares(system, stacks, budget):
    """Return what A sees of each stack of ghosts, as a share of their energy."""
    shares = []
    for start in range(0, len(stacks), _BATCH):
        budget.tell(f"innovation: {start} of {len(stacks)} elements", every=5)
        x = torch.cat(stacks[start : start + _BATCH])
        hidden = _null_part(system, x, budget).square().sum(1)
        share = (1 - hidden / x.square().sum(1).clamp_min(1e-300)).clamp_min(0)
        shares += share.reshape(-1, _N_GHOSTS).mean(1).tolist()
    return shares


def _useless(system, ghosts, elements):
    """Return moved ghosts that bring nothing new, and what was done to them."""
    order = _view_order(system.operator)
    if order is not None:
        interpolation = system.group.interpolation or "bilinear"
        turns = Rotations(order, interpolation=interpolation)
        turned = turns.transform(system.images(ghosts), 1).flatten(1)
        return [turned], f"rotation by the view spacing, {360 / order:.3g}°"
    if system.group.is_exact:
        return [], "0: the group is exact"
    images = system.images(ghosts)
    back = [
        system.group.inverse_transform(system.group.transform(images, g), g)
        for g in elements[:2]
    ]
    return [x.flatten(1) for x in back], "interpolation forth and back"


def _view_order(operator):
    """Return how many view spacings make a full turn, or None without views."""
    angles = getattr(operator, "_angles_rad", None)
    geometry = getattr(getattr(operator, "op", None), "geometry", None)  # of ODL
    if angles is None and geometry is not None and len(operator.image_shape) == 2:
        angles = np.asarray(geometry.angles)
    if angles is None or len(angles) < 2:
        return None
    spacing = np.diff(np.unique(angles))
    order = 2 * math.pi / spacing.mean()
    even = np.ptp(spacing) < 1e-6 and abs(order - round(order)) < 1e-6
    return round(order) if even else None
