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


def view_weights(angles):
    """Return the share of the half circle that each view stands for, in radians.

    Half the distance to both neighbours, with angles taken modulo 180°. A gap
    of a limited-angle scan counts at most as twice the median distance.

    Parameters
    ----------
    angles : ndarray of shape (n_views,)
        In radians.

    Returns
    -------
    weights : ndarray of shape (n_views,)
        They sum to π for views that cover the half circle evenly.
    """
    if len(angles) == 1:
        return np.full(1, np.pi)
    folded = np.mod(angles, np.pi)
    order = np.argsort(folded, kind="stable")
    gaps = np.diff(folded[order], append=folded[order[0]] + np.pi)
    positive = gaps[gaps > 1e-9]
    gaps = np.minimum(gaps, 2 * np.median(positive))
    weights = np.empty_like(gaps)
    weights[order] = (gaps + np.roll(gaps, 1)) / 2
    return weights
