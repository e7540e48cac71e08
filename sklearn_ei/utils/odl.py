"""One place that imports ODL."""

import numpy as np


def import_odl():
    """Import ODL lazily and leave NumPy's print options as they were.

    Importing ODL takes about half a second and switches NumPy's global print
    options to a legacy mode; neither should happen to a user who only imported
    a package that builds on it.
    """
    options = np.get_printoptions()
    try:
        import odl
        from odl.applications import tomo
    finally:
        np.set_printoptions(**options)
    return odl, tomo
