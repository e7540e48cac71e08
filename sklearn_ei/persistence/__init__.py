"""Save and load estimators without pickle, and export their network."""

from ..utils.tensor_file import ModelFileError
from ._model import load, save
from ._onnx import export_onnx

__all__ = ["ModelFileError", "export_onnx", "load", "save"]
