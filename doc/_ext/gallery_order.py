"""The order of the gallery: plot_2 comes before plot_10."""

import re
from pathlib import Path

from sphinx_gallery.sorting import FileNameSortKey


class ByNumber(FileNameSortKey):
    """Sort examples by the number in their file's name."""

    def __call__(self, filename):
        """Return the number."""
        return int(re.search(r"\d+", Path(filename).name).group())
