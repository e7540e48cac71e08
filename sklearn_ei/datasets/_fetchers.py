"""The data sets of the paper, from where its authors publish them."""

from pathlib import PurePosixPath
from urllib.parse import urlsplit

import numpy as np

from ..utils.params import brief
from ._download import RemoteFile, fetch_files
from ._folder import load_images
from ._matlab import read_matlab

_PUBLISHED = "https://raw.githubusercontent.com/edongdongchen/EI/main/dataset"
_CT100_URL = f"{_PUBLISHED}/CT/CT100_128x128.mat"
_CT100_SHA256 = "265fb8938fb3dff9e6bf80a1c221b4758b7a0ae3731f38f804f93aa262867871"
_URBAN100_URL = f"{_PUBLISHED}/Urban100"
_N_TRAIN = 90  # of 100, in the paper's split


def fetch_ct100(*, data_home=None, download_if_missing=True, url=None, sha256=None):
    """Load CT100, the chest slices of the paper (downloaded once).

    100 middle slices of CT scans of 69 patients, from TCGA-LUAD of The Cancer
    Imaging Archive. In the paper [1]_ the first 90 are for training, the last 10
    for testing.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder of downloads, in which this file is ``ct100/CT100_128x128.mat``.
        None: that of scikit-learn, see :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        If False, raise an ``OSError`` instead of using the network.
    url : str, default=None
        Another place of the file, such as a mirror. None: the repository of the
        paper's code.
    sha256 : str, default=None
        Checksum of the file at ``url``. None: of the published file; with a ``url``
        of your own whatever is found first, which is then recorded in
        ``SHA256SUMS`` beside it.

    Returns
    -------
    images : ndarray of shape (100, 128, 128), float32
        In the scale of the file.

    Raises
    ------
    ImportError
        If the file has to be downloaded and pooch is not installed.
    OSError
        If the file is missing and cannot be downloaded.
    ValueError
        If the file is not the expected one.

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning
       Beyond the Range Space", ICCV 2021.

    Examples
    --------
    >>> from sklearn_ei.datasets import fetch_ct100
    >>> images = fetch_ct100()  # doctest: +SKIP
    >>> train, test = images[:90], images[90:]  # doctest: +SKIP
    """
    if url is None:
        url, sha256 = _CT100_URL, sha256 or _CT100_SHA256
    _check_source(url, sha256)
    file = RemoteFile("CT100_128x128.mat", url, sha256, _read_ct100)
    (path,) = fetch_files(
        [file], "ct100", data_home=data_home, download_if_missing=download_if_missing
    )
    return _read_ct100(path)


def _read_ct100(path):
    images = read_matlab(path, "DATA").data
    if images.ndim != 3 or images.dtype.kind not in "fiu":
        raise ValueError(
            f"Got DATA of shape {images.shape} and type {images.dtype} in "
            f"{str(path)!r}, but expected a stack (n_samples, H, W) of real numbers."
        )
    return np.ascontiguousarray(images, dtype=np.float32)


def fetch_urban100(
    *,
    image_shape=(256, 256),
    data_home=None,
    download_if_missing=True,
    url=None,
    sha256=None,
):
    """Load Urban100, photographs of buildings (downloaded once).

    As in the paper [1]_: the middle 512 × 512 pixels of each of 100 photographs
    [2]_, resized to 256 × 256; the first 90 for training, the last 10 for testing.

    Parameters
    ----------
    image_shape : tuple (H, W), default=(256, 256)
        Shape to resize to, from the middle 512 × 512 pixels.
    data_home : str or path-like, default=None
        Folder of downloads, in which these files are
        ``urban100/train/train/img_001.png`` … ``urban100/test/test/img_100.png``.
        None: that of scikit-learn, see :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        If False, raise an ``OSError`` instead of using the network.
    url : str, default=None
        Another place of the folder with ``train`` and ``test``, such as a mirror.
        None: the repository of the paper's code.
    sha256 : dict of str to str, default=None
        Checksums by name, such as ``"img_001.png"``. Files without one are trusted
        when they are first found; their checksums are then recorded in
        ``SHA256SUMS`` beside them, and hold from then on.

    Returns
    -------
    images : ndarray of shape (100, H, W, 3), float32
        RGB in [0, 1].

    Raises
    ------
    ImportError
        If files have to be downloaded and pooch is not installed, or scikit-image
        is not, which reads them.
    OSError
        If a file is missing and cannot be downloaded.
    ValueError
        If a file is not the expected one.

    Notes
    -----
    The authors publish no checksums of these files.

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning
       Beyond the Range Space", ICCV 2021.
    .. [2] J.-B. Huang, A. Singh and N. Ahuja, "Single image super-resolution from
       transformed self-exemplars", CVPR 2015.

    Examples
    --------
    >>> from sklearn_ei.datasets import fetch_urban100
    >>> images = fetch_urban100()  # doctest: +SKIP
    """
    url = (_URBAN100_URL if url is None else url).rstrip("/")
    sums = {} if sha256 is None else sha256
    if not isinstance(sums, dict):
        raise TypeError(
            f"Got sha256={brief(sha256)}, but expected a dictionary of file names and "
            "checksums, or None."
        )
    for digest in sums.values() or [None]:
        _check_source(url, digest)
    names = [
        f"{part}/{part}/img_{number:03d}.png"
        for number in range(1, 101)
        for part in ["train" if number <= _N_TRAIN else "test"]
    ]
    unknown = sorted(map(str, set(sums) - {PurePosixPath(name).name for name in names}))
    if unknown:
        raise ValueError(
            f"Got a checksum of {unknown[0]!r}, but expected files from img_001.png to "
            "img_100.png."
        )
    files = [
        RemoteFile(
            name, f"{url}/{name}", sums.get(PurePosixPath(name).name), _load_photograph
        )
        for name in names
    ]
    paths = fetch_files(
        files,
        "urban100",
        data_home=data_home,
        download_if_missing=download_if_missing,
    )
    return load_images(paths, image_shape, crop_shape=(512, 512), as_grey=False)


def _load_photograph(path):
    load_images([path], None, crop_shape=(512, 512), as_grey=False)


def _check_source(url, sha256):
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(
            f"Got url={brief(url)}, but expected one that begins with http:// or "
            "https://."
        )
    hexadecimal = isinstance(sha256, str) and len(sha256) == 64
    if sha256 is not None and not (
        hexadecimal and set(sha256.lower()) <= set("0123456789abcdef")
    ):
        raise ValueError(
            f"Got sha256={brief(sha256)}, but expected 64 hexadecimal digits, or None."
        )
