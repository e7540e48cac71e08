"""Learn to reconstruct images from measurements alone, in scikit-learn's idiom."""

import importlib
from typing import TYPE_CHECKING

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
    "VolumeDisplay": "inspection",
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
    "VolumeDisplay",
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

# Type checkers and editors do not run __getattr__.
if TYPE_CHECKING:
    from . import (
        datasets as datasets,
    )
    from . import (
        groups as groups,
    )
    from . import (
        identifiability as identifiability,
    )
    from . import (
        inspection as inspection,
    )
    from . import (
        losses as losses,
    )
    from . import (
        metrics as metrics,
    )
    from . import (
        model_selection as model_selection,
    )
    from . import (
        networks as networks,
    )
    from . import (
        noise as noise,
    )
    from . import (
        operators as operators,
    )
    from . import (
        persistence as persistence,
    )
    from . import (
        preprocessing as preprocessing,
    )
    from .identifiability import (
        GroupRankReport as GroupRankReport,
    )
    from .identifiability import (
        GroupRankWarning as GroupRankWarning,
    )
    from .identifiability import (
        check_group_rank as check_group_rank,
    )
    from .identifiability import (
        check_range_invariance as check_range_invariance,
    )
    from .inspection import (
        AlphaCurveDisplay as AlphaCurveDisplay,
    )
    from .inspection import (
        GroupRankDisplay as GroupRankDisplay,
    )
    from .inspection import (
        ReconstructionDisplay as ReconstructionDisplay,
    )
    from .inspection import (
        TrainingCurveDisplay as TrainingCurveDisplay,
    )
    from .inspection import (
        UncertaintyDisplay as UncertaintyDisplay,
    )
    from .inspection import (
        VolumeDisplay as VolumeDisplay,
    )
    from .persistence import (
        ModelFileError as ModelFileError,
    )
    from .persistence import (
        export_onnx as export_onnx,
    )
    from .persistence import (
        load as load,
    )
    from .persistence import (
        save as save,
    )
    from .reconstruction import (
        ConformalReconstructor as ConformalReconstructor,
    )
    from .reconstruction import (
        DeepImagePriorReconstructor as DeepImagePriorReconstructor,
    )
    from .reconstruction import (
        EquivariantReconstructor as EquivariantReconstructor,
    )
    from .reconstruction import (
        EquivariantReconstructorCV as EquivariantReconstructorCV,
    )
    from .reconstruction import (
        PseudoInverseReconstructor as PseudoInverseReconstructor,
    )
    from .reconstruction import (
        TikhonovReconstructor as TikhonovReconstructor,
    )
    from .reconstruction import (
        TotalVariationReconstructor as TotalVariationReconstructor,
    )
    from .training import (
        DivergenceError as DivergenceError,
    )


def __getattr__(name):
    if name in _LAZY:
        module = importlib.import_module(f".{_LAZY[name]}", __name__)
        return getattr(module, name)
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
