"""Which α, without ground truth?
==============================

α weighs what the measurements say against what the symmetry says. Nobody has
the images to choose it by. ``round_trip_score`` needs measurements alone: it
moves a reconstruction, measures and reconstructs it again, moves it back, and
looks how well that predicts what was measured in the first place.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from sklearn_ei import EquivariantReconstructor, EquivariantReconstructorCV
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Shifts
from sklearn_ei.model_selection import (
    neg_measurement_error_score,
    psnr_score,
    round_trip_score,
)
from sklearn_ei.networks import UNet
from sklearn_ei.operators import Inpainting

# %%
# A camera that has lost 30 % of its pixels, the same ones in every frame. The network
# is the paper's f = G ∘ A†: steps of data consistency after it would return every
# measured pixel as it is, whatever α.

images = make_thorax_phantoms(16, (32, 32), random_state=0)
operator = Inpainting(0.3, image_shape=(32, 32))
Y = operator.measure(images)
network = UNet(width=8, depth=3)
settings = {"max_epochs": 12, "network": network, "random_state": 0}
ei = EquivariantReconstructor(operator, Shifts(), **settings)

# %%
# scikit-learn's grid search, with three scores at once. The images are given to
# it for the PSNR alone, to compare with in the figure: ``round_trip_score`` and
# the measurement error do not look at them, nor does the training.

alphas = np.logspace(-3, 2, 6)
search = GridSearchCV(
    ei,
    {"alpha": [0, *alphas]},
    cv=2,
    scoring={
        "round trip": round_trip_score,
        "measurement error": neg_measurement_error_score,
        "PSNR": psnr_score,
    },
    refit=False,
).fit(Y, images)
scores = {
    name: search.cv_results_[f"mean_test_{name}"]
    for name in ("PSNR", "round trip", "measurement error")
}

# %%
# With small α nobody tells the network what the dead pixels hid, and the PSNR (black)
# is that of the measurements; from α = 0.1 on it is within a few tenths of a dB of the
# best. The round-trip error says the same without an image. The error of the
# measurements that f was shown cannot choose: it is smallest where the symmetry counts
# for nothing.

figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharex=True)
labels = {
    "PSNR": "PSNR in dB\n(needs ground truth)",
    "round trip": "round-trip error\n(measurements alone)",
    "measurement error": "measurement error\n(measurements alone)",
}
x = [alphas[0] / 10, *alphas]  # α = 0 has no place on a logarithmic axis
for axis, (name, values) in zip(axes, scores.items(), strict=True):
    best = np.argmax(values)
    drawn = values if name == "PSNR" else -values
    axis.plot(x, drawn, "o-", color="black" if name == "PSNR" else "tab:blue")
    axis.plot(x[best], drawn[best], "o", color="tab:red", markersize=10, zorder=3)
    axis.set(xscale="log", xlabel="α", title=labels[name])
    axis.set_xticks(x[::2], ["0", *(f"{a:g}" for a in alphas[1::2])])
    if name == "measurement error":
        axis.set_yscale("log")
figure.tight_layout()
plt.show()

# %%
# Red dots are what each score would choose. How many dB that costs:

psnrs = scores["PSNR"]
for name, values in scores.items():
    loss = psnrs.max() - psnrs[np.argmax(values)]
    print(f"{name:<20}{loss:6.2f} dB below the best")

# %%
# A grid trains every α from the start, twice. ``EquivariantReconstructorCV`` chooses on
# a path, with the same score, and ends with a fit on all frames: six values cost a
# little more than two fits. It warns where the best α is the last one tried, or where
# several are as good; both hold here, and the figure shows why it does not matter.

with warnings.catch_warnings(record=True) as doubts:
    warnings.simplefilter("always")
    path = EquivariantReconstructorCV(operator, Shifts(), alphas, **settings).fit(Y)
print(f"α = {path.alpha_:g}; {path.score(Y, images):.1f} dB on these images")
for doubt in doubts:
    print(doubt.message)
