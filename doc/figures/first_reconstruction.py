"""Draw figures/first_reconstruction.png: the figure of the first example.

python doc/figures/first_reconstruction.py
"""

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("agg")  # before pyplot
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
runpy.run_path(str(ROOT / "examples/plot_1_first_reconstruction.py"))
plt.savefig(Path(__file__).with_suffix(".png"), dpi=100, metadata={"Software": None})
