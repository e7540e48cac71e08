"""NIfTI volumes."""

import gzip

import numpy as np

from ..utils.files import write_atomically
from ..utils.params import brief, check_real
from ..utils.stack_check import check_stack
from ._files import check_output, check_spacing, require


def write_nifti(
    path, images, *, pixel_spacing=(1.0, 1.0), slice_spacing=1.0, affine=None
):
    """Write a stack of slices as one NIfTI volume.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.nii`` or ``.nii.gz``; replaced if it exists; written completely
        or not at all.
    images : array-like of shape (n_slices, H, W)
        Slices, the first one at the patient's feet, rows from front to back,
        columns from the patient's right to left, as a CT slice is shown.
    pixel_spacing : tuple (height, width), default=(1.0, 1.0)
        Of a pixel in mm.
    slice_spacing : float, default=1.0
        Between slices, in mm.
    affine : array-like of shape (4, 4), default=None
        From (column, row, slice) to mm (right, anterior, superior), such as the
        ``affine`` of :func:`read_dicom_series`. None: from the spacings.

    Raises
    ------
    TypeError, ValueError
        If there is no such folder, or images are no finite, real stack.
    """
    nibabel = require("nibabel", "write_nifti")
    check_output(path, (".nii", ".nii.gz"))
    checked = check_stack(images, "images", "images")
    if checked.ndim != 3:
        raise ValueError(
            f"Got images of shape {checked.shape}, but expected (n_slices, H, W)."
        )
    if affine is None:
        height, width = check_spacing("pixel_spacing", pixel_spacing, 2)
        check_real(
            "slice_spacing", slice_spacing, min_val=0, include_boundaries="neither"
        )
        affine = np.diag([-width, -height, slice_spacing, 1.0])
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ValueError(
            f"Got affine={brief(affine)}, but expected a finite array of shape (4, 4)."
        )
    volume = nibabel.Nifti1Image(np.ascontiguousarray(checked.T), affine)
    volume.header.set_xyzt_units("mm")
    content = volume.to_bytes()
    if str(path).lower().endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    write_atomically(path, [content])
