"""Scans in HDF5 files, in layouts that are in use, or any other by name."""

import numpy as np
from sklearn.utils import Bunch

from ..utils.params import brief
from ._hdf5_file import Hdf5File
from ._hdf5_stack import Hdf5Stack
from ._hdf5_tomography import read_dxchange, read_nxtomo

# LoDoPaB-CT: 362² pixels over 26 cm, 1000 views at the middle of equal parts of the
# half circle, 513 bins over the diagonal; attenuations divided by 81.35858 per metre.
_LODOPAB_SHAPES = {(1000, 513): "measurements", (362, 362): "images"}
_LODOPAB_SIDE = 0.26
_LODOPAB_MU_MAX = 81.35858
_TOMOGRAPHY = {"dxchange": read_dxchange, "nxtomo": read_nxtomo}


def read_hdf5(path, layout="dxchange", *, samples=None, lazy=False):
    """Read a scan from an HDF5 file.

    Parameters
    ----------
    path : str or path-like
        The file.
    layout : str, default="dxchange"
        ``"dxchange"``: Data Exchange [2]_, as synchrotrons write it, ``/exchange/data``
        (views, rows, bins), ``data_white``, ``data_dark``, ``theta``.
        ``"nxtomo"``: NeXus [3]_, frames of one detector whose ``image_key`` tells
        projections, flats and darks.
        ``"lodopab"``: the data set ``data`` of LoDoPaB-CT, of observations or of
        ground truth.
        ``"fastmri"``: ``kspace``, ``mask``, ``reconstruction_rss`` (or ``_esc``)
        [4]_.
        Else the name of a data set, such as ``"/entry/data"``, with samples along
        its first axis.
    samples : slice, default=None
        Which samples to read, for ``"dxchange"`` and ``"nxtomo"`` detector rows;
        None for all.
    lazy : bool, default=False
        Whether to leave the data in the file. What is returned has ``shape`` and
        ``dtype``, is indexed like an array, can be split and sent to other
        processes by scikit-learn, and is read batch by batch by estimators;
        ``close()`` closes the file. Rows of a detector are spread over all frames,
        so that reading them one by one is slow where frames are stored whole.

    Returns
    -------
    scan : Bunch
        With ``filenames`` and

        - ``"dxchange"``, ``"nxtomo"``: ``measurements`` of shape (n_rows, n_views,
          n_bins), one sinogram of intensities for each row of the detector;
          ``flat`` and ``dark`` of shape (n_rows, 1, n_bins), means over frames, or
          None if there is no frame; and ``angles`` of shape (n_views,) in degrees,
          or None. ``"nxtomo"`` has also ``bin_size`` in mm, or None;
        - ``"lodopab"``: ``measurements`` of shape (n, 1000, 513) or ``images`` of
          shape (n, 362, 362); ``angles`` in degrees, ``bin_size``, ``pixel_size``
          in m, ``image_shape``; ``mu_max``, by which the attenuations in 1/m were
          divided;
        - ``"fastmri"``: ``kspace``, complex, of shape (n_slices[, n_coils], H, W);
          ``mask`` of shape (W,), boolean, or None; ``images`` or None;
        - a name: ``data``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file or data set; shapes do not fit the layout; flats or
        angles are NaN; angles are in units that are not degrees, rad or mrad; a part
        of the data was never written, or is in another file that is missing or not
        in the folder of this one, or in external storage; or the data is larger
        than memory.

    Warns
    -----
    UserWarning
        If angles without units are less than 2π apart: radians are likely.

    Notes
    -----
    Links and virtual data sets are followed to files in the folder of ``path`` and
    below. HDF5 itself would read zeros where a part is missing.

    LoDoPaB-CT [1]_ was made with ODL, whose images have x along the first axis:
    those of ``ParallelBeamCT`` are ``np.rot90(image)`` of its ground truth.

    References
    ----------
    .. [1] J. Leuschner, M. Schmidt, D. O. Baguer and P. Maass, "LoDoPaB-CT, a
       benchmark dataset for low-dose computed tomography reconstruction",
       Scientific Data 8, 109 (2021).
    .. [2] F. De Carlo et al., "Scientific data exchange: a schema for HDF5-based
       storage of raw and analyzed data", Journal of Synchrotron Radiation 21 (2014).
    .. [3] NeXus, application definition NXtomo,
       https://manual.nexusformat.org/classes/applications/NXtomo.html.
    .. [4] F. Knoll et al., "fastMRI: a publicly available raw k-space and DICOM
       dataset", Radiology: Artificial Intelligence 2 (2020).

    Examples
    --------
    >>> from sklearn_ei.datasets import read_hdf5
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> scan = read_hdf5("scan.h5")  # doctest: +SKIP
    >>> operator = ParallelBeamCT(angles=scan.angles)  # doctest: +SKIP
    """
    if not isinstance(layout, str) or not layout:
        raise TypeError(
            f"Got layout={brief(layout)}, but expected 'dxchange', 'nxtomo', "
            "'lodopab', 'fastmri' or the name of a data set."
        )
    if samples is not None and not isinstance(samples, slice):
        raise TypeError(f"Got samples={brief(samples)}, but expected a slice or None.")
    if lazy and samples is not None:
        raise ValueError(
            f"Got lazy=True with samples={samples}, but expected None: what is left in "
            "the file can be indexed."
        )
    with Hdf5File(path, "read_hdf5") as file:
        if layout in _TOMOGRAPHY:
            scan = _TOMOGRAPHY[layout](file, samples, lazy)
        elif layout == "lodopab":
            scan = _lodopab(_stack(file, "data", samples, lazy), file.path)
        elif layout == "fastmri":
            scan = _fastmri(file, samples, lazy)
        else:
            scan = Bunch(data=_stack(file, layout, samples, lazy, kinds="biufc"))
    scan.filenames = [str(file.path)]
    return scan


def _stack(file, name, samples, lazy, kinds="biuf"):
    """Return the samples of a data set, read or left in the file."""
    data = file.data(name, kinds=kinds)
    if data.ndim < 2:
        raise ValueError(
            f"Got {name!r} of shape {data.shape} in {str(file.path)!r}, but expected a "
            "stack with samples along the first axis."
        )
    if not lazy:
        return file.read(data, samples=samples)
    file.check(data)
    return Hdf5Stack(data.file.filename, data.name)


def _fastmri(file, samples, lazy):
    kspace = _stack(file, "kspace", samples, lazy, kinds="c")
    if kspace.ndim not in (3, 4):
        raise ValueError(
            f"Got kspace of shape {kspace.shape} in {str(file.path)!r}, but expected "
            "(n_slices, H, W) or (n_slices, n_coils, H, W)."
        )
    mask = file.data("mask", optional=True)
    if mask is not None:
        values = np.ravel(file.read(mask))
        if values.shape != kspace.shape[-1:] or not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"Got mask of shape {mask.shape} in {str(file.path)!r}, but expected "
                f"{kspace.shape[-1]} values of 0 and 1, one for each column of kspace."
            )
        mask = values.astype(bool)
    images = None
    for kind in ("rss", "esc"):
        if file.data(f"reconstruction_{kind}", optional=True) is not None:
            images = _stack(file, f"reconstruction_{kind}", samples, lazy)
            break
    return Bunch(kspace=kspace, mask=mask, images=images)


def _lodopab(data, path):
    kind = _LODOPAB_SHAPES.get(tuple(data.shape[1:]))
    if kind is None or data.ndim != 3:
        raise ValueError(
            f"Got data of shape {data.shape} in {str(path)!r}, but expected sinograms "
            "(n, 1000, 513) or images (n, 362, 362)."
        )
    side = _LODOPAB_SIDE
    return Bunch(
        **{kind: data},
        angles=(np.arange(1000) + 0.5) * 0.18,
        bin_size=side * np.sqrt(2) / 513,
        pixel_size=side / 362,
        image_shape=(362, 362),
        mu_max=_LODOPAB_MU_MAX,
    )
