"""Optional libraries."""

import sys

import pytest

from sklearn_ei.datasets import read_tiff_stack


def test_a_library_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImportError, match=r"read_tiff_stack needs tifffile.*\[io\]"):
        read_tiff_stack(tmp_path)
