"""Filters and weights of filtered back-projection."""

from dataclasses import dataclass

import numpy as np

from ._view_weights import (
    WIDE,
    WIDE_IF_OPPOSITE,
    distance_weights,
    divide,
    opposite_rays,
    redundancy_weights,
    short_side,
)

FILTERS = ("auto", "ram-lak", "shepp-logan", "cosine", "hamming", "hann")


def ramp_filter_matrix(n_bins, bin_size, filter="auto"):
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
    filter : {"auto", "ram-lak", "shepp-logan", "cosine", "hamming", "hann"}
        Window on the ramp; ``"auto"`` is none, as ``"ram-lak"``.

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
    if filter not in ("auto", "ram-lak"):
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


@dataclass(frozen=True)
class FilteredBackprojection:
    """What turns Aᵀ into filtered back-projection, x = Σ_k m_k·Aᵀ(v_k·a·K(w·a·Cy)).

    Where the detector is displaced, views are continued beyond its short edge by
    ``n_left`` or ``n_right`` bins, and back-projected there, too.

    Attributes
    ----------
    kernel : ndarray of shape (n_all, n_all)
        K, the ramp with all factors; n_all = n_left + n_bins + n_right.
    before, after : ndarrays of shape (n_views, n_all)
        w·a and a, weights before and after filtering.
    of_pixels, of_views : ndarrays of shape (K, H, W) and (K, n_views)
        m and v, the nearness of pixels to the source of a fan.
    n_left, n_right : int
        Bins beyond both edges of the detector.
    opposite : tuple of two ndarrays of shape (8, n_views, n_left + n_right), or None
        C: rays that measure the missing lines from the other side, and their
        weights (:func:`opposite_rays`). None continues views by zeros.
    """

    kernel: np.ndarray
    before: np.ndarray
    after: np.ndarray
    of_pixels: np.ndarray
    of_views: np.ndarray
    n_left: int
    n_right: int
    opposite: tuple | None

    def bins_beyond(self, bins):
        """Return the positions of the bins beyond the edges of the detector."""
        step = bins[1] - bins[0] if len(bins) > 1 else 0.0
        left = bins[0] - step * np.arange(self.n_left, 0, -1)
        return np.append(left, bins[-1] + step * np.arange(1, self.n_right + 1))


def fbp_filter(geometry, angles, pixels, cell_sides, filter="auto"):
    """Return the filter and the weights of filtered back-projection.

    Parameters
    ----------
    geometry : odl.applications.tomo.Geometry
        2-D parallel or fan beam, the latter with a flat detector or with one
        that is curved around the source.
    angles : ndarray of shape (n_views,)
        Views in radians.
    pixels : ndarray of shape (2, H, W)
        Positions of the pixels in ODL's axes, seen from the centre of rotation.
    cell_sides : tuple of 2 float
        Sides of a pixel.
    filter : str
        Window on the ramp.

    Returns
    -------
    fbp : FilteredBackprojection

    Notes
    -----
    Rays of a fan are Δs·cos γ·U apart at a pixel, with their distance Δs at the
    centre of rotation and the pixel's relative distance U from the source, so
    that Aᵀ contains 1/(U cos γ). Kak and Slaney's formula (1988, section 3.4.1)
    asks for cos γ before filtering and 1/U² after it. One cos γ on either side
    leaves 1/U to be supplied. Where every line is measured from both ends alike,
    its mean over views, 1/(1 − r²/R²) at distance r from the centre, does, and
    leaves B A as good as symmetric; elsewhere two harmonics of the angle between
    pixel and view follow 1/U to a few per cent (:func:`distance_weights`). The
    same weights hold for a detector that is curved around the source.
    """
    bins = np.asarray(geometry.det_grid.coord_vectors[0])
    bin_size = float(geometry.det_partition.cell_sides[0])
    source = getattr(geometry, "src_radius", None)
    radius = np.hypot(*pixels).max() + np.hypot(*cell_sides) / 2
    step, curved, shadow = bin_size, False, radius
    if source is not None:
        to_detector = source + geometry.det_radius
        curved = geometry.det_curvature_radius is not None
        shadow = np.arcsin(min(radius / source, 1.0))
        if not curved:
            shadow = to_detector * np.tan(min(shadow, 1.5))
            step = bin_size * source / to_detector  # of the shadow at the centre
    n_left, n_right = _beyond(bins, bin_size, shadow)
    n_bins = n_left + len(bins) + n_right
    places = bins[0] + bin_size * np.arange(-n_left, n_bins - n_left)
    fan_angles = np.zeros(n_bins)
    if source is not None:
        fan_angles = places if curved else np.arctan(places / to_detector)
    missing = np.ones(n_bins, dtype=bool)
    missing[n_left : n_left + len(bins)] = False

    kernel = ramp_filter_matrix(n_bins, step, filter)
    if curved:
        apart = step * np.subtract.outer(np.arange(n_bins), np.arange(n_bins))
        kernel /= np.sinc(apart / np.pi) ** 2
    kernel *= step / np.prod(cell_sides)

    scan = divide(angles, 2 * np.pi, WIDE if missing.any() else WIDE_IF_OPPOSITE)
    opposite = None
    if missing.any() and scan.is_closed:
        opposite = opposite_rays(angles, fan_angles[missing], places[missing], bins)
        bins, missing = places, np.zeros(n_bins, dtype=bool)
    if source is None and not missing.any():
        scan, shares = divide(angles, np.pi), 1.0
    else:
        shares = np.zeros((len(angles), n_bins))
        shares[:, ~missing] = redundancy_weights(
            angles, scan, fan_angles[~missing], bins, shadow
        )
    after = np.sqrt(scan.cells)[:, None] * np.cos(fan_angles)
    of_pixels, of_views = np.ones((1, *pixels.shape[1:])), np.ones((1, len(angles)))
    if source is not None:
        sources = geometry.src_position(angles) - geometry.translation
        n_harmonics = 2 if missing.any() or not scan.is_closed else 0
        of_pixels, of_views = distance_weights(pixels, sources, n_harmonics)
    return FilteredBackprojection(
        kernel, after * shares, after, of_pixels, of_views, n_left, n_right, opposite
    )


def _beyond(bins, bin_size, shadow):
    """Return how many bins are missing at both ends of a displaced detector."""
    reach, sign, far = short_side(bins, shadow)
    if np.isinf(reach):
        return 0, 0
    missing = int(np.ceil((far - reach) / bin_size - 1e-6))
    return (missing, 0) if sign < 0 else (0, missing)
