"""One slice of a brain, eight coils, of which nobody gave the sensitivities."""

import numpy as np
from sklearn.base import clone

from sklearn_ei import operators
from sklearn_ei.datasets import read_numpy
from sklearn_ei.operators import MRI

from ._scan import N_REFINEMENTS, Scan

ACCELERATION = 4


def brain(path, **_):
    """Every fourth line of k-space, the middle ones among them."""
    kspace = read_numpy(path).data
    lines = np.abs(kspace).sum(axis=(0, 1)) > 0
    drawn = MRI(ACCELERATION, kspace.shape[1:])
    given = drawn.measured_entries().any(axis=0) & lines
    few = clone(drawn).set_params(mask=given)
    maps = sensitivities(kspace * given, few.calibration_lines())
    some, rest, everything = (
        MRI(mask=mask, image_shape=kspace.shape[1:], sensitivities=maps)
        for mask in (given, lines & ~given, lines)
    )
    Y = channels(kspace)[np.newaxis]
    reference = clone(everything).set_params(n_refinements=N_REFINEMENTS)
    return Scan(
        "brain",
        "brain, eight coils",
        some,
        Y * given[:, np.newaxis],
        Y * given[:, np.newaxis],
        reference.reconstruct(Y),
        rest,
        Y * (lines & ~given)[:, np.newaxis],
        setup={
            "operator": "MRI",
            "image_shape": list(kspace.shape[1:]),
            "n_coils": len(kspace),
            "lines": f"{given.sum()} of {lines.sum()}",
        },
    )


def sensitivities(kspace, calibration):
    """Return coil sensitivities (n_coils, H, W) from the lines in the middle.

    Smooth images of the coils, each divided by the root of the sum of their squares
    [1]_; where the library has an estimate of its own, that.

    References
    ----------
    .. [1] K. P. Pruessmann et al., "SENSE: Sensitivity encoding for fast MRI",
       Magnetic Resonance in Medicine 42 (1999).
    """
    if hasattr(operators, "estimate_sensitivities"):
        return operators.estimate_sensitivities(kspace[np.newaxis])[0]
    n_rows = kspace.shape[1]
    width = len(calibration)
    window = np.zeros(kspace.shape[1:])
    rows = np.arange(n_rows // 2 - width // 2, n_rows // 2 - width // 2 + width)
    smooth = np.hanning(width + 2)[1:-1]  # without the zeros at the ends
    window[np.ix_(rows, calibration)] = np.outer(smooth, smooth)
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace * window, axes=axes)
    coils = np.fft.fftshift(np.fft.ifft2(shifted, axes=axes), axes=axes)
    return coils / np.sqrt(np.square(np.abs(coils)).sum(axis=0))


def channels(kspace):
    """Return (H, W, 2·n_coils) real of (n_coils, H, W) complex."""
    pairs = np.stack([kspace.real, kspace.imag], axis=1)
    return np.moveaxis(pairs.reshape(-1, *kspace.shape[1:]), 0, -1).astype(np.float32)
