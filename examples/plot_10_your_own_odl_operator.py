"""Does it work with my own ODL operator?
======================================

If you have described your instrument in ODL, you have what it takes: geometry,
detector, and anything linear that follows.
"""

import matplotlib.pyplot as plt
import numpy as np
import odl
from odl.applications import tomo

from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    check_group_rank,
)
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ODLOperator, dot_test

# %%
# A fan-beam scanner, whose source travels 200° around the object and stops 24
# times.

space = odl.uniform_discr([-24, -24], [24, 24], (48, 48), dtype="float32")
geometry = tomo.FanBeamGeometry(
    odl.uniform_partition(0, np.deg2rad(200), 24),
    odl.uniform_partition(-60, 60, 80),
    src_radius=80,
    det_radius=60,
)
operator = ODLOperator(tomo.RayTransform(space, geometry))

# %%
# ODL's adjoints belong to weighted inner products; ``ODLOperator`` turns them into
# the transpose, and refuses an operator whose adjoint is wrong. The dot test
# compares ⟨A x, y⟩ with ⟨x, Aᵀ y⟩; and can rotations teach anything here?

print(f"dot test: {dot_test(operator):.1e}")
report = check_group_rank(operator, Rotations(360), random_state=0)
print(f"{report.verdict}: {report.sentence}")

# %%
# From here on it is an operator like any other.

images = make_thorax_phantoms(20, (48, 48), random_state=0)
images = images.transpose(0, 2, 1)[:, :, ::-1].copy()  # ODL: axis 0 is x, y points up
Y = operator.measure(images)
train, test = slice(0, 16), slice(16, None)
fbp = PseudoInverseReconstructor(operator).fit(Y[train])
ei = EquivariantReconstructor(
    operator,
    Rotations(360),
    network=Unrolled(UNet(width=8, depth=3)),
    max_epochs=8,
    random_state=0,
).fit(Y[train])

# %%

truth = images[test]
panels = {"A†y": fbp.predict(Y[test]), "equivariant imaging": ei.predict(Y[test])}
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
axes[0].imshow(Y[test][0], aspect="auto", cmap="viridis")
axes[0].set(title="measured", xlabel="detector bin", ylabel="view")
for axis, (name, stack) in zip(axes[1:], panels.items(), strict=False):
    axis.set_title(f"{name}, {psnr(truth, stack):.1f} dB")
    axis.imshow(stack[0].T, origin="lower", cmap="gray", vmin=0, vmax=0.4)
axes[3].imshow(truth[0].T, origin="lower", cmap="gray", vmin=0, vmax=0.4)
axes[3].set_title("truth")
for axis in axes[1:]:
    axis.axis("off")
plt.show()
