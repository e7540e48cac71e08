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
    instead would lose the mean of each view.

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
        # A grid much longer than the kernel: windowing is then the
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
    views = ViewGeometry(geometry, angles, pixels, cell_sides)
    n_bins, step = len(views.places), views.step
    kernel = ramp_filter_matrix(n_bins, step, filter)
    if views.is_curved:
        apart = step * np.subtract.outer(np.arange(n_bins), np.arange(n_bins))
        kernel /= np.sinc(apart / np.pi) ** 2
    kernel *= step / np.prod(cell_sides)

    scan, shares = views.shares(angles)
    after = np.sqrt(scan.cells)[:, None] * np.cos(views.fan_angles)
    of_pixels, of_views = np.ones((1, *pixels.shape[1:])), np.ones((1, len(angles)))
    if views.source is not None:
        sources = geometry.src_position(angles) - geometry.translation
        unseen = views.missing.any() and not views.is_continued
        n_harmonics = 2 if unseen or not scan.is_closed else 0
        of_pixels, of_views = distance_weights(pixels, sources, n_harmonics)
    opposite = None
    if views.is_continued:
        places, fan_angles = (
            each[views.missing] for each in (views.places, views.fan_angles)
        )
        opposite = opposite_rays(angles, fan_angles, places, views.bins)
    return FilteredBackprojection(
        kernel,
        after * shares,
        after,
        of_pixels,
        of_views,
        views.n_left,
        views.n_right,
        opposite,
    )


class ViewGeometry:
    """What the weights of views and rays follow from.

    Parameters
    ----------
    geometry, angles, pixels, cell_sides
        As for :func:`fbp_filter`.

    Attributes
    ----------
    angles : ndarray of shape (n_views,)
        In radians.
    source : float or None
        Distance of the source from the axis; None for a parallel beam.
    is_curved : bool
        Whether the detector is.
    step : float
        Distance of neighbouring rays at the centre of rotation.
    bins : ndarray of shape (n_bins,)
        Positions on the detector.
    n_left, n_right : int
        Bins that are missing beyond both edges of a displaced detector.
    places, fan_angles : ndarrays of shape (n_left + n_bins + n_right,)
        Positions of all bins, and their angles from the central ray (0: parallel).
    missing : ndarray of bool
        Which of them the detector does not have.
    is_continued : bool
        Whether these are measured from the other side.
    """

    def __init__(self, geometry, angles, pixels, cell_sides):
        bins = np.asarray(geometry.det_grid.coord_vectors[0])
        bin_size = float(geometry.det_partition.cell_sides[0])
        radius = np.hypot(*pixels).max() + np.hypot(*cell_sides) / 2
        self.angles, self.bins = angles, bins
        self.source = source = getattr(geometry, "src_radius", None)
        self.step, self.is_curved, self._shadow = bin_size, False, radius
        if source is not None:
            to_detector = source + geometry.det_radius
            self.is_curved = geometry.det_curvature_radius is not None
            shadow = np.arcsin(min(radius / source, 1.0))
            if not self.is_curved:
                shadow = to_detector * np.tan(min(shadow, 1.5))
                self.step = bin_size * source / to_detector  # of the shadow
            self._shadow = shadow
        self.n_left, self.n_right = _beyond(bins, bin_size, self._shadow)
        n_bins = self.n_left + len(bins) + self.n_right
        self.places = bins[0] + bin_size * np.arange(-self.n_left, n_bins - self.n_left)
        self.fan_angles = np.zeros(n_bins)
        if source is not None:
            places = self.places
            curved = self.is_curved
            self.fan_angles = places if curved else np.arctan(places / to_detector)
        self.missing = np.ones(n_bins, dtype=bool)
        self.missing[self.n_left : self.n_left + len(bins)] = False
        self.is_continued = self.is_displaced and self._scan(angles).is_closed

    @property
    def is_displaced(self):
        """Whether the detector sees more of one side than of the other."""
        return bool(self.missing.any())

    def _scan(self, angles):
        wide = WIDE if self.is_displaced else WIDE_IF_OPPOSITE
        return divide(angles, 2 * np.pi, wide)

    def shares(self, angles):
        """Return how views divide the circle, and the share of each ray in its line.

        Parameters
        ----------
        angles : ndarray
            Of the views that there are.

        Returns
        -------
        scan : Scan
        shares : ndarray of shape (n_views, n_all), or 1.0
        """
        is_whole = not self.is_displaced or self.is_continued
        if self.source is None and is_whole:
            return divide(angles, np.pi), 1.0
        scan = self._scan(angles)
        own = np.ones_like(self.missing) if is_whole else ~self.missing
        bins = self.places if is_whole else self.bins
        shares = np.zeros((len(angles), len(self.places)))
        shares[:, own] = redundancy_weights(
            angles, scan, self.fan_angles[own], bins, self._shadow
        )
        return scan, shares

    def weights(self, seen):
        """Return what rays weigh if only some of the views are there.

        Parameters
        ----------
        seen : ndarray of bool, of shape (n_views,)
            Which.

        Returns
        -------
        weights : ndarray of shape (n_seen, 1 or n_all)
            Cells of the views times shares of the rays.
        """
        scan, shares = self.shares(self.angles[seen])
        return scan.cells[:, None] * shares


def _beyond(bins, bin_size, shadow):
    """Return how many bins are missing at both ends of a displaced detector."""
    reach, sign, far = short_side(bins, shadow)
    if np.isinf(reach):
        return 0, 0
    missing = int(np.ceil((far - reach) / bin_size - 1e-6))
    return (missing, 0) if sign < 0 else (0, missing)
