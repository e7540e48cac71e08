"""Can my group help?
==================

An instrument measures y = A x. Its null space, the part of x that y does not
contain, can be learned from measurements alone only if the group of
transformations moves it. ``check_group_rank`` tells before training whether it
can; it never promises that it will.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ei import EquivariantReconstructor, check_group_rank
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Blur, Inpainting, ParallelBeamCT, gaussian_kernel

# %%
# Which group for which instrument?
# ---------------------------------
#
# One line each: the rank of [A T_1; …; A T_|G|], how much moved null-space
# images show of themselves, and the verdict.

shape = (32, 32)
ct = ParallelBeamCT(n_views=12, image_shape=shape)
cases = {
    "CT, rotations": (ct, Rotations(360)),
    "CT, quarter turns": (ct, Rotations(4)),
    "CT, shifts": (ct, Shifts()),
    "lost pixels, shifts": (Inpainting(0.3, shape), Shifts()),
    "lost pixels, mirror": (Inpainting(0.3, shape), Reflections()),
    "blur, shifts": (Blur(gaussian_kernel(2.0), shape), Shifts()),
}
for name, (operator, group) in cases.items():
    report = check_group_rank(operator, group, random_state=0)
    low, high = report.rank_interval
    print(f"{name:<22}{report.verdict:<16}rank {low} to {high} of {report.n}")
    print(f"{'':<22}{report.sentence}")

# %%
# Proposition 1 at work
# ---------------------
#
# Figure 3 of Chen et al. (ICCV 2021), as a toy: triangles at any place of a
# 1-D signal, of which the samples in the middle are always lost. Measurement
# consistency is satisfied by any content of the gap. So is equivariance to
# mirror images, since the gap is its own mirror image. Shifts move it.

length, n_train = 48, 60
rng = np.random.default_rng(0)
position = np.arange(length)


def triangles(n_signals):
    """Return signals with one triangle each, at a random place."""
    centre, width = rng.uniform(0, length, (2, n_signals, 1))
    distance = np.abs((position - centre + length / 2) % length - length / 2)
    return np.maximum(0, 1 - distance / (5 + width / 8)).astype(np.float32)


kept = np.abs(position - (length - 1) / 2) > 6
instrument = Inpainting(mask=kept)
train, test = triangles(n_train), triangles(20)
Y, Y_test = instrument.measure(train), instrument.measure(test)

reconstructions, verdicts = {}, {}
for name, group in {
    "no group": None,
    "mirror images": Reflections(),
    "shifts": Shifts(),
}.items():
    if group is not None:
        report = check_group_rank(instrument, group, random_state=0)
        verdicts[name] = report.verdict
    ei = EquivariantReconstructor(
        instrument,
        group,
        alpha=0 if group is None else "auto",
        max_epochs=30,
        batch_size=8,
        network=Unrolled(UNet(width=8, depth=3)),
        check_rank=False,  # what it would warn of is the point here
        random_state=0,
    ).fit(Y)
    reconstructions[name] = ei.predict(Y_test)

print(f"\n{'':<16}{'measured part':<16}{'null space':<14}check_group_rank")
for name, images in reconstructions.items():
    error = np.square(images - test)
    measured, hidden = (np.sqrt(error[:, part].mean()) for part in (kept, ~kept))
    print(f"{name:<16}{measured:<16.4f}{hidden:<14.4f}{verdicts.get(name, '-')}")

# %%
# All three explain the measurements. Only one of them knows the gap (grey), and
# the check said which ones could not.

figure, axes = plt.subplots(1, 4, figsize=(12, 2.6), sharey=True)
hidden_most = np.argsort(np.abs(test[:, ~kept]).mean(1))[::-1][:4]
styles = {"no group": "-", "mirror images": "--", "shifts": "-"}
for axis, k in zip(axes, hidden_most, strict=True):
    axis.plot(test[k], color="0.7", linewidth=4, label="truth")
    for name, images in reconstructions.items():
        axis.plot(images[k], styles[name], label=name)
    axis.axvspan(*position[~kept][[0, -1]], color="0.95", zorder=0)
    axis.set(xlabel="position")
axes[0].legend(fontsize="small")
figure.tight_layout()
plt.show()
