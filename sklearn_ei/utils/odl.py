"""One place that imports ODL."""

import os

import numpy as np

_VARIABLE = "SCIPY_ARRAY_API"


def import_odl():
    """Import ODL lazily, and put back what that import sets for the whole process.

    ODL 1.0 takes about half a second to import, sets the environment variable
    ``SCIPY_ARRAY_API`` to ``"1"``, which processes that are started later would
    inherit, and changes NumPy's print options. None of this should happen to a user
    who only imported a package that builds on it. SciPy reads the variable once, when
    it is imported itself: that has happened before, so that SciPy stays as it was,
    and ODL computes the same. Where the user imported ODL first, what it has set is
    theirs.
    """
    import scipy.special  # noqa: F401  reads the variable

    options, variable = np.get_printoptions(), os.environ.get(_VARIABLE)
    try:
        import odl
        from odl.applications import tomo
    finally:
        np.set_printoptions(**options)
        if variable is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = variable
    return odl, tomo
