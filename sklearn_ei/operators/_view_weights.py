"""Which share of all lines each ray of a scan stands for."""

from dataclasses import dataclass

import numpy as np

# A gap is that of a limited angle if it is this much wider than every other one,
# and so wide that its ends can't stand for it. Where opposite views see the same
# lines (a fan in a full turn), they fill much smaller gaps better than its ends;
# measured on chest slices, whose error both ways cross there.
_FAR_WIDER = 4.0
WIDE = np.deg2rad(45)
WIDE_IF_OPPOSITE = np.deg2rad(8)
# Views closer than a tenth of the usual step, and altogether within a quarter of
# it, are one view taken several times.
_SAME_VIEW, _SAME_VIEWS = 0.1, 0.25
# Beyond this share of the way to the source, weights grow no more: they would
# amplify what is wrong in the corners, and refinement could diverge there.
_NEAREST = 0.7
# Both measurements of a line change places over at most this angle.
_TAPER = np.pi / 6


@dataclass(frozen=True)
class Scan:
    """How views divide the (half) circle among themselves.

    Attributes
    ----------
    cells : ndarray of shape (n_views,)
        Of each view in radians: half of the gaps to both neighbours. Views that
        are taken several times have equal shares of one cell.
    start, turn : float
        The arc that the cells cover, in radians; ``turn`` is the period unless
        the scan is one of a limited angle.
    is_closed : bool
        Whether the cells cover the whole period.
    """

    cells: np.ndarray
    start: float
    turn: float
    is_closed: bool


def divide(angles, period, wide=WIDE):
    """Return how views, in any order, divide a circle of circumference ``period``.

    The cells are those of Voronoi on the circle, so that their sum over any
    range of angles is that range, however unevenly views are spread. Only one
    gap far wider than all others is not theirs: it belongs to a limited angle,
    and both its ends take half of the usual step from it.

    Parameters
    ----------
    angles : ndarray of shape (n_views,)
        In radians.
    period : float
        π where opposite views measure the same lines, 2π elsewhere.
    wide : float
        Smallest gap of a limited angle, in radians.

    Returns
    -------
    scan : Scan
    """
    folded = np.mod(angles, period)
    order = np.argsort(folded, kind="stable")
    gaps = np.diff(folded[order], append=folded[order[0]] + period)
    # Count from behind the widest gap, so that no cluster is cut in two.
    first = (int(np.argmax(gaps)) + 1) % len(order)
    order = np.roll(order, -first)
    places = np.mod(folded[order] - folded[order[0]], period)
    places[places > period * (1 - 1e-12)] = 0  # rounding
    labels = _clusters(places, period)
    counts = np.bincount(labels)
    centres = np.bincount(labels, weights=places) / counts
    gaps = np.diff(centres, append=centres[0] + period)
    others = gaps[:-1]
    is_closed = (
        len(gaps) == 1 or gaps[-1] <= _FAR_WIDER * others.max() or gaps[-1] <= wide
    )
    if not is_closed:
        gaps[-1] = others.mean()
    before = np.roll(gaps, 1)
    cells = np.empty(len(order))
    cells[order] = ((gaps + before) / 2 / counts)[labels]
    turn = float(period if is_closed else gaps.sum())
    start = folded[order[0]] + centres[0] - before[0] / 2
    return Scan(cells, float(start), turn, bool(is_closed))


def _clusters(places, period):
    """Return which distinct view each of the increasing ``places`` is."""
    gaps = np.diff(places)
    equal = 1e-9 * period
    apart = np.append(True, gaps > equal)
    if apart.sum() < 3:
        return np.cumsum(apart) - 1
    # The step in which most of the arc is covered, whatever the repetitions.
    ordered = np.sort(gaps)
    usual = ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)]
    labels = np.cumsum(np.append(True, gaps > _SAME_VIEW * usual)) - 1
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    ends = np.append(starts[1:], len(places)) - 1
    wide = (places[ends] - places[starts] > _SAME_VIEWS * usual)[labels]
    return np.cumsum(np.where(wide, apart, np.diff(labels, prepend=-1) > 0)) - 1


def short_side(bins, radius):
    """Return how far the detector reaches to its shorter side, and which one.

    Parameters
    ----------
    bins : ndarray of shape (n_bins,)
        Positions, evenly spaced; the centre of rotation is seen at 0.
    radius : float
        Where the shadow of the image ends, in the unit of ``bins``.

    Returns
    -------
    reach : float
        Infinite unless lines at this distance are seen from one side alone.
    sign : int
        −1 where the short side is that of negative positions.
    far : float
        How far lines are seen from the long side, at most ``radius``.
    """
    half_bin = (bins[-1] - bins[0]) / max(2 * (len(bins) - 1), 1)
    left, right = half_bin - bins[0], bins[-1] + half_bin
    far = min(max(left, right), radius)
    reach = min(left, right)
    if reach >= far - 1e-9 * half_bin:
        reach = np.inf
    return reach, (-1 if left < right else 1), far


def redundancy_weights(angles, scan, fan_angles, bins, radius):
    """Return the share of each ray in its line, where views repeat after 2π.

    The line of view β and fan angle γ is measured again, in the other direction,
    at β + π − 2γ and −γ. With a confidence c in each measurement, that of a ray
    is

        w(β, γ) = c(β, γ) / (c(β, γ) + c(β + π − 2γ, −γ)),

    and both add up to one ("Image reconstruction from fan-beam
    projections on less than a short scan", Phys. Med. Biol., 2002). c is 0 for
    what is not measured, 1 elsewhere, and rises between as sin² of the distance
    to the ends of the scan and to the edge of a displaced detector. For a short
    scan this gives weights like Parker's (Med. Phys., 1982), for a detector that
    reaches beyond the axis by h only, those of G. Wang ("X-ray micro-CT with a
    displaced detector array", Med. Phys., 2002).

    Parameters
    ----------
    angles : ndarray of shape (n_views,)
        β in radians.
    scan : Scan
        The views, with period 2π.
    fan_angles : ndarray of shape (n_bins,)
        γ in radians, zeros for a parallel beam; positive γ turn the ray clockwise.
    bins : ndarray of shape (n_bins,)
        Positions on the detector.
    radius : float
        As in :func:`short_side`.

    Returns
    -------
    weights : ndarray of shape (n_views, n_bins)
    """
    reach, sign, _ = short_side(bins, radius)

    def rise(distance, width):
        return np.sin(np.pi / 2 * np.clip(distance / width, 0, 1)) ** 2

    def by_bin(places):
        if np.isinf(reach):
            return np.ones(len(places))
        # Positive towards the short side's edge. An axis that is not seen leaves
        # no line that is measured twice.
        inside = reach - sign * places
        return rise(inside, max(2 * reach, 1e-9 * radius))

    def by_view(beta):
        if scan.is_closed:
            return np.ones_like(beta)
        beta = np.mod(beta - scan.start, 2 * np.pi)
        width = np.clip(scan.turn - np.pi, 1e-9, _TAPER)
        return rise(np.minimum(beta, scan.turn - beta), width)

    beta, gamma = angles[:, None], fan_angles[None, :]
    own = by_view(beta) * by_bin(bins)
    again = by_view(beta + np.pi - 2 * gamma) * by_bin(-bins)
    total = own + again
    return np.where(total > 0, own / np.where(total > 0, total, 1), 1.0)


def opposite_rays(angles, fan_angles, places, bins):
    """Return where the lines of rays beyond the detector are measured after all.

    A detector that is pushed aside sees the line of view β, fan angle γ and
    position t from the other side: at β + π − 2γ and −t, between two views and
    two bins.

    Parameters
    ----------
    angles : ndarray of shape (n_views,)
        β in radians, all around.
    fan_angles, places : ndarrays of shape (n_missing,)
        γ and t of the missing bins.
    bins : ndarray of shape (n_bins,)
        Positions of the bins that there are.

    Returns
    -------
    rays : ndarray of shape (8, n_views, n_missing), int64
        Numbers of measured rays, views first.
    weights : ndarray of shape (8, n_views, n_missing)
        Of the interpolation between them, linear in the angle.
    """
    order = np.argsort(np.mod(angles, 2 * np.pi), kind="stable")
    sorted_angles = np.mod(angles, 2 * np.pi)[order]
    target = np.mod(angles[:, None] + np.pi - 2 * fan_angles, 2 * np.pi)
    # Equal but for rounding: no interpolation.
    after = np.searchsorted(sorted_angles, target - 1e-9, side="left")
    before = (after - 1) % len(order)
    after = after % len(order)
    gap = np.mod(sorted_angles[after] - sorted_angles[before], 2 * np.pi)
    way = np.mod(target - sorted_angles[before] + 1e-9, 2 * np.pi)
    by_view = np.where(gap > 0, way / np.where(gap > 0, gap, 1), 1.0).clip(0, 1)

    step = (bins[-1] - bins[0]) / max(len(bins) - 1, 1) or 1.0
    column = ((-places - bins[0]) / step).clip(0, len(bins) - 1)
    left = np.floor(column + 1e-9).astype(np.int64)
    s = (column - left).clip(0, 1)
    # Cubic through four bins: linear interpolation would blur.
    by_bin = {
        -1: -s * (s - 1) * (s - 2) / 6,
        0: (s + 1) * (s - 1) * (s - 2) / 2,
        1: -(s + 1) * s * (s - 2) / 2,
        2: (s + 1) * s * (s - 1) / 6,
    }
    rays, weights = [], []
    for view, of_view in ((order[before], 1 - by_view), (order[after], by_view)):
        for shift, of_bin in by_bin.items():
            bin_ = (left + shift).clip(0, len(bins) - 1)
            rays.append(view * len(bins) + bin_)
            weights.append(of_view * of_bin)
    return np.stack(rays), np.stack(weights)


def distance_weights(pixels, sources, n_harmonics):
    """Return weights whose products sum up to 1/U, the nearness to the source.

    A pixel at distance r from the centre of rotation, seen at the angle ψ from
    the central ray of a view, is U = 1 + (r/R) cos ψ times as far from the source
    as the centre is. The harmonics

        1/U ≈ Σ_k c_k(r/R) cos kψ,  k ≤ n_harmonics,

    that are closest in the mean over ψ, weighted by 1/U, are products of an
    image and of a factor for each view, as cos k(ψ₁ − ψ₂) is. They leave the mean
    of 1/U² over a full turn as it is; with none, that is 1/(1 − r²/R²).

    Parameters
    ----------
    pixels : ndarray of shape (2, H, W)
        Positions, seen from the centre of rotation.
    sources : ndarray of shape (n_views, 2)
        Positions of the source, in the same axes.
    n_harmonics : int

    Returns
    -------
    of_pixels : ndarray of shape (2 n_harmonics + 1, H, W)
    of_views : ndarray of shape (2 n_harmonics + 1, n_views)
    """
    radius = np.linalg.norm(sources, axis=1).mean()
    ratio = np.minimum(np.hypot(*pixels) / radius, _NEAREST)
    table = np.linspace(0, ratio.max(), 256)
    psi = (np.arange(720) + 0.5) * (2 * np.pi / 720)
    nearness = 1 / (1 + table[:, None] * np.cos(psi))
    harmonics = np.cos(np.arange(n_harmonics + 1)[:, None] * psi)
    gram = np.einsum("tp,jp,kp->tjk", nearness, harmonics, harmonics)
    moments = np.einsum("tp,kp->tk", nearness**2, harmonics)
    coefficients = np.linalg.solve(gram, moments[..., None])[..., 0]

    of_pixels = [np.interp(ratio, table, coefficients[:, 0])]
    of_views = [np.ones(len(sources))]
    direction = np.arctan2(pixels[1], pixels[0])
    ahead = np.arctan2(-sources[:, 1], -sources[:, 0])
    for k in range(1, n_harmonics + 1):
        c = np.interp(ratio, table, coefficients[:, k])
        of_pixels += [c * np.cos(k * direction), c * np.sin(k * direction)]
        of_views += [np.cos(k * ahead), np.sin(k * ahead)]
    return np.stack(of_pixels), np.stack(of_views)
