"""Can digits be learned from random projections?
==============================================

A single-pixel camera measures random combinations of all pixels, and fewer of
them than there are pixels. Nobody shows the network a digit; all it sees is
three hundred lists of such numbers.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Shifts
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import CompressedSensing

# %%
# scikit-learn's digits, 8 × 8, on a black margin: twelve pixels a side, so that
# a shifted digit is still a digit. 72 random projections of 144 pixels.

digits = load_digits().images.astype(np.float32) / 16
images = np.pad(digits, [(0, 0), (2, 2), (2, 2)])
images = images[np.random.default_rng(0).permutation(len(images))[:320]]
operator = CompressedSensing(72, image_shape=(12, 12))
Y = operator.measure(images)  # (n_samples, 72)
train, test = slice(0, 300), slice(300, None)

# %%

network = Unrolled(UNet(width=16, depth=2))
training = {"max_epochs": 8, "batch_size": 10, "network": network}
methods = {
    "A†y": PseudoInverseReconstructor(operator),
    "measurement\nconsistency": EquivariantReconstructor(
        operator, alpha=0, random_state=0, **training
    ),
    "equivariant\nimaging": EquivariantReconstructor(
        operator, Shifts(), random_state=0, **training
    ),
}
reconstructions = {
    name: method.fit(Y[train]).predict(Y[test]) for name, method in methods.items()
}

# %%
# The same network, with the same measurements: without the symmetry it has no
# reason to put anything but A†y's noise into the null space.

rows = {**reconstructions, "truth": images[test]}
figure, axes = plt.subplots(4, 10, figsize=(10, 4.6))
for row, (name, stack) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(row, stack, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    quality = "" if name == "truth" else f"\n{psnr(images[test], stack):.1f} dB"
    row[0].set_ylabel(name + quality, rotation=0, ha="right", va="center")
figure.tight_layout()
plt.show()
