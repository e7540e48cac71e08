"""Warnings that point at the user's line, however deep they arise."""

import sys
import warnings

# What calls us, or is called by us, between the user's line and the warning.
_BETWEEN = {"sklearn_ei", "sklearn", "skorch", "torch", "joblib", "contextlib"}


def warn(message, category=UserWarning):
    """Warn at the line outside this package that led here.

    A number of levels would be wrong as soon as scikit-learn, or we, wrap one of the
    methods between.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    category : type of Warning, default=UserWarning
        Of the warning.
    """
    frame, level = sys._getframe(1), 2
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _BETWEEN:
            break
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
