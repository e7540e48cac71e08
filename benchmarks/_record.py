"""What every benchmark writes beside its figures."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

# Recorded results lie beside the scripts; a run that is only to show that a script
# works writes elsewhere.
RESULTS = Path(os.environ.get("SKLEARN_EI_RESULTS", Path(__file__).parent / "results"))


def machine():
    """Describe the machine and the versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next(
            (ln.split(":")[1].strip() for ln in lines if "model name" in ln), cpu
        )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": gpu,
        "python": platform.python_version(),
        "versions": {
            name: version(name)
            for name in (
                "sklearn_ei",
                "torch",
                "skorch",
                "scikit-learn",
                "numpy",
                "odl",
                "safetensors",
            )
        },
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def read(name):
    """Return an earlier result, or an empty dictionary."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(name, result):
    """Write a result as JSON, completely or not at all."""
    RESULTS.mkdir(exist_ok=True, parents=True)
    path = RESULTS / f"{name}.json"
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    partial.replace(path)
    return path
