"""One place that looks at what users pass as measurements and images."""

import numpy as np
from sklearn.utils.validation import check_array, validate_data


def _check_finite(array, name, what):
    finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if finite.all():
        return
    bad = np.flatnonzero(~finite)
    kind = "NaN" if np.isnan(array[bad[0]]).any() else "infinity (inf)"
    others = f" and {len(bad) - 1} other sample(s)" if len(bad) > 1 else ""
    raise ValueError(
        f"{name} contains {kind} in sample {bad[0]}{others}, but expected finite "
        f"{what}."
    )


def _check_stack(stack, name, what, estimator_name):
    """Return a finite float32 stack with samples along its first axis."""
    dtype = np.asanyarray(stack).dtype
    if dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: got {name} of dtype {dtype}, but expected "
            "real numbers; pass real and imaginary parts as channels, "
            "np.stack([z.real, z.imag], axis=-1)."
        )
    if np.ma.is_masked(stack):
        raise ValueError(
            f"{name} has masked entries, but expected values everywhere; lost pixels "
            "belong into Inpainting(mask=...)."
        )
    with np.errstate(over="ignore"):  # float64 beyond float32: reported as inf below
        checked = check_array(
            stack,
            dtype=np.float32,
            allow_nd=True,
            ensure_all_finite=False,
            input_name=name,
            estimator=estimator_name,
        )
    _check_finite(checked, name, what)
    return checked


def check_measurements(estimator, Y, reset):
    """Validate measurements passed to an estimator.

    Parameters
    ----------
    estimator : estimator
        Nothing is set on it; with ``reset=False`` its ``n_features_in_`` and
        ``measurement_shape_`` must be those of ``Y``.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Real measurements.
    reset : bool
        True in ``fit``, False where the estimator is fitted already.

    Returns
    -------
    Y : ndarray of float32

    Raises
    ------
    TypeError, ValueError
        If ``Y`` is not a numeric stack, is complex or empty, has NaN or
        infinity (the first bad sample is named), or another shape than in fit.
    """
    checked = _check_stack(Y, "Y", "measurements", type(estimator).__name__)
    if not reset:
        shape = estimator.measurement_shape_
        # Plain signals are left to scikit-learn, with the words it uses.
        plain = len(shape) == checked.ndim - 1 == 1
        if checked.shape[1:] != shape and not plain:
            raise ValueError(
                f"Y has measurements of shape {checked.shape[1:]}, but "
                f"{type(estimator).__name__} was fitted on measurements of shape "
                f"{shape}."
            )
        validate_data(estimator, X=Y, reset=False, skip_check_array=True)
    return checked


def record_features(estimator, Y):
    """Set ``n_features_in_`` (and names), once ``Y`` has passed every check."""
    validate_data(estimator, X=Y, reset=True, skip_check_array=True)


def check_images(x, n_samples, sample_shape, estimator_name, *, missing_ok=False):
    """Validate ground-truth images that belong to measurements.

    Parameters
    ----------
    x : array-like of shape (n_samples, *sample_shape)
        Real images.
    n_samples : int
        Number of measurements.
    sample_shape : tuple of int or None
        Image shape, channels last; None while it is open.
    estimator_name : str
        For the message.
    missing_ok : bool, default=False
        Whether images may be missing: those that are NaN throughout.

    Returns
    -------
    x : ndarray of float32
        Missing images are NaN.
    """
    missing = _missing_images(x) if missing_ok else None
    if missing is not None:
        x = np.array(x, dtype=np.float32)
        x[missing] = 0
    checked = _check_stack(x, "y", "images", estimator_name)
    if len(checked) != n_samples:
        raise ValueError(
            f"y has {len(checked)} images, but Y has {n_samples} measurements; "
            "expected one image for each measurement."
        )
    if sample_shape is not None and checked.shape[1:] != tuple(sample_shape):
        raise ValueError(
            f"y has images of shape {checked.shape[1:]}, but {estimator_name} expected "
            f"images of shape {tuple(sample_shape)}."
        )
    if missing is not None:
        if missing.all():
            raise ValueError(
                f"y has no image for any of its {n_samples} samples (all are NaN), but "
                f"{estimator_name} expected at least one."
            )
        checked[missing] = np.nan
    return checked


def _missing_images(x):
    """Return which images of a stack are NaN throughout, or None if none are."""
    array = np.asarray(x)
    if array.dtype.kind != "f" or array.ndim < 2 or not array.size:
        return None
    missing = np.isnan(array.reshape(len(array), -1)).all(axis=1)
    return missing if missing.any() else None
