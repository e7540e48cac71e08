"""What did the dead pixels see?
=============================

A camera with dead pixels never measures a complete image. Still, as the same
scene could have stood a few pixels further left, what one place never saw can
be learned from what others did.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_ei import EquivariantReconstructor, check_group_rank
from sklearn_ei.groups import Reflections, Shifts
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting

# %%
# Frames cut from a photograph that scikit-learn brings along. 30 % of the pixels
# are dead, always the same ones; all three colours are lost there.

photo = load_sample_image("china.jpg")[::2, ::2] / 255
frames = extract_patches_2d(photo, (48, 48), max_patches=44, random_state=0)
frames = frames.astype(np.float32)
operator = Inpainting(0.3, image_shape=(48, 48))
Y = operator.measure(frames)  # (n_samples, 48, 48, 3)
train, test = slice(0, 40), slice(40, None)

# %%
# Can it work? Mirror images map some dead pixels onto each other, and these stay
# unknown. Shifts bring every dead pixel to a place that is alive.

for group in (Reflections(), Shifts()):
    report = check_group_rank(operator, group, random_state=0)
    print(f"{report.verdict}: {report.sentence}")

# %%

ei = EquivariantReconstructor(
    operator,
    Shifts(),
    network=Unrolled(UNet(width=16, depth=3), n_stages=2),
    max_epochs=15,
    random_state=0,
)
restored = ei.fit(Y[train]).predict(Y[test])

# %%
# Pixels that are alive are returned as measured. Edges and patterns go on through
# the dead ones; a smooth sky comes out slightly mottled, and fine texture that hides
# behind dead pixels is guessed.

figure, axes = plt.subplots(3, 4, figsize=(8.5, 6.8))
rows = {"measured": Y[test], "restored": restored, "truth": frames[test]}
for row, (name, stack) in zip(axes, rows.items(), strict=True):
    for k, axis in enumerate(row):
        axis.imshow(stack[k].clip(0, 1))
        axis.set(xticks=[], yticks=[])
        if name == "restored":
            quality = psnr(frames[test][k : k + 1], restored[k : k + 1])
            axis.set_title(f"{quality:.1f} dB", fontsize=10)
    row[0].set_ylabel(name)
figure.tight_layout()
plt.show()
