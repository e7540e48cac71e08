"""Images from a folder of files."""

import os
from pathlib import Path

import numpy as np
from sklearn.utils import check_scalar

from ..utils.params import brief, check_shape

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def load_image_folder(folder, *, image_shape=None, crop_shape=None, as_grey=False):
    """Load all images of a folder as one stack.

    Parameters
    ----------
    folder : str or path-like
        With PNG, JPEG, TIFF or BMP files, which are read in the order of their
        names; folders in it are not looked at.
    image_shape : tuple (H, W), default=None
        Shape to resize to. None: images stay as they are, and have to be of one
        shape.
    crop_shape : tuple (H, W), default=None
        Middle part to cut out before. None: the largest with the aspect ratio of
        ``image_shape``.
    as_grey : bool, default=False
        Whether colours become grey values (luminance). Otherwise all images have
        to be grey, or all in colour.

    Returns
    -------
    images : ndarray of shape (n_samples, H, W) or (n_samples, H, W, 3), float32
        Files of integers are divided by their type's largest value, and so in
        [0, 1]; others have the values of the file. Transparency is left out.

    Raises
    ------
    ImportError
        Without scikit-image, which reads the files.
    OSError
        If the folder, or a file, cannot be read.
    TypeError, ValueError
        If a parameter is wrong, there is no image, or images do not fit together.

    Notes
    -----
    Resizing is bilinear, widened for smaller images so that nothing aliases, as
    Pillow does it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skimage.io import imsave
    >>> from sklearn_ei.datasets import load_image_folder
    >>> folder = tempfile.mkdtemp()
    >>> for name in ("a", "b"):
    ...     image = np.full((40, 60, 3), 255, dtype=np.uint8)
    ...     imsave(f"{folder}/{name}.png", image, check_contrast=False)
    >>> load_image_folder(folder, image_shape=(32, 32), as_grey=True).shape
    (2, 32, 32)
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"Got folder={brief(folder)}, but expected a path.")
    if not Path(folder).is_dir():
        raise OSError(f"Got folder={str(folder)!r}, but expected a folder that exists.")
    paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ValueError(
            f"Got the folder {str(folder)!r} without an image, but expected files "
            f"that end in {', '.join(_SUFFIXES)}."
        )
    return load_images(paths, image_shape, crop_shape=crop_shape, as_grey=as_grey)


def load_images(paths, image_shape, *, crop_shape, as_grey):
    """Return the stack of images in files; see :func:`load_image_folder`."""
    if image_shape is not None:
        image_shape = check_shape("image_shape", image_shape, n_dims=2)
    if crop_shape is not None:
        crop_shape = check_shape("crop_shape", crop_shape, n_dims=2)
    check_scalar(as_grey, "as_grey", bool)
    images = []
    for path in paths:
        image = _resize(_read(path, as_grey), image_shape, crop_shape, path)
        if images and image.shape != images[0].shape:
            raise ValueError(
                f"Got {str(path)!r} of shape {image.shape}, but expected that of the "
                f"first image, {images[0].shape}; see image_shape and as_grey."
            )
        images.append(image)
    return np.stack(images)


def _read(path, as_grey):
    # scikit-image brings imageio, whose plugins are named here: left to itself it
    # would try all of them, some of which warn.
    from imageio.v3 import imread
    from skimage.color import rgb2gray

    tiff = path.suffix.lower() in (".tif", ".tiff")
    try:
        image = np.asarray(imread(path, plugin="tifffile" if tiff else "pillow"))
    except Exception as error:  # whatever a decoder makes of a damaged file
        raise OSError(
            f"{str(path)!r} is not an image that can be read: {type(error).__name__}."
        ) from error
    n_channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or n_channels > 4 or image.dtype.kind not in "bfiu":
        raise ValueError(
            f"Got {str(path)!r} of shape {image.shape} and type {image.dtype}, but "
            "expected one grey or colour image of real numbers."
        )
    if image.dtype.kind in "iu":
        image = image / np.float32(np.iinfo(image.dtype).max)
    image = image.astype(np.float32)
    if image.ndim == 3 and n_channels in (2, 4):
        image = image[..., :-1]  # the last one is transparency
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    return rgb2gray(image) if as_grey and image.ndim == 3 else image


def _resize(image, image_shape, crop_shape, path):
    if crop_shape is None and image_shape is not None:
        scale = min(n / m for n, m in zip(image.shape[:2], image_shape, strict=True))
        crop_shape = tuple(max(1, round(m * scale)) for m in image_shape)
    if crop_shape is not None:
        surplus = [n - m for n, m in zip(image.shape[:2], crop_shape, strict=True)]
        if min(surplus) < 0:
            raise ValueError(
                f"Got {str(path)!r} of shape {image.shape}, but expected at least "
                f"crop_shape={crop_shape}."
            )
        top, left = (round(n / 2) for n in surplus)  # as torchvision
        image = image[top : top + crop_shape[0], left : left + crop_shape[1]]
    if image_shape is None or image.shape[:2] == image_shape:
        return np.ascontiguousarray(image)
    import torch
    import torch.nn.functional as F

    stack = torch.from_numpy(np.atleast_3d(image).copy()).movedim(2, 0)[None]
    resized = F.interpolate(
        stack, image_shape, mode="bilinear", antialias=True, align_corners=False
    )
    resized = resized[0].movedim(0, 2).numpy()
    return np.ascontiguousarray(resized.reshape(*image_shape, *image.shape[2:]))
