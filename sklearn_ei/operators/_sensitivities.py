"""Coil sensitivities from the fully sampled centre of k-space."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_scalar

from ..utils.stack_check import check_stack, filled
from ._fourier import centered, to_channels, to_complex

_N_LINES = 24
_N_ITERATIONS = 10
_SMOOTHED = 5  # pixels along each axis
_FEWEST = 4  # lines from which coils can be told apart at all


def estimate_sensitivities(Y, *, n_lines=_N_LINES):
    """Return the sensitivity of each coil, slice by slice, from its own k-space.

    Parameters
    ----------
    Y : complex array-like of shape (n_samples, n_coils, H, W)
        k-space, the zero frequency at ``(H // 2, W // 2)``. Not measured is what is
        NaN, masked, or zero in every coil.
    n_lines : int, default=24
        Lines, and rows, around the centre that are used: fewer where fewer are
        measured without a gap.

    Returns
    -------
    sensitivities : ndarray of shape (n_samples, n_coils, H, W), complex64
        S_c with Σ_c |S_c|² = 1 in every pixel.

    Raises
    ------
    TypeError, ValueError
        If ``Y`` is no such stack, has a sample without any measurement, or fewer than
        four lines around the centre are measured.

    See Also
    --------
    MRI : With ``sensitivities=n_coils`` it does this for every measurement.

    Notes
    -----
    Low-resolution images I_c are made of the centre, under a cosine window that is
    zero at its edge. Where S is smooth, the vector S(r) of all coils is the dominant
    eigenvector of the local covariance Σ_r' I(r') I(r')ᴴ around r [1]_. Ten steps of
    the power iteration find it in all pixels at once [2]_,

        ρ = Σ_c conj(S_c) I_c,   S_c ∝ mean over 5 × 5 pixels of I_c conj(ρ),

    from the dominant eigenvector of the whole image on. The phase of S is that
    relative to this combination of coils, so that images keep their own phase. In
    air, where no image is, S is that of noise.

    References
    ----------
    .. [1] D. O. Walsh, A. F. Gmitro and M. W. Marcellin, "Adaptive reconstruction of
       phased array MR imagery", Magnetic Resonance in Medicine 43, 2000.
    .. [2] S. J. Inati, M. S. Hansen and P. Kellman, "A fast optimal method for coil
       sensitivity estimation and adaptive coil combination for complex images",
       ISMRM 2014, 4407.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import MRI, estimate_sensitivities
    >>> row, column = np.mgrid[-1:1:32j, -1:1:32j]
    >>> coils = np.exp(np.stack([row + 1j * column, -row]))
    >>> Y = MRI(acceleration=1, sensitivities=coils).measure(np.ones((3, 32, 32)) + 0j)
    >>> maps = estimate_sensitivities(Y)
    >>> maps.shape
    (3, 2, 32, 32)
    >>> operator = MRI(acceleration=1, sensitivities=maps[0])  # of the first slice
    """
    check_scalar(n_lines, "n_lines", Integral, min_val=_FEWEST)
    Y = filled(Y)
    missing = np.isnan(np.asarray(Y)) if np.iscomplexobj(Y) else None
    if missing is None or missing.ndim != 4:
        raise ValueError(
            f"Got Y of shape {np.shape(Y)} and dtype {np.asarray(Y).dtype}, but "
            "expected complex k-space of shape (n_samples, n_coils, H, W)."
        )
    blank = missing.reshape(len(missing), -1).all(axis=1)
    if blank.any():
        raise ValueError(
            f"Y has nothing but NaN in sample {np.argmax(blank)}, but expected some "
            "measurements in each; leave such samples out."
        )
    Y = check_stack(np.where(missing, 0, Y), "Y", "measurements", complex_ok=True)
    maps = np.empty(Y.shape, np.complex64)
    for number, sample in enumerate(Y):
        y = torch.from_numpy(np.where(missing[number], np.nan, sample)[None])
        found, n_found = coil_maps(y, n_lines)
        if sample.any() and float(n_found) < _FEWEST:
            raise ValueError(
                f"Got Y whose sample {number} has {int(n_found)} line(s) measured "
                f"without a gap around the centre, but expected at least {_FEWEST}."
            )
        maps[number] = found[0].numpy()
    return maps


@torch.no_grad()
def coil_maps(k_space, n_lines=_N_LINES):
    """Return sensitivities of a batch, and how many lines they were found from.

    Parameters
    ----------
    k_space : complex torch.Tensor of shape (batch, n_coils, H, W)
        NaN, or zero in all coils, where not measured.
    n_lines : int
        The most lines around the centre.

    Returns
    -------
    maps : complex torch.Tensor of shape (batch, n_coils, H, W)
        With Σ_c |S_c|² = 1.
    n_found : torch.Tensor of shape (batch,)
    """
    window, n_found = _window(k_space, n_lines)
    seen = torch.where(k_space.isnan(), 0, k_space)
    images = centered(torch.fft.ifft2, seen * window[:, None])
    largest = images.abs().amax((1, 2, 3), keepdim=True)
    images = images / torch.where(largest > 0, largest, 1)
    maps = _dominant(images)[:, :, None, None].expand_as(images)
    for _ in range(_N_ITERATIONS):
        combined = (maps.conj() * images).sum(1, keepdim=True)
        maps = _normalised(_smooth(images * combined.conj()), maps)
    return maps, n_found


def _window(k_space, n_lines):
    """Return a cosine window within what is measured around the centre.

    A square, as wide as no point of it is lost: for lost lines, the lines between.
    """
    height, width = k_space.shape[-2:]
    lost = k_space.isnan().any(1) | (k_space == 0).all(1)
    row, column = (
        (torch.arange(size, device=k_space.device) - size // 2).abs()
        for size in (height, width)
    )
    distance = torch.maximum(row[:, None], column).to(k_space.real.dtype)
    nearest = torch.where(lost, distance, torch.inf).amin((1, 2))
    half = nearest.clamp(max=n_lines / 2)
    row, column = (
        torch.cos(torch.pi / 2 * (axis / half[:, None].clamp_min(0.5)).clamp(max=1))
        for axis in (row, column)
    )
    return row[:, :, None] * column[:, None], 2 * half


def _dominant(images):
    """Return the dominant eigenvector of the covariance of coils, (batch, n_coils)."""
    flat = images.flatten(2)
    covariance = flat @ flat.mH
    # Its largest column is no right angle away. No LAPACK: a GPU would wait.
    power = covariance.diagonal(dim1=1, dim2=2).real
    strongest = torch.nn.functional.one_hot(power.argmax(1), power.shape[1])
    vector = start = strongest.to(covariance.dtype)[:, :, None]
    for _ in range(_N_ITERATIONS):
        vector = _normalised(covariance @ vector, start)
    return vector[:, :, 0]


def _normalised(vectors, otherwise):
    """Return unit vectors along axis 1, others where they are zero."""
    norm = vectors.abs().square().sum(1, keepdim=True).sqrt()
    return torch.where(norm > 0, vectors / torch.where(norm > 0, norm, 1), otherwise)


def _smooth(images):
    """Return means over squares of pixels, of what of them is inside."""
    means = torch.nn.functional.avg_pool2d(
        to_channels(images), _SMOOTHED, 1, _SMOOTHED // 2, count_include_pad=False
    )
    return to_complex(means)
