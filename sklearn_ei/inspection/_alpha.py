"""Which α a search has tried, and why it chose the one it did."""

from numbers import Real

import numpy as np
from sklearn.pipeline import Pipeline

from ..model_selection import doubt
from ..utils.params import brief
from ..utils.warn import warn
from ._drawing import styles, take_axes


class AlphaCurveDisplay:
    """Score against α, with its spread over splits and the α chosen.

    α has a logarithmic axis. Where α = 0 was tried as well, the axis is linear
    below the smallest other α, so that 0 has a place of its own. It is recommended
    to use :meth:`from_estimator`.

    Parameters
    ----------
    alphas : array-like of shape (n_candidates,)
        Values of α, zero or more; NaN and infinite scores are left out.
    scores : array-like of shape (n_candidates,) or (n_candidates, n_splits)
        Higher is better.
    labels : sequence of str of length n_candidates, default=None
        What else distinguishes the candidates: one curve for each. None: nothing.
    alpha : float, default=None
        The α chosen. None: none is marked.
    label : str, default=None
        Of the curve that it belongs to. None: the first one with that α.
    score_name : str, default="score"
        For the vertical axis.

    Attributes
    ----------
    figure_ : matplotlib Figure
        After :meth:`plot`.
    ax_ : matplotlib Axes
        After :meth:`plot`.
    lines_ : dict of str to matplotlib Line2D
        After :meth:`plot`: the curves by label, ``""`` if there is one.

    Examples
    --------
    >>> from sklearn_ei import AlphaCurveDisplay
    >>> display = AlphaCurveDisplay(
    ...     [0, 1, 10], [[20, 21], [25, 26], [23, 24]], alpha=1
    ... )
    >>> display.plot().ax_.get_xscale()  # doctest: +SKIP
    'symlog'
    """

    def __init__(
        self, alphas, scores, *, labels=None, alpha=None, label=None, score_name="score"
    ):
        self.alphas = alphas
        self.scores = scores
        self.labels = labels
        self.alpha = alpha
        self.label = label
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, search, *, metric=None, ax=None, **line_kwargs):
        """Show a search over α.

        Parameters
        ----------
        search : estimator
            A fitted :class:`~sklearn_ei.EquivariantReconstructorCV`, or a
            ``GridSearchCV`` or the like over ``alpha``, of an estimator or of the
            last step of a pipeline (``…__alpha``); or a pipeline that ends in one.
            If other parameters vary, each of their combinations is a curve.
        metric : str, default=None
            Which score, where a search has several. None: the one that chose.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_kwargs
            Passed to ``plot`` of matplotlib.

        Returns
        -------
        display : AlphaCurveDisplay

        Raises
        ------
        TypeError, ValueError
            If there is no search, no α in it, an α that is no number, or no score
            of that name.

        Warns
        -----
        UserWarning
            If the α that a grid chose is at the edge of those tried, or another one
            scores as well within the scatter between (four or more) splits. The fit of
            :class:`~sklearn_ei.EquivariantReconstructorCV` has said so itself.
        """
        inner = search[-1] if isinstance(search, Pipeline) else search
        results = getattr(inner, "cv_results_", None)
        if not isinstance(results, dict):
            raise TypeError(
                f"Got {brief(search)}, but expected a fitted search, such as "
                "EquivariantReconstructorCV or GridSearchCV."
            )
        name = _metric_name(inner, results, metric)
        alphas, labels = _candidates(results)
        splits = [
            results[key]
            for key in sorted(results)
            if key.startswith("split") and key.endswith(f"_test_{name}")
        ]
        scores = np.transpose(splits) if splits else results[f"mean_test_{name}"]
        best = _best_candidate(inner, results, name)
        if best is not None and not hasattr(inner, "alpha_"):  # whose fit has said it
            _warn_of_doubt(alphas, labels, scores, best)
        display = cls(
            alphas,
            scores,
            labels=labels,
            alpha=None if best is None else float(alphas[best]),
            label=None if best is None else labels[best],
            score_name=name.replace("_", " "),
        )
        return display.plot(ax=ax, **line_kwargs)

    def plot(self, *, ax=None, **line_kwargs):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **line_kwargs
            Passed to ``plot`` of matplotlib.

        Returns
        -------
        display : AlphaCurveDisplay

        Raises
        ------
        ValueError
            If α are no finite numbers of zero or more, or lengths differ.
        """
        alphas, scores, labels = self._checked()
        self.ax_ = take_axes(ax, (1, 1), figsize=(5.6, 3.6))[0, 0]
        self.figure_ = self.ax_.figure
        mean = scores.mean(axis=1)
        spread = scores.std(axis=1)
        self.lines_ = {}
        names = list(dict.fromkeys(labels))
        for look, name in zip(styles(), names, strict=False):
            order = np.flatnonzero((labels == name) & np.isfinite(mean))
            order = order[np.argsort(alphas[order], kind="stable")]
            x, y, band = alphas[order], mean[order], spread[order]
            options = {**look, "label": name or "mean over splits", **line_kwargs}
            (self.lines_[name],) = self.ax_.plot(x, y, **options)
            if scores.shape[1] > 1:
                color = self.lines_[name].get_color()
                self.ax_.fill_between(
                    x, y - band, y + band, color=color, alpha=0.2, linewidth=0
                )
                # Whiskers, because bands that overlap are hard to tell in grey.
                self.ax_.errorbar(
                    x, y, band, fmt="none", ecolor=color, elinewidth=0.8, capsize=2
                )
        self._scale(alphas)
        if self.alpha is not None:
            self._mark(alphas, mean, labels)
        self.ax_.set(xlabel="α", ylabel=self.score_name)
        if len(names) > 1 or self.alpha is not None:
            self.ax_.legend(fontsize="small")
        return self

    def _checked(self):
        try:
            alphas = np.asarray(self.alphas, dtype=float)
            scores = np.asarray(self.scores, dtype=float)
        except (TypeError, ValueError):
            alphas, scores = np.array(np.nan), np.array(np.nan)
        labels = [""] * alphas.size if self.labels is None else self.labels
        labels = np.array([str(label) for label in labels], dtype=object)
        fits = alphas.ndim == 1 and len(alphas) == len(labels) > 0
        fits = fits and scores.ndim in (1, 2) and len(scores) == len(alphas)
        if not fits or not np.isfinite(alphas).all() or alphas.min() < 0:
            raise ValueError(
                f"Got alphas={brief(self.alphas)} and scores={brief(self.scores)}, but "
                "expected finite α of zero or more, and one score, or one row of "
                "scores, for each."
            )
        return alphas, scores.reshape(len(alphas), -1), labels

    def _scale(self, alphas):
        positive = np.unique(alphas[alphas > 0])
        if not len(positive):
            return
        if alphas.min() > 0:
            self.ax_.set_xscale("log")
            return
        self.ax_.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
        self.ax_.set_xlim(left=-0.2 * positive[0])
        ticks = [t for t in self.ax_.get_xticks() if t == 0 or t >= positive[0]]
        self.ax_.set_xticks(ticks)

    def _mark(self, alphas, mean, labels):
        chosen = alphas == self.alpha
        if self.label is not None:
            chosen &= labels == self.label
        self.ax_.axvline(self.alpha, color="0.4", linestyle=":", zorder=0)
        for i in np.flatnonzero(chosen & np.isfinite(mean))[:1]:
            self.ax_.plot(
                self.alpha,
                mean[i],
                "k*",
                markersize=12,
                zorder=5,
                label=f"chosen: α = {self.alpha:.4g}",
            )


def _warn_of_doubt(alphas, labels, scores, best):
    """Say so where the α chosen is at the edge, or ties, within its curve."""
    curve = np.flatnonzero([label == labels[best] for label in labels])
    scores = np.asarray(scores, dtype=float).reshape(len(alphas), -1)[curve]
    chosen = int(np.flatnonzero(curve == best)[0])
    said = doubt(alphas[curve], scores.mean(axis=1), chosen, scores)
    if said is not None:
        message = f"AlphaCurveDisplay: alpha={alphas[best]:.4g} {said}."
        warn(message)


def _metric_name(search, results, metric):
    """Return the name of a score, as it stands in the results."""
    names = [key[10:] for key in results if key.startswith("mean_test_")]
    if metric is None:
        refit = getattr(search, "refit", None)
        metric = refit if isinstance(refit, str) else names[0]
    if metric not in names:
        raise ValueError(
            f"Got metric={brief(metric)}, but expected one of "
            f"{', '.join(map(repr, names))}."
        )
    return metric


def _candidates(results):
    """Return α of each candidate, and what else it was set to, in words."""
    if "alpha" in results:  # of EquivariantReconstructorCV
        alphas = np.asarray(results["alpha"], dtype=float)
        return alphas, [""] * len(alphas)
    found = [
        key
        for key in results
        if key == "param_alpha" or (key[:6] == "param_" and key.endswith("__alpha"))
    ]
    if len(found) != 1:
        raise ValueError(
            f"Got a search over {[k[6:] for k in results if k[:6] == 'param_']}, but "
            "expected one over alpha."
        )
    name = found[0][6:]
    values = [params.get(name) for params in results["params"]]
    for value in values:
        if not isinstance(value, Real):
            raise ValueError(
                f"Got alpha={brief(value)} among the values searched, but expected "
                "numbers in every candidate; alpha_ of an estimator is what 'auto' "
                "stands for."
            )
    others = [
        {key: value for key, value in params.items() if key != name}
        for params in results["params"]
    ]
    # Only what differs is worth saying.
    varied = [
        key
        for key in dict.fromkeys(key for other in others for key in other)
        if len({brief(other.get(key)) for other in others}) > 1
    ]
    labels = [
        ", ".join(
            f"{key.split('__')[-1]}={brief(other[key], 40)}"
            for key in varied
            if key in other
        )
        for other in others
    ]
    return np.array(values, dtype=float), labels


def _best_candidate(search, results, name):
    """Return the number of the candidate that the search chose, or None."""
    if hasattr(search, "alpha_"):
        return int(np.argmax(np.equal(results["alpha"], search.alpha_)))
    index = getattr(search, "best_index_", None)
    if index is not None:
        return int(index)
    ranks = results.get(f"rank_test_{name}")
    return None if ranks is None else int(np.argmin(ranks))
