"""Can it be a step of my pipeline?
================================

A reconstructor is a transformer: it turns measurements into images, and what
follows may be any estimator. Here a classifier reads digits from a camera
that has lost half of its pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting

# %%
# Labels are known, images are not. Labels travel through ``fit``; the
# reconstructor does not look at them, and trains on measurements alone.

digits = load_digits()
images = np.pad(digits.images.astype(np.float32) / 16, [(0, 0), (2, 2), (2, 2)])
operator = Inpainting(0.5, image_shape=(12, 12))
Y = operator.measure(images)
Y_train, Y_test, labels, labels_test, _, images_test = train_test_split(
    Y, digits.target, images, train_size=600, test_size=600, random_state=0
)


def flatten(stack):
    """Return every image as one row."""
    return stack.reshape(len(stack), -1)


def reader(reconstructor):
    """Return a pipeline from measurements to labels."""
    return make_pipeline(
        reconstructor, FunctionTransformer(flatten), LogisticRegression(max_iter=2000)
    )


readers = {
    "A†y": reader(PseudoInverseReconstructor(operator)),
    "equivariant imaging": reader(
        EquivariantReconstructor(
            operator,
            Shifts(),
            max_epochs=8,
            batch_size=10,
            network=Unrolled(UNet(width=16, depth=2), n_stages=1),
            random_state=0,
        )
    ),
}
accuracy = {
    name: pipeline.fit(Y_train, labels).score(Y_test, labels_test)
    for name, pipeline in readers.items()
}
print(accuracy)

# %%
# Rows show what the camera saw, what the pipeline's first step made of it, and
# the truth; labels are what the pipeline read, wrong ones in red.

pipeline = readers["equivariant imaging"]
shown = slice(0, 10)
rows = {
    "measured": Y_test[shown],
    "reconstructed": pipeline[0].transform(Y_test[shown]),
    "truth": images_test[shown],
}
figure, axes = plt.subplots(3, 10, figsize=(10, 3.6))
for row, (name, stack) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(row, stack, strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
for axis, read, label in zip(
    axes[0], pipeline.predict(Y_test[shown]), labels_test, strict=False
):
    axis.set_title(read, color="black" if read == label else "red")
figure.suptitle(
    ", ".join(f"{name}: {share:.1%} read correctly" for name, share in accuracy.items())
)
figure.tight_layout()
plt.show()

# %%
# A linear classifier can learn to do without the lost pixels, since they are the
# same in every frame: pictures for people gain more from reconstruction than
# labels do. Grids work too: parameters of the first step are
# ``equivariantreconstructor__alpha`` and so on.
