"""Learn to reconstruct images from measurements alone, in scikit-learn's idiom."""

import importlib

__version__ = "0.1.0.dev0"

# torch takes a second to import and is not needed to look around: public names
# are imported when they are first used.
_SUBMODULES = (
    "datasets",
    "groups",
    "identifiability",
    "inspection",
    "losses",
    "metrics",
    "model_selection",
    "networks",
    "noise",
    "operators",
    "persistence",
    "preprocessing",
)
_LAZY = {
    "AlphaCurveDisplay": "inspection",
    "DeepImagePriorReconstructor": "reconstruction",
    "DivergenceError": "training",
    "ConformalReconstructor": "reconstruction",
    "EquivariantReconstructor": "reconstruction",
    "EquivariantReconstructorCV": "reconstruction",
    "GroupRankDisplay": "inspection",
    "GroupRankReport": "identifiability",
    "GroupRankWarning": "identifiability",
    "ModelFileError": "persistence",
    "PseudoInverseReconstructor": "reconstruction",
    "ReconstructionDisplay": "inspection",
    "TikhonovReconstructor": "reconstruction",
    "TotalVariationReconstructor": "reconstruction",
    "TrainingCurveDisplay": "inspection",
    "UncertaintyDisplay": "inspection",
    "check_group_rank": "identifiability",
    "check_range_invariance": "identifiability",
    "export_onnx": "persistence",
    "load": "persistence",
    "save": "persistence",
}

__all__ = [
    "AlphaCurveDisplay",
    "ConformalReconstructor",
    "DeepImagePriorReconstructor",
    "DivergenceError",
    "EquivariantReconstructor",
    "EquivariantReconstructorCV",
    "GroupRankDisplay",
    "GroupRankReport",
    "GroupRankWarning",
    "ModelFileError",
    "PseudoInverseReconstructor",
    "ReconstructionDisplay",
    "TikhonovReconstructor",
    "TotalVariationReconstructor",
    "TrainingCurveDisplay",
    "UncertaintyDisplay",
    "__version__",
    "check_group_rank",
    "check_range_invariance",
    "datasets",
    "export_onnx",
    "groups",
    "identifiability",
    "inspection",
    "load",
    "losses",
    "metrics",
    "model_selection",
    "networks",
    "noise",
    "operators",
    "persistence",
    "preprocessing",
    "save",
]


def __getattr__(name):
    if name in _LAZY:
        module = importlib.import_module(f".{_LAZY[name]}", __name__)
        return getattr(module, name)
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
