"""How a training went, epoch by epoch."""

import numpy as np
from sklearn.pipeline import Pipeline

from ..utils.params import brief
from ._drawing import styles, take_axes

_NAMES = {
    "train_loss": "objective",
    "measurement_consistency": "measurement consistency",
    "equivariance_error": "equivariance",
    "adversarial_error": "adversarial",
    "valid_score": "score",
    "lr": "learning rate",
}
# What skorch and this package note of an epoch besides losses.
_NOT_LOSSES = {"epoch", "batches", "dur", "lr"}


class TrainingCurveDisplay:
    """Terms of the objective per epoch; scores and learning rate below.

    The losses are on a logarithmic axis, which is linear about zero where some are
    not positive, as unbiased estimates (SURE) may be. It is recommended to use
    :meth:`from_estimator`.

    Parameters
    ----------
    losses : dict of str to ndarray of shape (n_epochs,)
        The objective and its terms, by name. NaN where an epoch has none.
    scores : ndarray of shape (n_epochs,), default=None
        Score on samples left out, higher being better.
    lr : ndarray of shape (n_epochs,), default=None
        Learning rate.

    Attributes
    ----------
    figure_ : matplotlib Figure
        After :meth:`plot`.
    axes_ : ndarray of matplotlib Axes
        After :meth:`plot`: that of the losses, then those of the score and of the
        learning rate where they are shown.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import TrainingCurveDisplay
    >>> losses = {"train_loss": np.array([1.0, 0.1, 0.05])}
    >>> display = TrainingCurveDisplay(losses).plot()  # doctest: +SKIP
    """

    def __init__(self, losses, scores=None, lr=None):
        self.losses = losses
        self.scores = scores
        self.lr = lr

    @classmethod
    def from_estimator(cls, estimator, *, show_lr=False, ax=None, **line_kwargs):
        """Show the training of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            With ``history_``; may be a pipeline that ends in one, or a search.
        show_lr : bool, default=False
            Whether to show the learning rate.
        ax : Axes or sequence of Axes, default=None
            Where to draw, as many as there are panels; None makes a figure.
        **line_kwargs
            Passed to ``plot`` of matplotlib for every curve.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If the estimator has no history of epochs.
        """
        inner = estimator
        while not hasattr(inner, "history_"):
            if isinstance(inner, Pipeline):
                inner = inner[-1]
            elif hasattr(inner, "best_estimator_"):
                inner = inner.best_estimator_
            else:
                raise TypeError(
                    f"Got {brief(inner)} without history_, but expected a fitted "
                    "estimator that was trained in epochs."
                )
        return cls.from_history(inner.history_, show_lr=show_lr, ax=ax, **line_kwargs)

    @classmethod
    def from_history(cls, history, *, show_lr=False, ax=None, **line_kwargs):
        """Show a history: that of an estimator, or of a file it was kept in.

        Parameters
        ----------
        history : list of dict
            One for each epoch.
        show_lr : bool, default=False
            Whether to show the learning rate.
        ax : Axes or sequence of Axes, default=None
            Where to draw, as many as there are panels; None makes a figure.
        **line_kwargs
            Passed to ``plot`` of matplotlib for every curve.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If it is no history of epochs.
        """
        epochs = list(history) if isinstance(history, list) else []
        if not epochs or not all(
            isinstance(epoch, dict) and "train_loss" in epoch for epoch in epochs
        ):
            raise TypeError(
                f"Got history={brief(history)}, but expected a list of one dictionary "
                "with a 'train_loss' for each epoch."
            )
        names = dict.fromkeys(name for epoch in epochs for name in epoch)
        losses = {
            name: _column(epochs, name)
            for name in names
            if name not in _NOT_LOSSES
            and not name.startswith(("valid_score", "event_"))
            and not name.endswith(("_best", "_count"))
            and all(_is_number(epoch.get(name, 0.0)) for epoch in epochs)
        }
        scores = _column(epochs, "valid_score") if "valid_score" in names else None
        lr = _column(epochs, "lr") if show_lr and "lr" in names else None
        return cls(losses, scores, lr).plot(ax=ax, **line_kwargs)

    def plot(self, *, ax=None, **line_kwargs):
        """Draw the curves.

        Parameters
        ----------
        ax : Axes or sequence of Axes, default=None
            Where to draw, as many as there are panels; None makes a figure.
        **line_kwargs
            Passed to ``plot`` of matplotlib for every curve.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If the curves have different lengths, or there are none.
        """
        losses = {name: np.asarray(v, dtype=float) for name, v in self.losses.items()}
        below = {"score": self.scores, "learning rate": self.lr}
        below = {
            name: np.asarray(values, dtype=float)
            for name, values in below.items()
            if values is not None
        }
        shapes = {values.shape for values in (*losses.values(), *below.values())}
        if not losses or len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError(
                f"Got curves of shapes {sorted(shapes)}, but expected one value an "
                "epoch in each, and at least one loss."
            )
        n_panels = 1 + len(below)
        self.axes_ = take_axes(
            ax,
            (n_panels, 1),
            figsize=(6.4, 3.4 + 1.6 * len(below)),
            sharex=True,
            height_ratios=[2, *[1] * len(below)],
        )[:, 0]
        self.figure_ = self.axes_[0].figure
        epochs = np.arange(1, 1 + len(next(iter(losses.values()))))
        many = len(epochs) > 30
        looks = styles()
        for name, values in losses.items():
            look = {**next(looks), "markevery": max(1, len(epochs) // 15)}
            look.update(line_kwargs, label=_NAMES.get(name, name.replace("_", " ")))
            self.axes_[0].plot(epochs, values, **look)
        self._scale_losses(np.concatenate(list(losses.values())))
        self.axes_[0].legend(fontsize="small")
        self.axes_[0].set_ylabel("loss")
        for axes, (name, values) in zip(self.axes_[1:], below.items(), strict=True):
            look = {"color": "black", "marker": None if many else "."}
            axes.plot(epochs, values, **{**look, **line_kwargs})
            axes.set_ylabel(name)
            if name == "score" and np.isfinite(values).any():
                best = int(np.nanargmax(np.where(np.isinf(values), np.nan, values)))
                label = f"best: epoch {epochs[best]}"
                axes.plot(epochs[best], values[best], "k*", ms=10, label=label)
                axes.legend(fontsize="small")
        if len(epochs) < 12:
            self.axes_[-1].set_xticks(epochs)
        self.axes_[-1].set_xlabel("epoch")
        return self

    def _scale_losses(self, values):
        values = values[np.isfinite(values)]
        positive = values[values > 0]
        if len(positive) == len(values):
            self.axes_[0].set_yscale("log" if len(values) else "linear")
        else:
            sizes = np.abs(values[values != 0])
            threshold = float(np.median(sizes)) if len(sizes) else 1.0
            self.axes_[0].set_yscale("symlog", linthresh=threshold)


def _is_number(value):
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _column(epochs, name):
    return np.array([epoch.get(name, np.nan) for epoch in epochs], dtype=float)
