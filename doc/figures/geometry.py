"""Draw figures/geometry.svg: which way bins, views and rows run.

python doc/figures/geometry.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")  # before pyplot
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Arc, Circle, FancyArrowPatch, Rectangle

INK, RAY, DETECTOR = "#333333", "#b3582a", "#2a6fb3"


def arrow(ax, start, end, color=INK, text=None, offset=(0.0, 0.0)):
    ax.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=color)
    )
    if text is not None:
        middle = (np.add(start, end)) / 2 + offset
        ax.text(*middle, text, color=color, ha="center", va="center", fontsize=9)


def draw(ax, title):
    ax.set_title(title, fontsize=10)
    ax.add_patch(Rectangle((-1, -1), 2, 2, fill=False, color=INK))
    ax.add_patch(Circle((0, 0), 0.04, color=INK))
    ax.text(-0.95, 0.85, "row 0, column 0", fontsize=7, color=INK)
    arrow(ax, (-0.9, 0.75), (-0.3, 0.75), text="columns", offset=(0, -0.12))
    arrow(ax, (-0.9, 0.75), (-0.9, 0.15), text="rows", offset=(0.22, 0))
    ax.add_patch(Arc((0, 0), 0.9, 0.9, theta1=-90, theta2=-40, color=RAY))
    ax.text(0.33, -0.5, "θ", color=RAY, fontsize=10)
    ax.set(xlim=(-2.1, 2.1), ylim=(-2.6, 2.6), aspect="equal")
    ax.axis("off")


figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4.6))
draw(left, "parallel beam, view 0°")
for x in (-0.8, -0.4, 0, 0.4, 0.8):
    arrow(left, (x, -1.9), (x, 1.7), RAY)
left.plot([-1.4, 1.7], [1.9, 1.9], color=DETECTOR, lw=3)
arrow(left, (-1.2, 2.15), (1.4, 2.15), DETECTOR, "bins", (0, 0.2))
left.plot([0.15, 0.15], [1.8, 2.0], color=DETECTOR)
arrow(left, (0, 1.78), (0.15, 1.78), INK, "detector_offset > 0", (0.75, -0.1))
draw(right, "fan beam, view 0°")
source = (0, -2.3)
right.add_patch(Circle(source, 0.07, color=RAY))
right.text(0.15, -2.4, "source", color=RAY, fontsize=9)
for x in (-1.5, -0.75, 0, 0.75, 1.5):
    arrow(right, source, (x, 1.8), RAY)
right.plot([-1.8, 1.8], [1.9, 1.9], color=DETECTOR, lw=3)
arrow(right, (-1.5, 2.15), (1.5, 2.15), DETECTOR, "bins", (0, 0.2))
arrow(right, (-1.35, -2.3), (-1.35, 0), INK, "source_distance", (-0.1, 0.2))
arrow(right, (1.35, 0), (1.35, 1.9), INK, "detector_distance", (0.1, 0.25))
figure.tight_layout()
figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None})
