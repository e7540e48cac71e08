"""A scan of one's own, from a file and a few words about it."""

import zipfile
from pathlib import Path

import numpy as np

from sklearn_ei.datasets import read_hdf5, read_numpy
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT
from sklearn_ei.preprocessing import (
    AirNormalizer,
    DetectorBinner,
    transmission_to_attenuation,
)

from ._scan import sparse_views

ARRAYS = "sinograms (rows, views, bins), sinogram (views, bins) or transmission"


def add_arguments(parser):
    """Add what has to be known about a file."""
    add = parser.add_argument
    add(
        "path",
        type=Path,
        help="HDF5 (Data Exchange or NXtomo), or .npz with angles in degrees and "
        "sinograms (rows, views, bins), sinogram (views, bins), both attenuations, or "
        "transmission (views, rows, bins)",
    )
    add("--layout", choices=("dxchange", "nxtomo"), help="of HDF5 (tried in turn)")
    add("--bin", type=int, default=1, help="average so many bins (1)")
    add("--air", type=int, metavar="N", help="divide by N bins of air at both ends")
    add("--rows", help="rows to look at, such as 10:90:2 (all)")
    add("--train-rows", type=int, help="so many of them to train on (all)")
    views = parser.add_mutually_exclusive_group()
    views.add_argument(
        "--keep-every", type=int, metavar="N", help="methods get every N-th view"
    )
    views.add_argument(
        "--leave-out-every",
        type=int,
        metavar="N",
        default=8,
        help="methods get all but every N-th view, which tell who is right (8)",
    )
    add("--size", type=int, help="pixels a side of the images (as the detector)")
    add("--pixel-size", type=float, help="in the unit of --bin-size (a bin)")
    add("--bin-size", type=float, default=1.0, help="pitch of the detector (1)")
    add("--offset", type=float, help="of the detector, in that unit (found)")
    add("--source-distance", type=float, help="to the axis: a fan beam")
    add("--detector-distance", type=float, default=0.0, help="from the axis (0)")


def from_file(options):
    """Return the problem that a file and the command line describe."""
    readings, fields, angles, taken_log = _read(options.path, options.layout)
    if angles is None:
        raise SystemExit(f"Got {options.path} without angles, but expected them.")
    rows = np.arange(len(readings))
    if options.rows:
        rows = rows[_slice(options.rows)]
        readings = readings[rows]
        fields = [f if np.ndim(f) == 0 else f[rows] for f in fields]
    if options.air:
        if not taken_log:
            readings = readings - fields[0]
            fields = [0.0, fields[1] - fields[0]]
            readings, fields = readings / fields[1], [0.0, 1.0]
        air = AirNormalizer(options.air, options.air, after_log=taken_log)
        readings = air.fit_transform(readings)
    binner = DetectorBinner(options.bin).fit(readings)
    Y = binner.transform(readings)
    if not taken_log:
        dark, flat = (binner.transform_field(f) for f in fields)
        Y = transmission_to_attenuation(Y, dark, flat)
    geometry = binner.geometry(bin_size=options.bin_size)
    parameters = {
        "angles": np.asarray(angles),
        "n_bins": geometry["n_bins"],
        "bin_size": geometry["bin_size"],
    }
    if options.source_distance is not None:
        parameters["source_distance"] = options.source_distance
        parameters["detector_distance"] = options.detector_distance
        magnification = 1 + options.detector_distance / options.source_distance
    else:
        magnification = 1.0
    pixel = options.pixel_size or geometry["bin_size"] / magnification
    side = options.size or int(geometry["n_bins"])
    kind = ParallelBeamCT if options.source_distance is None else FanBeamCT
    everything = kind(image_shape=(side, side), pixel_size=pixel, **parameters)
    train = np.arange(len(Y))
    if options.train_rows:
        train = np.unique(np.linspace(0, len(Y) - 1, options.train_rows).round())
    return sparse_views(
        options.path.stem,
        options.path.name,
        everything,
        Y,
        _given(len(parameters["angles"]), options),
        train=train.astype(int),
        test=np.arange(len(Y)),
        offset=options.offset,
    )


def _read(path, layout):
    """Return readings, (dark, flat), angles, and whether the logarithm is taken."""
    if not path.is_file():
        raise SystemExit(f"Got {path}, but there is no such file.")
    if zipfile.is_zipfile(path):
        with np.load(path, allow_pickle=False) as file:
            names = set(file.files)
        angles = read_numpy(path, "angles").data if "angles" in names else None
        if "sinograms" in names:
            return read_numpy(path, "sinograms").data, (0.0, 1.0), angles, True
        if "sinogram" in names:
            one = read_numpy(path, "sinogram").data[np.newaxis]
            return one, (0.0, 1.0), angles, True
        if "transmission" in names:
            scan = read_numpy(path, "transmission", layout="projections")
            return scan.measurements, (0.0, 1.0), angles, False
        raise SystemExit(f"Got {path} with {sorted(names)}, but expected {ARRAYS}.")
    scan, refusals = None, []
    for name in [layout] if layout else ["dxchange", "nxtomo"]:
        try:
            scan = read_hdf5(path, name)
            break
        except ValueError as error:
            refusals.append(str(error))
    if scan is None:
        raise SystemExit(" ".join(refusals))
    if scan.flat is None:
        raise SystemExit(f"Got {path} without flat fields, but expected some.")
    dark = 0.0 if scan.dark is None else scan.dark
    return scan.measurements, (dark, scan.flat), scan.angles, False


def _given(n_views, options):
    views = np.arange(n_views)
    if options.keep_every:
        given = views[:: options.keep_every]
    else:
        # From the middle of a period: ends of the scan are given.
        step = options.leave_out_every
        given = np.setdiff1d(views, views[step // 2 :: step])
    if not 1 < len(given) < n_views:
        raise SystemExit(
            f"Got {len(given)} of {n_views} views for the methods, but expected some "
            "for them and some to compare with (--keep-every, --leave-out-every)."
        )
    return given


def _slice(text):
    try:
        parts = [int(part) if part else None for part in text.split(":")]
        if not 1 <= len(parts) <= 3:
            raise ValueError
    except ValueError:
        raise SystemExit(
            f"Got --rows {text}, but expected first:last or first:last:step."
        ) from None
    return slice(parts[0], parts[0] + 1) if len(parts) == 1 else slice(*parts)
