"""Common mistakes in setting up a scanner, tried out one by one."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import clone

from ._fan_beam import FanBeamCT
from ._misfit import misfit_of, squared_misfit
from ._parallel_beam import ParallelBeamCT
from ._ray_transform import RayTransformOperator

_MAX_SAMPLES = 2
_COARSE = 40  # pixels; mistakes show at a low resolution
# What is left unexplained without a mistake, relative to what the operator
# leaves. More image explains more of anything.
_CLEARLY_LESS, _MUCH_LESS = 0.6, 0.4
_OTHER_STEPS = 0.75  # squared, noise included
_AS_GOOD, _AS_GOOD_BY = 1.25, 2e-3  # as the best
# Neighbouring views differ by at least this share of what any two views do.
_NO_ORDER = 0.7
_OFFSETS = 8  # of the detector to each side, up to a fifth of its width
_TOO_SMALL = "the object reaches out of the image (image_shape, pixel_size)"
_SOURCES = (1.2, 2.0, 4.0)  # distances, in diagonals of the image


@dataclass
class Suspect:
    """One mistake, put right: what it is, and the operator and data without it."""

    cause: str
    operator: RayTransformOperator
    y: torch.Tensor
    share: float = _CLEARLY_LESS


def find_causes(operator, y, *, clipped=True, shuffled=True):
    """Return the mistakes without which an operator explains clearly more.

    Parameters
    ----------
    operator : ForwardOperator
        With its shapes fixed.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements.
    clipped : bool, default=True
        Whether to try a larger image, which explains more of anything.
    shuffled : bool, default=True
        Whether to look at the order of the views.

    Returns
    -------
    causes : list of str
        The likeliest first; empty for operators whose mistakes are not known.
    """
    if not isinstance(operator, RayTransformOperator):
        return []
    strongest = y.square().flatten(1).nansum(1).argsort(descending=True)[:_MAX_SAMPLES]
    given, y = operator, y[strongest]
    suspects = []
    if y.shape[-1] == y.shape[-2]:
        cause = "the axes of views and bins are exchanged"
        exchanged = y.transpose(-1, -2).contiguous()
        suspects.append(Suspect(cause, *coarsened(operator, exchanged)))
    operator, y = coarsened(operator, y)
    shift = operator.detector_offset - given.detector_offset
    suspects = [
        Suspect("", operator, y),
        *suspects,
        *_suspects(operator, y),
        *_offsets(operator, y, shift),
        *(_larger_images(operator, y) if clipped else ()),
    ]
    left = [squared_misfit(suspect.operator, suspect.y) for suspect in suspects]
    best = suspects[int(np.argmin(left))]
    # The best is the closest to the truth: what it leaves tells the noise.
    noise = min(misfit_of(best.operator, best.y).levels, default=0.0) ** 2
    left = [math.sqrt(max(each - noise, 0.0)) for each in left]
    found = [
        (each, suspect.cause)
        for each, suspect in zip(left[1:], suspects[1:], strict=True)
        if each <= suspect.share * left[0]
    ]
    if shuffled and _has_no_order(operator, y):
        return ["the views are in another order than the angles"]
    # Only where nothing else helps: more image explains more of anything.
    found = [pair for pair in found if pair[1] != _TOO_SMALL] or found
    limit = _AS_GOOD * min(found, default=(0.0,))[0] + _AS_GOOD_BY
    causes = [cause for each, cause in sorted(found) if each <= limit]
    return list(dict.fromkeys(causes))[:3]


def changed(operator, **parameters):
    """Return a copy of an operator with other parameters."""
    return clone(operator).set_params(**parameters)


def coarsened(operator, y):
    """Return a scanner and its measurements at a low resolution."""
    factor = max(1, round(max(operator.image_shape) / _COARSE))
    n_bins = y.shape[-1] // factor
    if factor == 1 or n_bins < 8:
        return operator, y
    kept = factor * n_bins
    shifted = operator.detector_offset - (y.shape[-1] - kept) * operator._bin_width / 2
    coarse = changed(
        operator,
        image_shape=tuple(math.ceil(n / factor) for n in operator.image_shape),
        n_bins=n_bins,
        pixel_size=factor * operator._pixel,
        bin_size=factor * operator._bin_width,
        detector_offset=shifted,
    )
    return coarse, y[..., :kept].unflatten(-1, (n_bins, factor)).nanmean(-1)


def _suspects(operator, y):
    air = float(np.nanquantile(y.numpy(force=True), 0.98))
    if air > 0 and not bool((y < -0.05 * air).any()):
        attenuation = -torch.log((y / air).clamp_min(1e-4))
        cause = "Y are transmitted intensities (see TransmissionToAttenuation)"
        if attenuation.any():  # else there is nothing in the beam
            yield Suspect(cause, operator, attenuation)
    for cause, angles in _other_angles(operator):
        yield Suspect(cause, changed(operator, angles=angles), y)
    others = _fans if isinstance(operator, ParallelBeamCT) else _other_fans
    for cause, other in others(operator):
        yield Suspect(cause, other, y)


def _larger_images(operator, y):
    side = math.ceil(1.5 * max(operator.image_shape))
    if side * operator._pixel < operator._largest_side:
        larger = changed(operator, image_shape=(side, side))
        yield Suspect(_TOO_SMALL, larger, y, _MUCH_LESS)


def _other_angles(operator):
    """Yield what view angles are taken for, and what they are then."""
    views = np.rad2deg(operator._angles_rad)
    turn = np.ptp(views) * len(views) / max(len(views) - 1, 1)
    if operator.angles is not None and turn <= 2.2 * np.pi and len(views) > 3:
        yield "the angles are in radians (np.rad2deg)", np.rad2deg(views)
    if turn <= 270:
        yield "the views go all around (360°), not half as far", 2 * views
    if turn >= 270:
        yield "the views go half as far round", views / 2
    for spread in _even_spreads(views):
        yield f"the views are {spread[1] - spread[0]:.6g}° apart", spread
    if isinstance(operator, FanBeamCT) or operator.detector_offset:
        yield "the scanner turns the other way round (angles=-angles)", -views


def _even_spreads(views):
    """Yield a half and a full turn in as many steps, in place of other even steps."""
    n = len(views)
    if n < 4 or not np.allclose(np.diff(views, n=2), 0, atol=1e-6):
        return
    for turn in (180.0, 360.0):
        spread = views[0] + np.arange(n) * math.copysign(turn / n, views[-1] - views[0])
        if not any(np.allclose(spread, factor * views) for factor in (1, 2, 0.5)):
            yield spread


def find_steps(operator, y):
    """Return the cause, if a half or full turn in even steps explains clearly more.

    What is left is looked at with its noise, so that steps that are hardly wrong are
    told as well, such as those of ``np.linspace`` with both ends; some scanners do
    measure both.

    Parameters
    ----------
    operator : ForwardOperator
        With its shapes fixed.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements.

    Returns
    -------
    cause : str or None
        None for operators whose views are not known, not even, or such a turn.
    """
    if not isinstance(operator, RayTransformOperator):
        return None
    views = np.rad2deg(operator._angles_rad)
    spreads = list(_even_spreads(views))
    if not spreads:
        return None
    operator, y = coarsened(operator, y[:_MAX_SAMPLES])
    left = [squared_misfit(changed(operator, angles=a), y) for a in spreads]
    best = int(np.argmin(left))
    if left[best] > _OTHER_STEPS * squared_misfit(operator, y):
        return None
    given, found = (angles[1] - angles[0] for angles in (views, spreads[best]))
    cause = f"the views are {found:.6g}° apart rather than {given:.6g}°"
    both_ends = math.isclose(found * len(views), given * (len(views) - 1))
    return f"{cause} (np.linspace with endpoint=False)" if both_ends else cause


def _fans(operator):
    """Yield fan beams in place of a parallel one."""
    diagonal = operator._pixel * math.hypot(*operator.image_shape)
    views = np.rad2deg(operator._angles_rad)
    cause = "the rays diverge from a source (FanBeamCT)"
    for angles in (views, 2 * views):
        for distance in _SOURCES:
            yield (
                cause,
                FanBeamCT(
                    angles=angles,
                    image_shape=operator.image_shape,
                    source_distance=distance * diagonal,
                    n_bins=operator.n_bins,
                    pixel_size=operator._pixel,
                    bin_size=operator._bin_width,
                    detector_offset=operator.detector_offset,
                ),
            )


def _other_fans(operator):
    """Yield scanners in place of a fan beam."""
    source, detector = operator.source_distance, operator.detector_distance
    parameters = {
        "angles": np.rad2deg(operator._angles_rad),
        "image_shape": operator.image_shape,
        "n_bins": operator.n_bins,
        "pixel_size": operator._pixel,
        "bin_size": operator._bin_width / operator._magnification,
        "detector_offset": operator.detector_offset / operator._magnification,
    }
    cause = "the rays are parallel (ParallelBeamCT)"
    yield cause, ParallelBeamCT(**parameters)
    if operator.angles is None:
        other = "short" if operator.scan == "full" else "full"
        yield f"scan={other!r}", changed(operator, scan=other)
    cause = "source_distance or detector_distance, and from where they are counted"
    half = operator._pixel * math.hypot(*operator.image_shape) / 2
    for to_axis, behind in (
        (source, detector - source),
        (source - detector, detector),
        (detector, source),
        (0.85 * source, detector),
        (1.2 * source, detector),
        (source, 0.5 * detector),
        (source, 1.5 * detector),
    ):
        if to_axis > half and behind >= 0 and (to_axis, behind) != (source, detector):
            other = changed(
                operator,
                source_distance=to_axis,
                detector_distance=behind,
                pixel_size=operator._pixel,  # the image stays as large as it was
                bin_size=operator._bin_width,
            )
            yield cause, other


def _offsets(operator, y, shift):
    """Yield the best of other positions of the detector.

    ``shift`` is what a low resolution adds to ``detector_offset``.
    """
    given = operator.detector_offset - shift

    def moved(offset):
        return changed(operator, detector_offset=offset + shift)

    def left(offset):
        return squared_misfit(moved(offset), y)

    if given:
        yield Suspect("detector_offset has the wrong sign", moved(-given), y)
    step = operator.n_bins * operator._bin_width / 5 / _OFFSETS
    best = min(given + step * np.arange(-_OFFSETS, _OFFSETS + 1), key=left)
    for _ in range(2):
        step /= 2
        best = min((best - step, best, best + step), key=left)
    if best != given:
        best = round(float(best), max(0, math.ceil(-math.log10(step))))
        cause = f"detector_offset is about {best:g} rather than {given:g}"
        yield Suspect(cause, moved(best), y)


def _has_no_order(operator, y):
    """Whether neighbouring views differ as much as any two."""
    if y.shape[-2] < 8:
        return False
    order = np.argsort(np.mod(np.rad2deg(operator._angles_rad), 360), kind="stable")
    y = y[..., torch.from_numpy(order), :]

    def difference(shift):
        return float((y - y.roll(shift, -2))[..., shift:, :].square().nanmean())

    n = y.shape[-2]
    far = np.mean([difference(round(n * share)) for share in (0.25, 0.35, 0.5)])
    return difference(1) >= _NO_ORDER * far
