"""NIfTI volumes."""

import numpy as np
import pytest

from sklearn_ei.datasets import write_nifti

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def images():
    return np.random.default_rng(0).random((12, 6, 5)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_round_trip(tmp_path, images, suffix):
    path = tmp_path / f"volume{suffix}"
    write_nifti(path, images, pixel_spacing=(2.0, 1.5), slice_spacing=3.0)
    read = nibabel.load(path)
    np.testing.assert_array_equal(read.get_fdata(), images.T)
    assert read.header.get_zooms() == (1.5, 2.0, 3.0)
    # Columns go to the patient's left, rows to the back, slices to the head.
    assert nibabel.aff2axcodes(read.affine) == ("L", "P", "S")
    affine = np.array([[0, 2, 0, 5], [1, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    write_nifti(path, images, affine=affine)
    np.testing.assert_allclose(nibabel.load(path).affine, affine)


def test_nifti_that_is_refused(tmp_path, images):
    for options, message in (
        ({"affine": np.eye(3)}, "Got affine="),
        ({"affine": np.full((4, 4), np.nan)}, "Got affine="),
        ({"slice_spacing": 0}, "slice_spacing"),
        ({"pixel_spacing": (1,)}, "pixel_spacing"),
    ):
        with pytest.raises(ValueError, match=message):
            write_nifti(tmp_path / "x.nii", images, **options)
    with pytest.raises(ValueError, match=r"ends in \.nii or \.nii\.gz"):
        write_nifti(tmp_path / "x.mha", images)
    with pytest.raises(ValueError, match="n_slices"):
        write_nifti(tmp_path / "x.nii", images[..., None])
    assert not list(tmp_path.iterdir())
