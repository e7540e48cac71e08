"""Figure 3: lost samples of 1-D signals, with and without shift invariance.

Signals are triangles of random height. In one data set they all stand at one
place, in the other at random places. The same samples are lost in all signals, so
that only the second tells what a triangle looks like there.
"""

import numpy as np

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting

from ._figures import _finish, _pyplot

LENGTH, HALF_WIDTH = 64, 10
LOST = slice(34, 42)
NETWORK = Unrolled(UNet(width=16, depth=3), n_stages=1, n_consistency=1)
_CENTRE = 32
_N_TRAIN, _N_TEST, _EPOCHS = 200, 50, 150


def signals(n, *, invariant, rng):
    """Return triangles (n, LENGTH), cyclic, at one place or anywhere."""
    place = rng.integers(LENGTH, size=n) if invariant else np.full(n, _CENTRE)
    distance = np.abs(np.arange(LENGTH) - place[:, None])
    distance = np.minimum(distance, LENGTH - distance)
    height = rng.uniform(0.5, 1.5, (n, 1))
    return (height * np.clip(1 - distance / HALF_WIDTH, 0, None)).astype(np.float32)


def figure3(settings):
    """Train with and without the equivariance term, on both data sets."""
    mask = np.ones(LENGTH, dtype=bool)
    mask[LOST] = False
    operator = Inpainting(mask=mask)
    plt = _pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    values = {}
    for axis, invariant in zip(axes, (False, True), strict=True):
        rng = np.random.default_rng(settings.seed)
        x = signals(_N_TRAIN + _N_TEST, invariant=invariant, rng=rng)
        train, test = x[:_N_TRAIN], x[_N_TRAIN:]
        name = "shift-invariant signals" if invariant else "signals at one place"
        # Triangles whose top is lost.
        top = test[:, LOST].max(axis=1) >= test.max(axis=1) - 1e-6
        shown = int(np.argmax(top))
        axis.axvspan(LOST.start, LOST.stop - 1, color="0.9", label="lost")
        axis.plot(test[shown], "k", label="truth")
        values[name] = {"A†y": _quality(test, test * mask, mask)}
        for title, alpha, style in (("MC", 0, "C2--"), ("EI", "auto", "C0-")):
            ei = EquivariantReconstructor(
                operator,
                Shifts(),
                alpha,
                noise=None,
                network=NETWORK,
                batch_size=10,
                max_epochs=settings.scaled(_EPOCHS),
                precision="float32",
                random_state=settings.seed,
                device=settings.device,
            ).fit(operator.measure(train))
            found = ei.predict(operator.measure(test))
            values[name][title] = _quality(test, found, mask)
            axis.plot(found[shown], style, label=title)
        axis.set(title=name, xlabel="sample")
    axes[0].legend(fontsize=8)
    return _finish("figure3", figure, {"errors": values}, settings)


def _quality(test, found, mask):
    """Return relative errors: of whole signals, and of what is measured and lost."""

    def error(part):
        difference = np.square(found[:, part] - test[:, part]).mean()
        return float(np.sqrt(difference / np.square(test[:, part]).mean()))

    return {
        "relative_error": error(slice(None)),
        "of_measured_samples": error(mask),
        "of_lost_samples": error(~mask),
    }
