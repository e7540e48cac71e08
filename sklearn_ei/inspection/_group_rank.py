"""What a group lets an instrument measure: the spectrum behind the rank check."""

import numpy as np

from ..identifiability import GroupRankReport, check_group_rank
from ..utils.params import brief
from ._drawing import take_axes

_FLOOR = 1e-9  # σ/σ_max below it is drawn at it
_BAR = 0.55


class GroupRankDisplay:
    """The singular values that a group lets an instrument measure, or their number.

    Where the report knows the spectrum of [A T_1; …; A T_|G|], σ/σ_max is drawn
    against the directions, strongest first; those below the tolerance do not count
    as measured. Where it does not, what is known of the rank is drawn as bars
    beside n, which has to be reached. The verdict is the title. It is recommended
    to use :meth:`from_report`.

    Parameters
    ----------
    report : GroupRankReport
        Of :func:`~sklearn_ei.check_group_rank`.

    Attributes
    ----------
    figure_ : matplotlib Figure
        After :meth:`plot`.
    ax_ : matplotlib Axes
        After :meth:`plot`.

    See Also
    --------
    GroupRankReport.plot : The weakest directions as images, beside the spectrum.

    Examples
    --------
    >>> from sklearn_ei import GroupRankDisplay, check_group_rank
    >>> from sklearn_ei.groups import Shifts
    >>> from sklearn_ei.operators import Inpainting
    >>> report = check_group_rank(Inpainting(0.7, (8, 8)), Shifts())
    >>> display = GroupRankDisplay.from_report(report)  # doctest: +SKIP
    >>> display.ax_.get_title()  # doctest: +SKIP
    'PASS_NECESSARY: rank 64 of 64'
    """

    def __init__(self, report):
        self.report = report

    @classmethod
    def from_report(cls, report, *, ax=None):
        """Show a report.

        Parameters
        ----------
        report : GroupRankReport
            Of :func:`~sklearn_ei.check_group_rank`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : GroupRankDisplay
        """
        return cls(report).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator, *, max_seconds=None, random_state=0, ax=None, **check_kwargs
    ):
        """Check the operator and the group of a fitted estimator, and show the report.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``operator_`` and ``group_``.
        max_seconds, random_state
            As for :func:`~sklearn_ei.check_group_rank`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **check_kwargs
            Passed to :func:`~sklearn_ei.check_group_rank`.

        Returns
        -------
        display : GroupRankDisplay

        Raises
        ------
        TypeError
            If the estimator is not fitted, or has no group.
        """
        operator = getattr(estimator, "operator_", None)
        group = getattr(estimator, "group_", None)
        if operator is None or group is None:
            raise TypeError(
                f"Got {brief(estimator)}, but expected a fitted estimator with an "
                "operator and a group."
            )
        report = check_group_rank(
            operator,
            group,
            max_seconds=max_seconds,
            random_state=random_state,
            **check_kwargs,
        )
        return cls.from_report(report, ax=ax)

    def plot(self, *, ax=None):
        """Draw the spectrum, or the bounds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : GroupRankDisplay

        Raises
        ------
        TypeError
            If there is no report.
        """
        report = self.report
        if not isinstance(report, GroupRankReport):
            raise TypeError(
                f"Got report={brief(report)}, but expected a GroupRankReport, which "
                "check_group_rank returns."
            )
        self.ax_ = take_axes(ax, (1, 1), figsize=(5.6, 3.4))[0, 0]
        self.figure_ = self.ax_.figure
        if report.spectrum is None:
            self._draw_bounds(report)
        else:
            self._draw_spectrum(report)
        low, high = report.rank_interval
        rank = f"{low}" if low == high else f"{low} to {high}"
        self.ax_.set_title(f"{report.verdict}: rank {rank} of {report.n}")
        return self

    def _draw_spectrum(self, report):
        values = np.maximum(report.spectrum[::-1], _FLOOR)
        directions = np.arange(1, len(values) + 1)
        counted = values >= report.tol
        look = {"linestyle": "none", "markersize": 3}
        self.ax_.plot(
            directions[counted],
            values[counted],
            marker="o",
            color="#0072B2",
            label=f"measured ({counted.sum()})",
            **look,
        )
        if not counted.all():
            self.ax_.plot(
                directions[~counted],
                values[~counted],
                marker="x",
                color="#D55E00",
                label=f"below the tolerance ({(~counted).sum()})",
                **look,
            )
            self.ax_.axvspan(
                counted.sum() + 0.5, len(values) + 0.5, color="0.92", zorder=0
            )
        self.ax_.axhline(
            report.tol, color="0.4", linestyle="--", label=f"tolerance {report.tol:g}"
        )
        self.ax_.set(
            yscale="log",
            xlabel="direction, strongest first",
            ylabel="σ/σ_max",
            xlim=(0.5, len(values) + 0.5),
            ylim=(min(values.min(), report.tol) / 3, 2),
        )
        self.ax_.legend(fontsize="small")

    def _draw_bounds(self, report):
        low, high = report.rank_interval
        bars = [
            ("measurements m", report.m, "0.75", ""),
            ("bound m·|G|", report.count_bound, "0.55", ""),
            ("rank at most", high, "#56B4E9", "//"),
            ("rank at least", low, "#0072B2", ""),
        ]
        for height, (_, value, color, hatch) in enumerate(reversed(bars)):
            self.ax_.barh(
                height, value, _BAR, color=color, hatch=hatch, edgecolor="black"
            )
            self.ax_.annotate(
                f"{value}",
                (value, height),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
                bbox={"color": "white", "pad": 0.5},
                zorder=4,
            )
        self.ax_.set_yticks(range(len(bars)), [name for name, *_ in reversed(bars)])
        self.ax_.axvline(report.n, color="black", linestyle="--", zorder=2)
        self.ax_.text(
            report.n,
            len(bars) - 0.6,
            f"needed: n = {report.n}",
            ha="center",
            fontsize="small",
            bbox={"color": "white", "pad": 0.5},
            zorder=4,
        )
        self.ax_.set_ylim(-0.5, len(bars) - 0.2)
        # Bounds may be far beyond n.
        if report.count_bound > 20 * report.n:
            self.ax_.set_xscale("symlog", linthresh=1)
            self.ax_.set_xlim(0, 10 * report.count_bound)
        else:
            self.ax_.margins(x=0.15)
        known = ""
        if report.sigma_ratio is not None:
            known = f"σ_min/σ_max = {report.sigma_ratio:.1e} ({report.sigma_kind})"
        elif report.sigma_lower_bound > 0:
            known = f"σ_min/σ_max ≥ {report.sigma_lower_bound:.1e}"
        self.ax_.set_xlabel("directions" + (f"; {known}" if known else ""))
