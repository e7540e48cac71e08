"""A first reconstruction
======================

Sinograms with few views, no ground truth, and an estimator that learns from
them. This is what ``python -m sklearn_ei.demo`` does, in small: there with
40 slices of 128 × 128, a progress bar, and your own data if you pass it.
"""

import matplotlib.pyplot as plt

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT

# %%
# Twenty views of made chest slices. The images serve to simulate the
# measurements, and to see at the end how well it went; training never gets them.

images = make_thorax_phantoms(20, (64, 64), random_state=0)
operator = ParallelBeamCT(n_views=20, image_shape=(64, 64))
Y = operator.measure(images)  # (n_samples, n_views, n_bins)
train, test = slice(0, 16), slice(16, None)

# %%
# Three reconstructions of the same sinograms: filtered back-projection A†y; a
# network whose images explain the measurements (``alpha=0``, measurement
# consistency); and the same network with one more condition, that a rotated
# slice is reconstructed as well as the slice itself (equivariant imaging).

network = Unrolled(UNet(width=8, depth=3))  # half as wide as the default
training = {"max_epochs": 6, "network": network, "random_state": 0}
methods = {
    "A†y": PseudoInverseReconstructor(operator),
    "measurement consistency": EquivariantReconstructor(operator, alpha=0, **training),
    "equivariant imaging": EquivariantReconstructor(
        operator, Rotations(360), **training
    ),
}
reconstructions = {
    name: method.fit(Y[train]).predict(Y[test]) for name, method in methods.items()
}

# %%
# What filtered back-projection makes of twenty views is streaks. Both networks
# remove most of them; what is left is the part of the image that the views do not
# contain, about which measurement consistency says nothing. The lower row shows
# absolute errors.

truth = images[test]
shown = 1  # of the test slices
figure, axes = plt.subplots(2, 4, figsize=(10, 5.4))
for column, (name, stack) in zip(axes.T, reconstructions.items(), strict=False):
    column[0].imshow(stack[shown], cmap="gray", vmin=0, vmax=0.4)
    column[0].set_title(f"{name}\n{psnr(truth, stack):.1f} dB", fontsize=10)
    error = abs(stack[shown] - truth[shown])
    column[1].imshow(error, cmap="magma", vmin=0, vmax=0.08)
axes[0, 3].imshow(truth[shown], cmap="gray", vmin=0, vmax=0.4)
axes[0, 3].set_title("truth\n", fontsize=10)
for axis in axes.flat:
    axis.axis("off")
figure.tight_layout()
plt.show()

# %%
# The figures over the columns are mean peak signal-to-noise ratios of the four
# test slices. Longer training (``max_epochs``) and a wider network (the default one)
# do better; six epochs of sixteen small slices are for impatience.
