"""What if the measurements are noisy?
===================================

Measurement consistency believes every number it is given, and teaches a network
to reproduce the noise. Tell the estimator that there is noise, and it looks
past it; how much there is it finds out by itself.
"""

import matplotlib.pyplot as plt

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import ParallelBeamCT

# %%
# Forty views, with noise of 2 % of the largest measurement.

shape = (48, 48)
images = make_thorax_phantoms(20, shape, random_state=0)
operator = ParallelBeamCT(40, shape)
clean = operator.measure(images)
sigma = 0.02 * clean.max()
Y = GaussianNoise(sigma).add(clean, random_state=0)
train, test = slice(0, 16), slice(16, None)

# %%
# ``GaussianNoise()`` has no level: ``fit`` estimates it from what no image could
# have produced.

network = Unrolled(UNet(width=8, depth=3), n_stages=2)
training = {"max_epochs": 10, "network": network, "random_state": 0}
ei = EquivariantReconstructor(operator, Rotations(360), **training)
robust = EquivariantReconstructor(
    operator, Rotations(360), noise=GaussianNoise(), **training
)
methods = {
    "A†y": PseudoInverseReconstructor(operator),
    "A†y, Hann window": PseudoInverseReconstructor(
        ParallelBeamCT(40, shape, filter="hann")
    ),
    "EI": ei,
    "EI, noise=GaussianNoise()": robust,
}
reconstructions = {
    name: method.fit(Y[train]).predict(Y[test]) for name, method in methods.items()
}
print(f"noise: true σ = {sigma:.4f}, estimated {robust.noise_.sigma:.4f}")

# %%
# Without being told, equivariant imaging takes noise for a property of the images,
# and returns more of it than back-projection does. A smooth window pays for less
# noise with blurred edges. Told of the noise, the network removes much of it and
# keeps the edges.

truth = images[test]
figure, axes = plt.subplots(2, 5, figsize=(12, 5.2))
for column, (name, stack) in zip(axes.T, reconstructions.items(), strict=False):
    column[0].imshow(stack[1], cmap="gray", vmin=0, vmax=0.4)
    column[0].set_title(f"{name}\n{psnr(truth, stack):.1f} dB", fontsize=10)
    column[1].imshow(abs(stack[1] - truth[1]), cmap="magma", vmin=0, vmax=0.15)
axes[0, 4].imshow(truth[1], cmap="gray", vmin=0, vmax=0.4)
axes[0, 4].set_title("truth\n", fontsize=10)
for axis in axes.flat:
    axis.axis("off")
figure.tight_layout()
plt.show()
