"""Complex images with smooth phases, and another mask of k-space for every scan.

    python benchmarks/mri_masks.py ct100_train_128.npz

The file holds an array `images`, (90, H, W), uint16: slices, of which `[:70]` are to
train, `[70:80]` to choose by and `[80:]` to report. `problem` makes complex images of
them and measures a quarter of the lines of k-space, the centre and others drawn anew
for each scan; what was not measured is NaN.

Run as a script it writes what zero-filling makes of it, and what the same lines for
all scans would leave unknown.
"""

import argparse
from dataclasses import dataclass

import _record
import numpy as np

from sklearn_ei.metrics import psnr
from sklearn_ei.operators import MRI

SMOKE = ["{ct16}"]
ACCELERATION = 4
CENTRE = 0.08  # share of all lines
TRAIN, VALID, TEST = slice(0, 70), slice(70, 80), slice(80, None)
_N_WAVES = 3  # along each axis
_PHASE = np.pi / 6  # radians, root mean square of what varies


@dataclass
class MaskedScans:
    """Complex images, their k-space with NaN, and the operator of all of k-space.

    Attributes
    ----------
    images : ndarray of shape (n, H, W), complex64
    Y : ndarray of shape (n, H, W), complex64
        NaN where not measured.
    masks : bool ndarray of shape (n, W)
        The lines of each scan.
    operator : MRI
        That of a scan with all lines.
    """

    images: np.ndarray
    Y: np.ndarray
    masks: np.ndarray
    operator: MRI

    def same_mask(self):
        """Return the operator and k-space of the first scan's mask for all scans."""
        operator = MRI(mask=self.masks[0], image_shape=self.images.shape[1:])
        return operator, operator.measure(self.images)


def smooth_phases(n, shape, seed=0):
    """Return smooth random phases in radians, (n, H, W): waves, and a constant.

    The constant is uniform over the circle; waves of up to three half periods along
    each axis have random amplitudes, scaled to 30 degrees root mean square. Those of
    a scan follow from ``seed`` and its number.
    """
    axes = [np.linspace(0, np.pi, size) for size in shape]
    rows, columns = (
        np.cos(np.arange(_N_WAVES + 1)[:, None] * axis[None]) for axis in axes
    )
    order = np.add.outer(np.arange(_N_WAVES + 1), np.arange(_N_WAVES + 1))
    scans = [np.random.default_rng([seed, number]) for number in range(n)]
    constant = np.array([scan.uniform(-np.pi, np.pi) for scan in scans])
    weights = np.stack([scan.standard_normal(order.shape) for scan in scans])
    weights /= np.maximum(order, 1)
    weights[:, 0, 0] = 0
    waves = np.einsum("nij,ih,jw->nhw", weights, rows, columns, optimize=True)
    waves /= np.sqrt(np.square(waves).mean(axis=(1, 2), keepdims=True))
    return _PHASE * waves + constant[:, None, None]


def random_lines(n, shape, seed=0, acceleration=ACCELERATION):
    """Return the lines of n scans, (n, W): the centre, and others at random."""
    seeds = np.random.default_rng([seed, 1]).integers(2**31, size=n)
    scans = (
        MRI(acceleration, shape, center_fraction=CENTRE, random_state=int(s))
        for s in seeds
    )
    return np.stack([scan.measured_entries()[0] for scan in scans])


def problem(slices, seed=0, acceleration=ACCELERATION):
    """Return :class:`MaskedScans` of real slices (n, H, W) from 0 to 1.

    Phases and mask of a scan follow from ``seed`` and its number in the stack.
    """
    n, shape = len(slices), slices.shape[1:]
    phases = smooth_phases(n, shape, seed)
    images = (slices * np.exp(1j * phases)).astype(np.complex64)
    operator = MRI(acceleration=1, image_shape=shape)
    masks = random_lines(n, shape, seed, acceleration)
    Y = operator.measure(images)
    Y[np.broadcast_to(~masks[:, None], Y.shape)] = complex(np.nan, np.nan)
    return MaskedScans(images, Y, masks, operator)


def load(path):
    """Return the slices of a file, from 0 to 1."""
    return np.load(path)["images"] / 65535


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    scans = problem(load(arguments.file))
    operator, Y = scans.same_mask()
    zero_filled = scans.operator.reconstruct(np.nan_to_num(scans.Y[TEST]))
    truth = scans.images[TEST]
    result = {
        "machine": _record.machine(),
        "lines measured": float(scans.masks.mean()),
        "lines measured in no scan": float((~scans.masks[TRAIN].any(axis=0)).mean()),
        "zero-filled, another mask a scan": psnr(truth, zero_filled),
        "zero-filled, one mask": psnr(truth, operator.reconstruct(Y[TEST])),
        "zero-filled magnitudes, another mask a scan": psnr(
            np.abs(truth), np.abs(zero_filled)
        ),
    }
    for name, value in result.items():
        if name != "machine":
            print(f"{name}: {value:.3f}")
    if not arguments.no_record:
        _record.write("mri_masks", result)


if __name__ == "__main__":
    main()
