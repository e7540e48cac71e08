"""What if the training is killed?
===============================

The power fails, the queue's time is up, somebody needs the machine. With
``checkpoint=`` the same script, started again, goes on after the last whole
epoch, and ends with the same weights bit by bit.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ei import load

# %%
# The script, as one would write it. Two things are only there to have it killed:
# a callback that ends the process without any farewell, as a power cut does, in the
# middle of epoch 5, and the argument that asks for it. The progress goes to a log.

script = """
import os, sys
import skorch
from sklearn_ei import EquivariantReconstructor, save
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT

name, dies = sys.argv[1], sys.argv[2] == "dies"
operator = ParallelBeamCT(n_views=12, image_shape=(32, 32))
Y = operator.measure(make_thorax_phantoms(12, (32, 32), random_state=0))

class Log(skorch.callbacks.Callback):
    def on_epoch_begin(self, net, **kwargs):
        print(len(net.history), end=" ", flush=True)

    def on_batch_begin(self, net, batch=None, training=True, **kwargs):
        if dies and len(net.history) == 5:
            os._exit(1)

ei = EquivariantReconstructor(
    operator, Rotations(360), network=Unrolled(UNet(width=8, depth=3), n_stages=1),
    max_epochs=10, checkpoint=name + ".checkpoint", callbacks=[Log()], random_state=0,
)
save(ei.fit(Y).set_params(callbacks=None), name + ".safetensors")
"""
folder = Path(tempfile.mkdtemp())
(folder / "train.py").write_text(script, encoding="utf-8")


def train(name, *, dies=False):
    """Run the script in a process of its own, and return its exit status."""
    arguments = [name, "dies" if dies else "lives"]
    finished = subprocess.run(
        [sys.executable, "train.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{name}: epochs {finished.stdout.strip()}; status {finished.returncode}")
    return finished.returncode


# %%
# Once without trouble; once killed, and then started again.

train("undisturbed")
train("killed", dies=True)
train("killed")

# %%
# The second process began with epoch 5, whose first steps were lost with the first
# one. Weights and history of both trainings are the same, bit by bit:

undisturbed, killed = (
    load(folder / f"{name}.safetensors") for name in ("undisturbed", "killed")
)
weights, again = (
    [w.numpy() for w in ei.function_.state_dict().values()]
    for ei in (undisturbed, killed)
)
assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))
print(f"{sum(w.size for w in weights)} numbers, all the same")

# %%

figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
for ei, style, label in (
    (undisturbed, {"color": "0.75", "linewidth": 6}, "undisturbed"),
    (killed, {"color": "tab:blue", "marker": "o"}, "killed and resumed"),
):
    history = ei.history_
    axis.plot(history[:, "epoch"], history[:, "train_loss"], label=label, **style)
axis.axvline(4.5, color="tab:red", linestyle="--")
axis.text(4.6, axis.get_ylim()[1], "killed", color="tab:red", va="top")
axis.set(xlabel="epoch", ylabel="training loss")
axis.legend()
plt.show()
