"""The real measurements, from the files to a problem, by the library's own means."""

from pathlib import Path

import numpy as np

from sklearn_ei.datasets import read_hdf5, read_numpy
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT
from sklearn_ei.preprocessing import DetectorBinner, transmission_to_attenuation

from ._brain import brain
from ._scan import sparse_views

FILES = {
    "tooth": "aps_tooth.h5",
    "dls": "dls_rows.npz",
    "htc": "htc2022_ta_fan.npz",
    "brain": "brain_kspace_8coils.npy",
}
AIR = 0.69  # transmission of the DLS scan where nothing is in the beam
EVERY = {"tooth": 6, "dls": 6, "htc": 24}  # which views methods are given


def tooth(path, **_):
    """Two rows of a human tooth, synchrotron: counts, flats, darks."""
    scan = read_hdf5(path, layout="dxchange")
    binner = DetectorBinner(4)
    counts = binner.fit_transform(scan.measurements)
    flat, dark = binner.transform_field(scan.flat), binner.transform_field(scan.dark)
    Y = transmission_to_attenuation(counts, dark, flat)
    everything = ParallelBeamCT(
        angles=scan.angles, image_shape=(96, 96), n_bins=Y.shape[2]
    )
    rows = np.arange(len(Y))
    return sparse_views(
        "tooth",
        "human tooth, synchrotron",
        everything,
        Y,
        every("tooth", Y),
        train=rows,
        test=rows,
    )


def dls(path, *, all_rows=False):
    """Rows of a synchrotron volume: transmissions whose air is not 1."""
    scan = read_numpy(path, "transmission", layout="projections")
    binner = DetectorBinner(2)
    readings = binner.fit_transform(scan.measurements)
    Y = transmission_to_attenuation(readings, flat=AIR)
    angles = read_numpy(path, "angles").data
    everything = ParallelBeamCT(angles=angles, image_shape=(56, 56), n_bins=Y.shape[2])
    rows = np.arange(len(Y))
    test = rows[3::7]
    train = np.setdiff1d(rows, test)[::2][:44]
    if all_rows:
        train = test = rows
    return sparse_views(
        "dls",
        "rows of a volume, synchrotron",
        everything,
        Y,
        every("dls", Y),
        train=train,
        test=test,
    )


def htc(path, **_):
    """A plastic disc with holes, laboratory fan beam: attenuations."""
    binner = DetectorBinner(2)
    Y = binner.fit_transform(read_numpy(path, "sinogram").data[np.newaxis])
    source, detector, pitch = (
        float(read_numpy(path, f"{name}_mm").data)
        for name in ("source_distance", "detector_distance", "bin_size")
    )
    everything = FanBeamCT(
        angles=read_numpy(path, "angles").data,
        image_shape=(96, 96),
        pixel_size=0.75,
        source_distance=source,
        detector_distance=detector,
        **binner.geometry(bin_size=pitch),
    )
    rows = np.arange(1)
    return sparse_views(
        "htc",
        "disc with holes, laboratory fan beam",
        everything,
        Y,
        every("htc", Y),
        train=rows,
        test=rows,
        offset=0.0,
    )


def every(name, Y):
    """Return the numbers of the views that methods are given."""
    return np.arange(0, Y.shape[1], EVERY[name])


LOADERS = {"tooth": tooth, "dls": dls, "htc": htc, "brain": brain}


def find(folder, name):
    """Return the path of a scan, or None; the folder may hold it in ``real/``."""
    for place in (Path(folder), Path(folder) / "real"):
        if (place / FILES[name]).is_file():
            return place / FILES[name]
    return None


def load(folder, name, **options):
    """Return a problem."""
    return LOADERS[name](find(folder, name), **options)
