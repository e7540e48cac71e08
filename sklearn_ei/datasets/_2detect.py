"""2DeteCT: real sinograms of a laboratory's fan beam, as they are published."""

import re
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_scalar

from ..operators import FanBeamCT
from ..preprocessing import DetectorBinner, transmission_to_attenuation
from ..utils.on_demand import MappedStack
from ..utils.params import brief, check_shape
from ._files import check_fits, existing, require
from ._tiff import read_tiff

# Lengths in mm; where they come from is in the docstring of read_2detect.
_N_VIEWS, _N_BINS, _BIN_SIZE = 3600, 1912, 0.0748
_SOURCE_TO_AXIS, _SOURCE_TO_DETECTOR = 431.019989, 529.000488
_FIELD_OF_VIEW = _N_BINS * _BIN_SIZE * _SOURCE_TO_AXIS / _SOURCE_TO_DETECTOR
_SIDE = 1024  # of the published reconstructions, which cover the field of view
# Bins by which the published reconstruction shifts the sinograms of each detector.
_FIRST_DETECTOR = (range(1, 2831), range(5521, 5871))
_SHIFT = {1: 2, 2: 0}
_READINGS = ("dark.tif", "flat1.tif", "flat2.tif", "sinogram.tif")
_RECONSTRUCTION = "reconstruction.tif"
_LEAST_TRANSMISSION = 1e-6
_RAW = "the raw archives, from doi:10.5281/zenodo.8014757 on"
_RECONSTRUCTIONS = "those of reconstructions, from doi:10.5281/zenodo.8017582 on"


def read_2detect(
    path,
    slices=None,
    mode=2,
    *,
    keep_every=1,
    factor=2,
    image_shape=(_SIDE, _SIDE),
    references=None,
    reference_mode=2,
    lazy=False,
):
    """Read sinograms of 2DeteCT, and their operator, from the published folders.

    5000 slices of real mixtures, and others out of their distribution, each scanned in
    three modes [1]_. Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        Folder into which the raw archives were unpacked. It has
        ``slice00001/mode1/sinogram.tif`` beside ``dark.tif``, ``flat1.tif`` and
        ``flat2.tif``, and so on.
    slices : array-like of int, default=None
        Numbers of slices. None: all that are there. Those of one detector: it was
        exchanged between slices 2830 and 2831.
    mode : {1, 2, 3}, default=2
        Of acquisition, see Notes.
    keep_every : int, default=1
        Which views to read: every so many of 3600.
    factor : int, default=2
        How many of the 1912 bins become one, before the logarithm; 2 as in the
        published reconstructions.
    image_shape : tuple (H, W), default=(1024, 1024)
        Of images over the whole field of view, 116.5 mm a side: squares whose side
        divides 1024.
    references : str or path-like, default=None
        Folder into which the archives of reconstructions were unpacked, which may be
        ``path``; it has ``slice00001/mode2/reconstruction.tif``. None: not read.
    reference_mode : {1, 2, 3}, default=2
        Mode of these reconstructions.
    lazy : bool, default=False
        Whether to leave the data in the files. What is returned is then indexed like
        an array, and read batch by batch by estimators.

    Returns
    -------
    scan : Bunch
        - ``measurements`` of shape (n_slices, n_views, n_bins), float32: line
          integrals of the attenuation;
        - ``operator``, the :class:`~sklearn_ei.operators.FanBeamCT` that measured
          them, in mm;
        - ``images`` of shape (n_slices, H, W), float32, published reconstructions in
          1/mm on the operator's pixels, or None;
        - ``slices`` of shape (n_slices,), their numbers;
        - ``air_counts`` of shape (n_slices,), how much a bin reads without an object,
          on average, less the dark field;
        - ``filenames``, of the sinograms.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If a folder or a file is missing, damaged or not of the published shape;
        slices are of both detectors; a parameter is out of range; or the data is
        larger than memory.

    Notes
    -----
    Figures are those of the published settings and scripts [2]_: 3601 views of 1912
    bins of 0.0748 mm over 360°, of which the last one repeats the first and is left
    out; 431.019989 mm from the source to the axis and 529.000488 mm to the detector.
    The mean of both flat fields is taken; transmissions below 10⁻⁶ are set to it, with
    a warning. Images lie as in the ASTRA toolbox, with which the reconstructions were
    made (accelerated gradient descent, 100 steps, x ≥ 0).

    The detector is off the centre: ``detector_offset`` is −0.1496 mm for the first
    one (slices 1 to 2830 and 5521 to 5870) and 0 for the second, as in the published
    reconstructions, which shift whole bins of 0.1496 mm. At full resolution the scripts
    shift by 2.75 and 1 bins of 0.0748 mm: ``detector_offset=-2.75 * 0.0748``.

    Reconstructions are published in units of their pixel, and one pixel off the middle
    in both directions (rows and columns 511 to 1534 of 2048). Both is undone here; the
    last row and column, which they lack, repeat the ones before.

    Modes 1 and 2 have 90 kV and a filter of tin, copper and aluminium, one with 3 W
    and the other with 90 W; mode 3 has 60 kV, 60 W and no filter. Which of the first
    two is the faint one, sources do not agree upon: the settings files of [2]_ say
    mode 2, its segmentations and the benchmark [3]_, which takes reconstructions of
    mode 2 for ground truth and mode 1 for low dose, say mode 1. ``air_counts`` tells.

    References
    ----------
    .. [1] M. B. Kiss, S. B. Coban, K. J. Batenburg, T. van Leeuwen and F. Lucka,
       "2DeteCT - A large 2D expandable, trainable, experimental Computed Tomography
       dataset for machine learning", Scientific Data 10, 576 (2023),
       doi:10.1038/s41597-023-02484-6. Raw data: doi:10.5281/zenodo.8014757,
       8014765, 8014786, 8014828, 8014873 (a thousand slices each) and 8014906 (5521
       to 6370); reconstructions: 8017582, 8017603, 8017611, 8017617, 8017623 and
       8017652.
    .. [2] M. B. Kiss, https://github.com/mbkiss/2DeteCTcodes,
       ``Reconstructions_2DeteCT.py`` and ``Mode1_settings.csv`` to 3.
    .. [3] M. B. Kiss et al., "Benchmarking Learned Algorithms for Computed Tomography
       Image Reconstruction Tasks", arXiv:2412.08350.

    Examples
    --------
    >>> from sklearn_ei.datasets import read_2detect
    >>> scan = read_2detect("2DeteCT", range(1, 101), keep_every=10)  # doctest: +SKIP
    >>> images = scan.operator.reconstruct(scan.measurements)  # doctest: +SKIP
    """
    require("tifffile", "read_2detect")
    check_scalar(mode, "mode", Integral, min_val=1, max_val=3)
    check_scalar(reference_mode, "reference_mode", Integral, min_val=1, max_val=3)
    check_scalar(keep_every, "keep_every", Integral, min_val=1, max_val=_N_VIEWS)
    check_scalar(factor, "factor", Integral, min_val=1, max_val=_N_BINS)
    check_scalar(lazy, "lazy", bool)
    image_shape = check_shape("image_shape", image_shape, n_dims=2)
    side = image_shape[0]
    if image_shape != (side, side) or _SIDE % side:
        raise ValueError(
            f"Got image_shape={image_shape}, but expected a square whose side divides "
            f"{_SIDE}."
        )
    folder = existing(path, kind="folder")
    numbers = _numbers(folder, slices, mode)
    _refuse_missing(folder, numbers, mode, _READINGS, _RAW)
    if references is not None:
        references = existing(references, "references", kind="folder")
        _refuse_missing(
            references, numbers, reference_mode, [_RECONSTRUCTION], _RECONSTRUCTIONS
        )
    angles = np.arange(0, _N_VIEWS, keep_every) * (360 / _N_VIEWS)
    binner = DetectorBinner(factor).fit(np.zeros((1, 1, _N_BINS)))
    geometry = binner.geometry(_BIN_SIZE, -_SHIFT[_detector(numbers)] * _BIN_SIZE)
    operator = FanBeamCT(
        angles=angles,
        image_shape=image_shape,
        pixel_size=_FIELD_OF_VIEW / side,
        source_distance=_SOURCE_TO_AXIS,
        detector_distance=_SOURCE_TO_DETECTOR - _SOURCE_TO_AXIS,
        **geometry,
    )
    fields = [_fields(_place(folder, number, mode)) for number in numbers]
    measurements = MappedStack(
        numbers,
        partial(_sinograms, folder, mode, keep_every, factor),
        (len(angles), geometry["n_bins"]),
    )
    images = None
    if references is not None:
        images = MappedStack(
            numbers, partial(_images, references, reference_mode, side), image_shape
        )
    if not lazy:
        check_fits(folder, measurements.shape, np.float32, "sinograms")
        measurements = measurements[:]
        images = None if images is None else images[:]
    return Bunch(
        measurements=measurements,
        operator=operator,
        images=images,
        slices=numbers,
        air_counts=np.array([(flat - dark).mean() for dark, flat in fields]),
        filenames=[str(_place(folder, n, mode) / "sinogram.tif") for n in numbers],
    )


def _place(folder, number, mode):
    """Return the folder of a slice and a mode."""
    return folder / f"slice{number:05d}" / f"mode{mode}"


def _numbers(folder, slices, mode):
    """Return the numbers of the slices to read, all that are there for None."""
    if slices is None:
        names = (
            re.fullmatch(r"slice(\d{5})", entry.name) for entry in folder.iterdir()
        )
        found = sorted(int(name[1]) for name in names if name)
        numbers = [n for n in found if _place(folder, n, mode).is_dir()]
        if not numbers:
            raise FileNotFoundError(
                f"Got {str(folder)!r} without a folder slice00001/mode{mode} or the "
                f"like, but expected 2DeteCT: unpack {_RAW}."
            )
        return np.array(numbers)
    try:
        numbers = np.asarray(slices)
    except ValueError:  # ragged
        numbers = np.array(None)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not numbers.size:
        raise ValueError(
            f"Got slices={brief(slices)}, but expected numbers of slices, such as "
            "range(1, 101), or None."
        )
    return numbers


def _refuse_missing(folder, numbers, mode, names, where):
    for number in numbers:
        for name in names:
            file = _place(folder, number, mode) / name
            if not file.is_file():
                raise FileNotFoundError(
                    f"Got {str(folder)!r} without {file.relative_to(folder)}, but "
                    f"expected {', '.join(names)} of every slice: unpack {where}, or "
                    "name the slices that are there."
                )


def _detector(numbers):
    """Return which detector took the slices."""
    first = np.array([any(n in part for part in _FIRST_DETECTOR) for n in numbers])
    if first.any() and not first.all():
        raise ValueError(
            f"Got slices {numbers[first][0]} and {numbers[~first][0]}, which different "
            "detectors took, but expected one; read 1 to 2830 and 5521 to 5870 apart "
            "from the others."
        )
    return 1 if first.all() else 2


def _fields(place):
    """Return dark and flat field, float64, each of shape (1, n_bins)."""
    dark, before, after = (
        _read(place / name, (1, _N_BINS)).astype(float) for name in _READINGS[:3]
    )
    return dark, (before + after) / 2


def _sinograms(folder, mode, keep_every, factor, numbers, _):
    """Return attenuations of slices."""
    return np.concatenate(
        [_sinogram(_place(folder, n, mode), keep_every, factor) for n in numbers]
    )


def _sinogram(place, keep_every, factor):
    counts = _read(place / "sinogram.tif", (_N_VIEWS + 1, _N_BINS))
    binner = DetectorBinner(factor)
    binned = binner.fit_transform(counts[np.newaxis, :_N_VIEWS:keep_every])
    dark, flat = (binner.transform_field(field) for field in _fields(place))
    return transmission_to_attenuation(
        binned, dark, flat, min_transmission=_LEAST_TRANSMISSION
    )


def _images(folder, mode, side, numbers, _):
    """Return published reconstructions of slices, in 1/mm on centred pixels."""
    images = []
    for number in numbers:
        file = _place(folder, number, mode) / _RECONSTRUCTION
        values = np.pad(_read(file, (_SIDE, _SIDE))[1:, 1:], (0, 1), mode="edge")
        step = _SIDE // side
        values = values.reshape(side, step, side, step).mean(axis=(1, 3), dtype=float)
        images.append(values / (_FIELD_OF_VIEW / _SIDE))
    return np.array(images, np.float32)


def _read(file, shape):
    """Return the only frame of a TIFF file, if it has a shape."""
    tifffile = require("tifffile", "read_2detect")
    frames, _, _ = read_tiff(tifffile, file, ("MINISBLACK",))
    if frames.shape != (1, *shape) or frames.dtype.kind not in "uif":
        raise ValueError(
            f"Got {str(file)!r} with {len(frames)} frame(s) of shape "
            f"{frames.shape[1:]}, {frames.dtype}, but expected one of shape {shape}, "
            "as 2DeteCT is published."
        )
    return frames[0]
