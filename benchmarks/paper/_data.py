"""Images from a file, a folder, or the network."""

from pathlib import Path

import numpy as np

from sklearn_ei.datasets import fetch_ct100, fetch_urban100, load_image_folder

_SIZE = {"ct": 128, "inpainting": 256, "ct-fine": 256}


def read_images(problem, settings):
    """Return (n_train + n_test, H, W[, 3]) images, float32.

    Raises
    ------
    SystemExit
        In a sentence, if they cannot be had.
    """
    path = settings.source(problem)
    try:
        images = _read(problem, path, settings)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f"No images for {problem!r}: {error}") from error
    n_wanted = settings.n_train + settings.n_test
    source = "the data set" if path is None else str(path)
    if len(images) < n_wanted:
        raise SystemExit(
            f"Got {len(images)} images from {source}, but expected {n_wanted}: "
            f"--n-train {settings.n_train} and --n-test {settings.n_test}."
        )
    expected = (3,) if problem != "inpainting" else (3, 4)
    if images.ndim not in expected or (images.ndim == 4 and images.shape[-1] != 3):
        raise SystemExit(
            f"Got images of shape {images.shape} from {source}, but expected "
            f"(n_samples, H, W){' or (n_samples, H, W, 3)' * (4 in expected)}."
        )
    return images[:n_wanted]


def _read(problem, path, settings):
    if path is None:
        if problem == "ct-fine":
            raise ValueError(
                "CT100 is published at 128 × 128, but expected finer slices: pass "
                "--data FILE."
            )
        if problem == "ct":
            return fetch_ct100(data_home=settings.data_home)
        size = settings.size or _SIZE[problem]
        return fetch_urban100(image_shape=(size, size), data_home=settings.data_home)
    if path.is_dir():
        size = settings.size or _SIZE[problem]
        return load_image_folder(
            path, image_shape=(size, size), as_grey=problem != "inpainting"
        )
    images = _read_array(path)
    if images.dtype.kind in "iu":
        return images / np.float32(np.iinfo(images.dtype).max)
    return images.astype(np.float32)


def _read_array(path):
    if path.suffix == ".mat":
        from scipy.io import loadmat

        arrays = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
        names = ("DATA", "images")
    else:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        arrays, names = loaded, ("images",)
    name = next((n for n in names if n in arrays), None)
    if name is None:
        if len(arrays) != 1:
            raise ValueError(
                f"Got {Path(path).name} with {sorted(arrays)}, but expected one array, "
                f"or one called {names[-1]!r}."
            )
        (name,) = arrays
    return np.asarray(arrays[name])
