"""Where may the image be wrong?
=============================

An image from few views looks as sharp where it was measured as where it was
made up. The equivariant bootstrap takes the reconstruction for the truth, turns
it, measures it, reconstructs it, turns it back, and looks at what has changed.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ei import ConformalReconstructor, EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT

# %%
# Twelve views. Sixteen sinograms to train on, eight with known images to
# calibrate with, four to look at.

shape = (48, 48)
images = make_thorax_phantoms(28, shape, random_state=0)
operator = ParallelBeamCT(12, shape)
Y = operator.measure(images)
train, calibration, test = slice(0, 16), slice(16, 24), slice(24, None)

ei = EquivariantReconstructor(
    operator,
    Rotations(360),
    network=Unrolled(UNet(width=8, depth=3)),
    max_epochs=8,
    random_state=0,
).fit(Y[train])

# %%
# The error map needs no ground truth: a standard deviation for each pixel. It
# tells *where*; *how much* is calibrated with the eight known images, so that
# intervals hold what they promise, on average over images like these.

image, std = ei.predict(Y[test], return_std=True, random_state=0)
conformal = ConformalReconstructor(ei, level=0.9).fit(
    Y[calibration], images[calibration]
)
lower, upper = conformal.predict_interval(Y[test])
inside = (lower <= images[test]) & (images[test] <= upper)
print(f"intervals of the map alone: {conformal.uncalibrated_coverage_:.0%} inside")
print(f"calibrated intervals:       {inside.mean():.0%} inside, 90 % promised")

# %%
# The map and the true error, which a user would not have, on one colour scale. The
# line on the right is the row marked in the image.

k, row = 1, 24
error = abs(image[k] - images[test][k])
calibrated = (upper - lower)[k] / 2
limit = np.quantile(calibrated, 0.995)
figure, axes = plt.subplots(
    1, 4, figsize=(13, 3.4), width_ratios=[1, 1, 1, 1.6], layout="constrained"
)
axes[0].imshow(image[k], cmap="gray", vmin=0, vmax=0.4)
axes[0].axhline(row, color="tab:orange", linewidth=1)
axes[0].set_title("reconstruction")
axes[1].imshow(calibrated, cmap="magma", vmin=0, vmax=limit)
axes[1].set_title("error map (90 % interval)")
shown = axes[2].imshow(error, cmap="magma", vmin=0, vmax=limit)
axes[2].set_title("true error")
figure.colorbar(shown, ax=axes[1:3], shrink=0.8)
columns = np.arange(shape[1])
axes[3].fill_between(columns, lower[k, row], upper[k, row], alpha=0.3, label="interval")
axes[3].plot(columns, image[k, row], label="reconstruction")
axes[3].plot(columns, images[test][k, row], color="black", label="truth")
axes[3].set(xlabel="column", title="attenuation in 1/cm")
axes[3].legend(fontsize=8)
for axis in axes[:3]:
    axis.axis("off")
plt.show()

# %%
# Pixel by pixel the map is not the error. What it promises is that where it is
# dark, errors are small more often:

order = np.argsort(std.ravel())
fifths = np.array_split(abs(image - images[test]).ravel()[order], 5)
for name, fifth in zip(
    ("darkest fifth", "second", "third", "fourth", "brightest fifth"),
    fifths,
    strict=True,
):
    print(f"{name:<16} mean error {fifth.mean():.4f} 1/cm")
