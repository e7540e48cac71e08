"""Images from a folder of files."""

import os
from pathlib import Path

import numpy as np
from sklearn.utils import check_scalar

from ..utils.params import brief, check_shape
from ._files import files_in, require
from ._tiff import read_tiff

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_TIFF_COLOURS = ("MINISBLACK", "MINISWHITE", "RGB")
_ALPHA = (1, 2)  # associated and unassociated
# Modes of Pillow with the values of grey pixels; of the others, RGB is asked for.
_GREY = ("1", "L", "F", "I", "I;16", "I;16L", "I;16B", "I;16N")


def load_image_folder(folder, *, image_shape=None, crop_shape=None, as_grey=False):
    """Load all images of a folder as one stack.

    Parameters
    ----------
    folder : str or path-like
        With PNG, JPEG, TIFF or BMP files, which are read in the order of the numbers
        in their names (2 before 10); hidden files, and folders in it, are not looked
        at.
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
        [0, 1]; others have the values of the file. Transparency is left out, and
        CMYK, palettes and the like become RGB.

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
    paths = files_in(Path(folder), _SUFFIXES)
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
    """Return one image of a file, float32, grey or RGB."""
    try:
        tiff = path.suffix.lower() in (".tif", ".tiff")
        image = _read_tiff(path) if tiff else _read_picture(path)
    except MemoryError:
        raise
    except Exception as error:  # whatever a decoder makes of a damaged file
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise OSError(
            f"{str(path)!r} is not an image that can be read: {type(error).__name__} "
            f"({reason})."
        ) from error
    n_channels = image.shape[2] if image.ndim == 3 else 3
    if image.ndim not in (2, 3) or n_channels != 3 or image.dtype.kind not in "bfiu":
        raise ValueError(
            f"Got {str(path)!r} of shape {image.shape} and type {image.dtype}, but "
            "expected one grey or colour image of real numbers."
        )
    if image.dtype.kind in "iu":
        image = image / np.float32(np.iinfo(image.dtype).max)
    image = image.astype(np.float32)
    if not as_grey or image.ndim == 2:
        return image
    from skimage.color import rgb2gray

    return rgb2gray(image)


def _read_picture(path):
    from PIL import Image

    with Image.open(path) as picture:
        mode = picture.mode
        if ";16" in str(picture.tile) and mode not in _GREY:
            raise ValueError("colours of 16 bits, of which Pillow keeps 8; use TIFF")
        if mode in ("LA", "La"):
            image = np.asarray(picture.getchannel(0))
        elif mode in (*_GREY, "RGB"):
            image = np.asarray(picture)
        else:
            image = np.asarray(picture.convert("RGB"))
    # Older versions of Pillow hand out 16 bits of grey as 32.
    return image.astype(np.uint16) if mode == "I" else image


def _read_tiff(path):
    tifffile = require("tifffile", "load_image_folder")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        inverted = page.photometric.name == "MINISWHITE"
        n_alpha = sum(kind in _ALPHA for kind in page.extrasamples)
        n_bits = page.bitspersample
    frames, axes, _ = read_tiff(tifffile, path, _TIFF_COLOURS)
    image = frames if len(frames) > 1 else frames[0]
    if n_alpha and axes[-1] == "S":
        image = image[..., :-n_alpha]
        image = image[..., 0] if image.shape[-1] == 1 else image
    if inverted and image.dtype.kind == "u":
        image = np.array(2**n_bits - 1 - image, image.dtype)
    elif inverted:
        raise ValueError(f"white is zero in values of type {image.dtype}")
    return image


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
