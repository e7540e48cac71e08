"""Files that other packages bring along."""

from ._libraries import dicom, folder_of, hdf5, matlab, numpy_file, picture, tiff


def public_cases(folder):
    import h5py

    for path in sorted(folder_of("pydicom", "data", "test_files").rglob("*")):
        if path.is_file() and path.suffix in (".dcm", ""):
            yield dicom(path)
    for path in sorted(folder_of("scipy.io.matlab", "tests", "data").glob("*.mat")):
        yield from matlab(path)
    for path in sorted(folder_of("skimage", "data").iterdir()):
        if path.suffix in (".png", ".jpg", ".jpeg", ".tif", ".bmp"):
            yield picture(path, folder)
        if path.suffix in (".tif", ".tiff"):
            yield tiff(path)
    for path in sorted(folder_of("h5py", "tests", "data_files").glob("*.h5")):
        with h5py.File(path) as file:
            names = list(file)
        for name in names:
            yield hdf5(path, name)
    for package in ("sklearn", "scipy", "numpy", "skimage", "matplotlib"):
        for path in sorted(folder_of(package).rglob("*.np[yz]")):
            yield from numpy_file(path)
