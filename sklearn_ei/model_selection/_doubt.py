"""Whether a choice among values of a parameter means something."""

import numpy as np

_FEW = 3  # values have an inside
_TIE = 1e-9  # relative
_ENOUGH = 4  # paired scores, from which a scatter can be told


def doubt(values, means, best, paired=None):
    """Say what makes the best of several values of α doubtful.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        Those tried, in any order.
    means : array-like of shape (n_values,)
        Their scores; higher is better.
    best : int
        Which was chosen.
    paired : array-like of shape (n_values, n), default=None
        Scores of the same n samples, or splits, one by one. With four or more, values
        tie whose mean difference from the best one is below its standard error.

    Returns
    -------
    sentence : str or None
        What follows the name of the value chosen; None if nothing is to be said.
    """
    values, means = np.asarray(values, dtype=float), np.asarray(means, dtype=float)
    others = np.arange(len(values)) != best
    if np.isclose(means, means[best], rtol=_TIE, atol=0)[others].any():
        return (
            f"scores as others do to {_TIE:g}, and is the first of them: these values, "
            "or the score, do not tell them apart"
        )
    if len(values) >= _FEW and values[best] > 0:
        if values[best] == values.max():
            return (
                "is at the edge of the values tried; expected a best one inside: pass "
                "values that go beyond it"
            )
        if values[best] == values.min():
            return (
                "is at the edge of the values tried; expected a best one inside: pass "
                "values that go below it"
            )
    tied = [] if paired is None else _tied(np.asarray(paired, dtype=float), best)
    if len(tied):
        listed = ", ".join(f"{values[i]:.4g}" for i in tied)
        return (
            f"cannot be told from {listed}: the scores differ by less than the "
            "scatter between samples; more of them would tell"
        )
    return None


def _tied(paired, best):
    """Return the others that are within one standard error of the best."""
    if paired.ndim != 2 or paired.shape[1] < _ENOUGH:
        return []
    gains = paired[best] - paired
    error = gains.std(axis=1, ddof=1) / paired.shape[1] ** 0.5
    return [
        i
        for i in range(len(paired))
        if i != best and np.isfinite(gains[i]).all() and gains[i].mean() < error[i]
    ]
