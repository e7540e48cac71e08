"""How few views are enough?
=========================

Fewer views mean less dose, and a larger null space. How do filtered
back-projection, total variation and equivariant imaging bear it?
"""

import matplotlib.pyplot as plt

from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    TotalVariationReconstructor,
)
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT

# %%
# One training for each number of views, always on the same twelve slices'
# sinograms, and four others to test on.

shape = (48, 48)
images = make_thorax_phantoms(16, shape, random_state=0)
train, test = slice(0, 12), slice(12, None)
views = [6, 12, 24, 48]
network = Unrolled(UNet(width=8, depth=3))

results = {"A†y": {}, "total variation": {}, "equivariant imaging": {}}
for n_views in views:
    operator = ParallelBeamCT(n_views, shape)
    Y = operator.measure(images)
    methods = {
        "A†y": PseudoInverseReconstructor(operator),
        "total variation": TotalVariationReconstructor(operator, nonneg=True),
        "equivariant imaging": EquivariantReconstructor(
            operator,
            Rotations(360),
            network=network,
            max_epochs=8,
            random_state=0,
        ),
    }
    for name, method in methods.items():
        results[name][n_views] = method.fit(Y[train]).predict(Y[test])

# %%
# Both know more than the views say, and both beat back-projection by far. Total
# variation learns nothing, and is ahead everywhere: these slices are made of nearly
# constant patches and measured without noise, which is what it is for, and the
# network's training is short. A comparison that leaves it out flatters the network.
# Make the same plot with your own data.

truth = images[test]
figure = plt.figure(figsize=(10, 7), layout="constrained")
grid = figure.add_gridspec(3, 4, height_ratios=[1.5, 1, 1])
axis = figure.add_subplot(grid[0, :])
for name, by_views in results.items():
    curve = [psnr(truth, by_views[n_views]) for n_views in views]
    axis.plot(views, curve, "o-", label=name)
axis.set(xlabel="number of views", ylabel="PSNR in dB", xscale="log")
axis.set_xticks(views, views)
axis.minorticks_off()
axis.legend()
for row, name in enumerate(("A†y", "equivariant imaging"), start=1):
    for column, n_views in enumerate(views):
        axis = figure.add_subplot(grid[row, column])
        axis.imshow(results[name][n_views][0], cmap="gray", vmin=0, vmax=0.4)
        axis.set_title(f"{name}, {n_views} views", fontsize=10)
        axis.axis("off")
plt.show()
