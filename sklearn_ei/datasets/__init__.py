"""Images to try things on, and files with one's own."""

from ._2detect import read_2detect
from ._dicom import read_dicom_series
from ._dicom_write import write_dicom_series
from ._fetchers import fetch_ct100, fetch_urban100
from ._folder import load_image_folder
from ._hdf5 import read_hdf5
from ._matlab import read_matlab
from ._mrc import read_mrc, write_mrc
from ._nifti import write_nifti
from ._numpy import read_numpy
from ._phantoms import make_thorax_phantoms
from ._tiff import read_tiff_stack, write_tiff

__all__ = [
    "fetch_ct100",
    "fetch_urban100",
    "load_image_folder",
    "make_thorax_phantoms",
    "read_2detect",
    "read_dicom_series",
    "read_hdf5",
    "read_matlab",
    "read_mrc",
    "read_numpy",
    "read_tiff_stack",
    "write_dicom_series",
    "write_mrc",
    "write_nifti",
    "write_tiff",
]
