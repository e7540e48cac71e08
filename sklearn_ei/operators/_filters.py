"""Filters of filtered back-projection, sampled in space."""

import numpy as np

FILTERS = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")


def ramp_filter_matrix(n_bins, bin_size, filter="ram-lak"):
    """Return the n_bins × n_bins Toeplitz matrix that filters one view.

    The ramp is band-limited at the Nyquist frequency and sampled in space,

        h[0] = 1/(4τ²),  h[k] = −1/(π²k²τ²) for odd k,  0 for even k ≠ 0,

    (A. C. Kak and M. Slaney, "Principles of Computerized Tomographic Imaging",
    1988, eq. 3.61), then windowed in frequency. Sampling ``|f|`` in frequency
    instead would lose the mean of each view, and about 0.9 dB.

    Parameters
    ----------
    n_bins : int
        Number of detector bins.
    bin_size : float
        Bin width τ, in length units.
    filter : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}
        Window on the ramp.

    Returns
    -------
    K : ndarray of shape (n_bins, n_bins)
        Symmetric; K g approximates the ramp-filtered view, in 1/length units.
    """
    offsets = np.arange(-n_bins, n_bins + 1)
    kernel = np.zeros(2 * n_bins + 1)
    kernel[n_bins] = 0.25
    odd = offsets % 2 == 1
    kernel[odd] = -1 / (np.pi * offsets[odd]) ** 2
    if filter != "ram-lak":
        # A grid several times longer than the kernel: windowing is then the
        # (linear) convolution with the window's own impulse response.
        length = int(2 ** np.ceil(np.log2(8 * n_bins)))
        padded = np.zeros(length)
        padded[offsets % length] = kernel
        frequencies = np.fft.fftfreq(length)
        spectrum = np.fft.fft(padded).real * _window(filter, frequencies)
        kernel = np.fft.ifft(spectrum).real[offsets % length]
    toeplitz = np.abs(np.subtract.outer(np.arange(n_bins), np.arange(n_bins)))
    return kernel[n_bins + toeplitz] / bin_size


def _window(filter, frequencies):
    if filter == "shepp-logan":
        return np.sinc(frequencies)
    if filter == "cosine":
        return np.cos(np.pi * frequencies)
    if filter == "hamming":
        return 0.54 + 0.46 * np.cos(2 * np.pi * frequencies)
    return 0.5 + 0.5 * np.cos(2 * np.pi * frequencies)  # hann


def view_weights(angles, period=np.pi):
    """Return the share of the (half) circle that each view stands for, in radians.

    Half the distance to both neighbours, with angles taken modulo ``period``. A
    gap of a limited-angle scan counts at most as twice the median distance.

    Parameters
    ----------
    angles : ndarray of shape (n_views,)
        In radians.
    period : float, default=π
        After which views repeat: π for parallel beams, 2π for fans.

    Returns
    -------
    weights : ndarray of shape (n_views,)
        They sum to ``period`` for views that cover it evenly.
    """
    if len(angles) == 1:
        return np.full(1, float(period))
    order, gaps = _gaps(angles, period)
    gaps = np.minimum(gaps, 2 * np.median(gaps[gaps > 1e-9]))
    weights = np.empty_like(gaps)
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights


def _gaps(angles, period):
    """Return the order of the angles modulo ``period`` and the gap behind each."""
    folded = np.mod(angles, period)
    order = np.argsort(folded, kind="stable")
    return order, np.diff(folded[order], append=folded[order[0]] + period)


def _scan_range(angles):
    """Return where a scan starts and how far it turns, at most 2π, in radians."""
    if len(angles) == 1:
        return angles[0], 0.0
    order, gaps = _gaps(angles, 2 * np.pi)
    usual = np.median(gaps[gaps > 1e-9])
    widest = int(np.argmax(gaps))
    if gaps[widest] < 2 * usual:
        return angles[order[0]], 2 * np.pi
    first = angles[order[(widest + 1) % len(order)]]
    return first - usual / 2, 2 * np.pi - gaps[widest] + usual


def full_turn_weights(bins, radius):
    """Return the share of each bin where every line can be measured twice.

    A detector that reaches beyond the image on both sides measures every line
    twice, and each counts one half. One that is pushed aside, so that its short
    side reaches h only, measures lines beyond h once; within, the shares rise as

        w(t) = (1 + sin(π t / 2h)) / 2,  w(t) + w(−t) = 1,

    towards the long side (G. Wang, "X-ray micro-CT with a displaced detector
    array", Med. Phys., 2002).

    Parameters
    ----------
    bins : ndarray of shape (n_bins,)
        Positions, evenly spaced; the centre of rotation is seen at 0.
    radius : float
        Where the shadow of the image ends, in the unit of ``bins``.

    Returns
    -------
    weights : ndarray of shape (n_bins,)
    """
    half_bin = (bins[-1] - bins[0]) / max(2 * (len(bins) - 1), 1)
    left, right = half_bin - bins[0], bins[-1] + half_bin
    if min(left, right) >= min(radius, max(left, right)):
        return np.full(len(bins), 0.5)
    long_side = np.sign(right - left) * bins
    reach = max(min(left, right), 1e-12)
    return 0.5 + 0.5 * np.sin(np.pi / 2 * np.clip(long_side / reach, -1, 1))


def parker_weights(views, fan_angles, turn):
    """Return the share of each ray of a fan that turns by less than 2π.

    The line of view β and fan angle γ is measured again at β + π − 2γ and −γ.
    With the overscan δ = (turn − π)/2, its first measurement counts

        w = sin²(π/4 · β/(δ + γ))  for  0 ≤ β ≤ 2δ + 2γ,

    its last one the rest, and lines measured once count 1 (D. L. Parker, "Optimal
    short scan convolution reconstruction for fanbeam CT", Med. Phys., 1982).

    Parameters
    ----------
    views : ndarray of shape (n_views,)
        β in radians, counted from the start of the scan.
    fan_angles : ndarray of shape (n_bins,)
        γ in radians; positive γ turn the ray clockwise.
    turn : float
        Range of β in radians.

    Returns
    -------
    weights : ndarray of shape (n_views, n_bins)
    """
    beta, gamma = views[:, None], fan_angles[None, :]
    delta = (turn - np.pi) / 2
    mirrored = (-gamma >= fan_angles[0] - 1e-9) & (-gamma <= fan_angles[-1] + 1e-9)

    def share(angle, width):
        angle = np.clip(angle / np.maximum(width, 1e-12), 0, 2)
        return np.where((width > 1e-9) & mirrored, np.sin(np.pi / 4 * angle) ** 2, 1.0)

    # Up to a full turn, no ray belongs to both overlaps.
    return share(beta, delta + gamma) * share(turn - beta, delta - gamma)


def fbp_filter(geometry, angles, cell_area, radius, filter="ram-lak"):
    """Return what turns Aᵀ into filtered back-projection, x = Aᵀ(b·K(a·y)).

    Parameters
    ----------
    geometry : odl.applications.tomo.Geometry
        2-D parallel or fan beam, the latter with a flat detector or with one
        that is curved around the source.
    angles : ndarray of shape (n_views,)
        Views in radians.
    cell_area : float
        Area of a pixel.
    radius : float
        Of the circle around the image.
    filter : str
        Window on the ramp.

    Returns
    -------
    K : ndarray of shape (n_bins, n_bins)
        The ramp with all factors, symmetric.
    a, b : ndarrays of shape (n_views, n_bins)
        Weights before and after filtering. Their product is the share that each
        ray has in the (half) circle. They are equal but for a displaced
        detector, so that B A is symmetric and x + w·B(y − A x) converges.
    """
    bins = np.asarray(geometry.det_grid.coord_vectors[0])
    bin_size = float(geometry.det_partition.cell_sides[0])
    start, turn = _scan_range(angles)
    full_turn = turn >= 2 * np.pi - 1e-9
    if not hasattr(geometry, "src_radius"):
        kernel = ramp_filter_matrix(len(bins), bin_size, filter)
        kernel *= bin_size / cell_area
        after = np.sqrt(view_weights(angles))[:, None] * np.ones(len(bins))
        if full_turn:
            return kernel, after * (2 * full_turn_weights(bins, radius)), after
        return kernel, after, after
    source = geometry.src_radius
    to_detector = source + geometry.det_radius
    if geometry.det_curvature_radius is None:
        fan_angles = np.arctan(bins / to_detector)
        step = bin_size * source / to_detector  # of the bins' shadow at the centre
        kernel = ramp_filter_matrix(len(bins), step, filter)
    else:
        fan_angles, step = bins, bin_size
        kernel = ramp_filter_matrix(len(bins), step, filter)
        apart = step * np.subtract.outer(np.arange(len(bins)), np.arange(len(bins)))
        kernel /= np.sinc(apart / np.pi) ** 2
    kernel *= step / cell_area
    after = np.sqrt(view_weights(angles, 2 * np.pi))[:, None] * np.ones(len(bins))
    if not full_turn:
        turned = np.mod(angles - start, 2 * np.pi)
        after *= np.sqrt(parker_weights(turned, fan_angles, turn))
        return kernel, after, after
    edge = np.arcsin(min(radius / source, 1.0))
    if geometry.det_curvature_radius is None:
        edge = to_detector * np.tan(min(edge, 1.5))
    return kernel, after * full_turn_weights(bins, edge), after
