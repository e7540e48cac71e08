"""What a check found out, for people, notebooks and programs."""

from dataclasses import dataclass, field, fields
from html import escape

import numpy as np

_QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)


@dataclass(repr=False)
class GroupRankReport:
    """Answer of :func:`check_group_rank`.

    Attributes
    ----------
    verdict : str
        ``"FAIL_COUNT"``, ``"FAIL_INVARIANT"``, ``"FAIL_RANK"``, ``"WEAK"``,
        ``"PASS_NECESSARY"`` or ``"INCONCLUSIVE"``.
    sentence : str
        The verdict in words; the last of them say what to do.
    n, m : int
        Pixels times channels; real measurements that are not always zero or, with
        masks, that any of them keeps.
    n_masks : int
        Of the operators; 0 if the check was given none.
    group_order : int
        |G|; 1 without a group.
    is_exact : bool
        Whether the group is an exact unitary representation.
    tol : float
        On σ/σ_max: directions below it do not count for ``rank``.
    count_bound : int
        m·|G|, which has to reach n.
    irreducible_bound : int or None
        max_j c_j/s_j, which m has to reach; None where it is not known.
    rank : int or None
        Number of singular values of M = [A T_1; …; A T_|G|], stacked for all masks, of
        at least
        ``tol``·σ_max, where it is known exactly.
    rank_interval : tuple of int
        Between which it lies.
    nullity : int or None
        Directions with σ < 1e-7·σ_max, zero to float64.
    sigma_max, sigma_min : float or None
        Of S^½, S = (1/|G|) Σ_g T_gᵀAᵀA T_g, for ``elements``, AᵀA being its mean over
        masks.
    sigma_ratio : float or None
        σ_min/σ_max.
    sigma_kind : str or None
        Whether ``sigma_min`` is ``"exact"``, an ``"upper bound"`` or an
        ``"estimate"``.
    sigma_lower_bound : float
        Proven, or probable, lower bound of σ_min/σ_max for ``elements``.
    spectrum : ndarray or None
        All σ/σ_max in increasing order, where they are known.
    spectrum_quantiles : dict
        Quantiles of ``spectrum``.
    range_invariance : dict
        Residual of Corollary 1 for each generator looked at.
    innovation, innovation_floor : float or None
        Innovation index, and what a useless element gives.
    innovation_floor_kind : str
        Where the floor comes from.
    innovation_elements : dict
        The index of single elements.
    seen_alone : float or None
        Share of all directions that A sees without a group, estimated from two images
        of white noise; known where the innovation index is.
    null_space : ndarray of shape (k, *image_shape[, n_channels]) or None
        Images that are never measured or, at full rank, the weakest directions.
    null_space_sigma : float or None
        σ/σ_max of the weakest of them.
    elements : list of int
        Group elements that were computed with; empty for all.
    signal_dimension_ceiling : float or None
        For exact cyclic groups, the box-counting dimension below which almost
        every A with so many measurements would do (Tachella et al., JMLR 2023).
        It says nothing about this A.
    method : str
        How the rank was found.
    certificate : str
        ``"exact"``, ``"Cholesky in float64"``, ``"probabilistic"``,
        ``"Ritz bounds"`` or ``"none"``.
    failure_probability : float
        That a probabilistic statement is wrong.
    seconds : float
        How long it took.
    """

    verdict: str = "INCONCLUSIVE"
    sentence: str = ""
    n: int = 0
    m: int = 0
    n_masks: int = 0
    group_order: int = 0
    is_exact: bool = False
    tol: float = 1e-3
    count_bound: int = 0
    irreducible_bound: int | None = None
    rank: int | None = None
    rank_interval: tuple = (0, 0)
    nullity: int | None = None
    sigma_max: float | None = None
    sigma_min: float | None = None
    sigma_ratio: float | None = None
    sigma_kind: str | None = None
    sigma_lower_bound: float = 0.0
    spectrum: np.ndarray | None = None
    spectrum_quantiles: dict = field(default_factory=dict)
    range_invariance: dict = field(default_factory=dict)
    innovation: float | None = None
    innovation_floor: float | None = None
    innovation_floor_kind: str = ""
    innovation_elements: dict = field(default_factory=dict)
    seen_alone: float | None = None
    null_space: np.ndarray | None = None
    null_space_sigma: float | None = None
    elements: list = field(default_factory=list)
    signal_dimension_ceiling: float | None = None
    method: str = "counting"
    certificate: str = "none"
    failure_probability: float = 0.0
    seconds: float = 0.0

    @property
    def failed(self):
        """Whether learning beyond the range of A† is ruled out."""
        return self.verdict.startswith("FAIL")

    def _set_spectrum(self, values):
        self.spectrum = np.sqrt(values / values[-1])
        self.spectrum_quantiles = {
            q: float(np.quantile(self.spectrum, q)) for q in _QUANTILES
        }

    def to_dict(self):
        """Return every field, arrays as lists, ready for JSON."""
        result = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                value = value.tolist()
            elif isinstance(value, dict):
                value = {str(key): entry for key, entry in value.items()}
            elif isinstance(value, tuple):
                value = list(value)
            result[item.name] = value
        return result

    # --------------------------------------------------------------- in words
    def _lines(self):
        low, high = self.rank_interval
        yield "n, m, |G|", f"{self.n}, {self.m}, {self.group_order}"
        if self.n_masks:
            yield "masks", f"{self.n_masks}; m is what any of them keeps"
        action = "exact" if self.is_exact else "interpolated"
        yield "group", action if self.group_order > 1 else "the identity alone"
        yield (
            "m·|G| ≥ n",
            f"{self.count_bound} ≥ {self.n}"
            + ("" if self.count_bound >= self.n else " fails"),
        )
        if self.irreducible_bound is not None:
            fails = "" if self.m >= self.irreducible_bound else " fails"
            yield "m ≥ max c_j/s_j", f"{self.m} ≥ {self.irreducible_bound}{fails}"
        rank = f"{low}" if low == high else f"from {low} to {high}"
        yield f"rank at {self.tol:g}", f"{rank} of {self.n}"
        if self.nullity is not None:
            yield "never measured", f"{self.nullity} directions (σ < 1e-7 σ_max)"
        if self.sigma_ratio is not None:
            yield "σ_min/σ_max", f"{self.sigma_ratio:.2e} ({self.sigma_kind})"
        if 0 < self.sigma_lower_bound != self.sigma_ratio:
            yield "σ_min/σ_max at least", f"{self.sigma_lower_bound:.2e}"
        if self.range_invariance:
            worst = max(self.range_invariance.values())
            yield "range of Aᵀ moved by", f"{worst:.2g} (0 is invariant)"
        if self.innovation is not None:
            floor = f"{self.innovation_floor:.3f}, {self.innovation_floor_kind}"
            yield "innovation index", f"{self.innovation:.3f} (floor {floor})"
        if self.seen_alone is not None:
            yield "seen without a group", f"about {self.seen_alone:.0%} of {self.n}"
        used = f"{len(self.elements)} elements" if self.elements else "all elements"
        yield "method", f"{self.method}, {used}"
        chance = self.failure_probability
        wrong = f", wrong with probability ≤ {chance:.0e}" if chance else ""
        yield "certificate", self.certificate + wrong
        yield "time", f"{self.seconds:.2g} s"

    def __str__(self):
        lines = [f"{self.verdict}: {self.sentence}"]
        lines += [f"  {name:<22}{value}" for name, value in self._lines()]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self):
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in self._lines()
        )
        return (
            f"<p><b>{escape(self.verdict)}</b>: {escape(self.sentence)}</p>"
            f"<table>{rows}</table>"
        )

    # ----------------------------------------------------------------- figure
    def plot(self, figure=None, n_images=4):
        """Draw the spectrum, and the weakest directions as images.

        Parameters
        ----------
        figure : matplotlib.figure.Figure, default=None
            To draw into. None: a new one.
        n_images : int, default=4
            How many directions to show, at most.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        if figure is None:
            import matplotlib.pyplot as plt

            figure = plt.figure(figsize=(2.4 * (n_images + 1.5), 2.6))
        images = [] if self.null_space is None else self.null_space[:n_images]
        grid = figure.add_gridspec(
            1, len(images) + 1, width_ratios=[1.5, *[1] * len(images)]
        )
        axis = figure.add_subplot(grid[0])
        self._plot_spectrum(axis)
        for k, image in enumerate(images):
            axis = figure.add_subplot(grid[k + 1])
            if k == 0:
                kind = "never measured" if self.nullity else "weakest directions"
                axis.set_title(kind, loc="left", fontsize="medium")
            _show(axis, image)
        return figure

    def _plot_spectrum(self, axis):
        if self.spectrum is not None:
            shown = np.maximum(self.spectrum[::-1], 1e-9)
            axis.semilogy(np.arange(1, len(shown) + 1), shown)
        elif self.sigma_ratio is not None:
            axis.axhline(max(self.sigma_ratio, 1e-9), label=self.sigma_kind)
            axis.set_yscale("log")
            axis.legend(fontsize="small")
        axis.axhline(self.tol, color="0.5", linestyle="--")
        axis.set(xlabel="direction", ylabel="σ/σ_max", title=self.verdict)


def _show(axis, image):
    if image.ndim == 1:
        axis.plot(image)
        axis.set_yticks([])
        return
    if image.ndim == 3:  # channels last
        image = image[..., np.argmax(np.square(image).sum((0, 1)))]
    limit = np.abs(image).max()
    axis.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit)
    axis.set_axis_off()
