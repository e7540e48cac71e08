"""The public functions: what a group can teach about an instrument."""

import secrets
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from ..groups import Group
from ..operators import ForwardOperator
from ..utils.params import check_option, check_real
from ..utils.random import draw_seed, make_generator
from ..utils.torch_state import own_torch
from ._bounds import count_orbits, rank_bound
from ._budget import Budget, OutOfTimeError
from ._dense import dense_spectrum
from ._diagonal import diagonal_spectrum
from ._fourier import fourier_spectrum, other_factors, shift_invariant_spectrum
from ._gram import gram_spectrum
from ._innovation import innovation
from ._lanczos import lanczos_spectrum
from ._masks import masks_of
from ._range_invariance import RangeInvarianceReport, range_invariance
from ._report import GroupRankReport
from ._system import System
from ._verdict import judge

_METHODS = ("auto", "count", "fourier", "cholesky", "lanczos", "dense")
_GRAM_PIXELS = 16384
_SMALL = 4096  # up to this size the rank is computed even if the answer is known


@own_torch()
def check_group_rank(
    operator: ForwardOperator,
    group: Group | str | None = None,
    *,
    masks: Any = None,
    image_shape: tuple[int, ...] | None = None,
    tol: float = 1e-3,
    method: str = "auto",
    max_seconds: float | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> GroupRankReport:
    """Tell whether a group, or several masks, can help to learn a null space.

    Equivariant imaging can learn what A does not measure only if the stacked
    M = [A T_1; …; A T_|G|] has rank n (Theorem 1 of [1]_), and not if the range
    of Aᵀ is invariant under the group (Corollary 1). Where samples are measured by
    operators A_1, …, A_N that keep different measurements, all [A_i T_g] count, and
    [A_1; …; A_N] without a group [2]_. Both are necessary; nothing that is computed
    here promises that learning will succeed.

    Parameters
    ----------
    operator : ForwardOperator
        A.
    group : Group, "auto" or None, default=None
        {T_g}, products included; with the same interpolation as in training.
        ``"auto"``: the one that estimators take by default, which is recommended for
        what A loses (:func:`~sklearn_ei.groups.recommended_group`). None: there are
        masks alone.
    masks : array-like of shape (n_masks, *measurement_shape[, n_channels]), \
            default=None
        Of the operators A_i = M_i A: bools, true where measured, or the measurements
        of all samples, NaN where there are none. A channel axis may be left out. None:
        all is measured by A.
    image_shape : tuple of int, default=None
        Shape of the images where the operator leaves it open, channels (if
        any) last. Where A acts on all channels alike, each of them counts.
    tol : float, default=1e-3
        Directions with σ/σ_max below it do not count as measured. Row weights
        of A change σ, though not the exact rank; none are applied.
    method : {"auto", "count", "fourier", "cholesky", "lanczos", "dense"}, \
            default="auto"
        How the rank is found. ``"auto"`` counts first; then takes the Fourier
        transform for cyclic shifts, the Gram matrix (all eigenvalues where that
        takes seconds, else shifted Cholesky for a spread subset of the group; of more
        than 512 elements always a subset, as large as full rank needs) up to 16384
        unknowns and 3 GB, and Lanczos' method above. ``"dense"`` is the singular value
        decomposition of M, a reference for small images; ``"count"`` only counts and
        tests Corollary 1.
    max_seconds : float, default=None
        When the time is up, the verdict is INCONCLUSIVE unless what is known
        decides it. Looked at between the steps of the computation.
    random_state : int, RandomState instance or None, default=None
        Of the random images and measurements. None draws from the operating system;
        NumPy's global generator stays where it is.
    verbose : int, default=0
        Above 0, print what is being done.

    Returns
    -------
    report : GroupRankReport
        Verdict and numbers; print it, or call its ``plot``.

    Raises
    ------
    TypeError, ValueError
        If operator, group and masks do not fit, no group is recommended where
        ``"auto"`` asks for it, one of them is not linear, the adjoint is not the
        transpose, or a method is asked for that cannot do it.

    See Also
    --------
    check_range_invariance : Corollary 1 alone.

    Notes
    -----
    With the mean mask M̄ = (1/N) Σ_i M_i, a diagonal matrix,

        S = 1/(N |G|) Σ_i Σ_g T_gᵀ Aᵀ M_i A T_g = 1/|G| Σ_g T_gᵀ Aᵀ M̄ A T_g,

    so that N masks cost no more than one. The rank of M is that with all measurements
    that any mask keeps, however few do; σ tells how often.

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning
       Beyond the Range Space", ICCV 2021.
    .. [2] J. Tachella, D. Chen and M. E. Davies, "Unsupervised Learning From Incomplete
       Measurements for Inverse Problems", NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import check_group_rank
    >>> from sklearn_ei.groups import Reflections, Shifts
    >>> from sklearn_ei.operators import Inpainting
    >>> operator = Inpainting(0.7, image_shape=(16, 16))
    >>> check_group_rank(operator, Shifts()).verdict
    'PASS_NECESSARY'
    >>> check_group_rank(operator, Reflections()).verdict
    'FAIL_COUNT'

    Thirty frames that have lost 70 % of their pixels each, at different places:

    >>> kept = np.random.default_rng(0).random((30, 16, 16)) > 0.7
    >>> check_group_rank(Inpainting(0, image_shape=(16, 16)), masks=kept).verdict
    'PASS_NECESSARY'
    """
    check_real("tol", tol, min_val=0, max_val=1, include_boundaries="neither")
    check_option("method", method, _METHODS)
    if max_seconds is not None:
        check_scalar(
            max_seconds, "max_seconds", Real, min_val=0, include_boundaries="neither"
        )
    budget = Budget(max_seconds, verbose)
    masks = masks_of(operator, masks)
    system = _make_system(operator, group, image_shape, random_state, masks)
    report = new_report(system, tol, masks)
    spectrum = invariance = moved = None
    try:
        count(system, report, budget)
        judge(report, None, None, None)
        if not (report.failed and method == "auto"):
            if system.has_group:
                invariance = range_invariance(system, budget)
                _record_invariance(report, invariance)
            spectrum = _find_spectrum(system, report, method, invariance, budget)
            if spectrum is not None:
                _record_spectrum(system, report, spectrum)
            judge(report, spectrum, invariance, None)
            if method != "count" and not report.failed and system.has_group:
                budget.tell("innovation index")
                moved = innovation(system, budget)
                _record_innovation(report, moved)
    except OutOfTimeError:
        budget.tell("time is up")
    judge(report, spectrum, invariance, moved)
    if spectrum is None and report.failed:
        report.certificate = "exact"
    report.seconds = budget.elapsed
    budget.tell(report.verdict)
    return report


@own_torch()
def check_range_invariance(
    operator: ForwardOperator,
    group: Group | str,
    *,
    image_shape: tuple[int, ...] | None = None,
    n_iterations: int = 400,
    tol: float = 1e-5,
    max_seconds: float | None = None,
    random_state: Any = None,
) -> RangeInvarianceReport:
    """Tell whether the range of Aᵀ is invariant under a group (Corollary 1).

    If it is, the null space of A is as well, and equivariance cannot teach
    anything about it [1]_. That it is not does not mean that learning succeeds.

    Parameters
    ----------
    operator : ForwardOperator
        A.
    group : Group or "auto"
        {T_g}, or the one that is recommended for what A loses; of it the generators
        are looked at, at most four where T_g and AᵀA do not commute.
    image_shape : tuple of int, default=None
        Shape of the images where the operator leaves it open, channels last.
    n_iterations : int, default=400
        The most steps of conjugate gradients on min_u ‖Aᵀu − r‖, r = T_gᵀAᵀw
        with three Gaussian w.
    tol : float, default=1e-5
        Relative residuals ‖Aᵀu − r‖/‖r‖ below it are taken as zero.
    max_seconds : float, default=None
        When the time is up, ``invariant`` is None.
    random_state : int, RandomState instance or None, default=None
        Of the random measurements w. None draws from the operating system; NumPy's
        global generator stays where it is.

    Returns
    -------
    report : RangeInvarianceReport
        With ``invariant`` (True, False or None), ``residuals`` for each
        generator, ``n_iterations`` and a ``sentence``.

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning
       Beyond the Range Space", ICCV 2021.

    Examples
    --------
    >>> from sklearn_ei import check_range_invariance
    >>> from sklearn_ei.groups import Shifts
    >>> from sklearn_ei.operators import Inpainting
    >>> check_range_invariance(Inpainting(0.3, (16, 16)), Shifts()).invariant
    False
    """
    check_scalar(n_iterations, "n_iterations", int, min_val=1)
    check_real("tol", tol, min_val=0, include_boundaries="neither")
    system = _make_system(operator, group, image_shape, random_state)
    return range_invariance(system, Budget(max_seconds), n_iterations, tol)


# ----------------------------------------------------------------------- steps
def _make_system(operator, group, image_shape, random_state, masks=None):
    # None is no draw from NumPy's global generator, which is the user's.
    seed = secrets.randbits(31) if random_state is None else draw_seed(random_state)
    generator = make_generator(seed)
    return System(operator, group, image_shape, generator, masks=masks)


def new_report(system, tol, masks):
    """Return a report with what follows from sizes alone."""
    n, m = system.n * system.copies, system.m * system.copies
    return GroupRankReport(
        n=n,
        m=m,
        n_masks=0 if masks is None else masks.n_masks,
        group_order=system.group.n_elements,
        is_exact=system.group.is_exact,
        tol=tol,
        count_bound=m * system.group.n_elements,
        rank_interval=(0, min(n, m * system.group.n_elements)),
    )


def count(system, report, budget):
    """Add the counting bounds to a report."""
    orbits = count_orbits(system, budget) if system.has_group else None
    if orbits is not None:
        report.irreducible_bound = system.channels * orbits * system.copies
        if system.group.is_cyclic and report.n_masks == 0:
            ceiling = (system.m - system.channels * orbits - 1) / 2
            report.signal_dimension_ceiling = max(0.0, ceiling * system.copies)
    report.rank_interval = (0, system.copies * rank_bound(system, orbits))


def _find_spectrum(system, report, method, invariance, budget):
    """Return the spectrum by the method, or None if only counting was asked for."""
    if method == "count":
        return None
    if method == "auto":
        return _auto_spectrum(system, report, invariance, budget)
    if method == "dense":
        return dense_spectrum(system, report.tol, budget)
    if method == "lanczos":
        return lanczos_spectrum(system, report.tol, budget)
    if method == "fourier":
        others = other_factors(system.group)
        if others is None:
            raise ValueError(
                f"Got method='fourier' with {system.group}, but expected all cyclic "
                "shifts, alone or times a group that they commute with."
            )
        return fourier_spectrum(system, others, report.tol, budget)
    spectrum = gram_spectrum(system, report.tol, budget)
    if spectrum is None:
        raise ValueError(
            f"Got method='cholesky' for n = {system.n}, whose blocks of the Gram "
            "matrix would take more than 3 GB, or a group whose T_g are not sparse; "
            "expected smaller images, or method='lanczos'."
        )
    return spectrum


def _auto_spectrum(system, report, invariance, budget):
    tol, spectrum = report.tol, None
    others = other_factors(system.group)
    if others is not None:
        return fourier_spectrum(system, others, tol, budget)
    # pixels are permuted, or stay
    if report.irreducible_bound is not None or not system.has_group:
        spectrum = diagonal_spectrum(system, tol, budget)
    if spectrum is None and not system.has_group:
        spectrum = shift_invariant_spectrum(system, tol)
    # Where null(A) stays in place the rank is that of A, and need not be known.
    invariant = invariance is not None and invariance.invariant
    settled = invariant and system.m < system.n and system.n > _SMALL
    if spectrum is None and not settled:
        if system.n <= _GRAM_PIXELS:
            spectrum = gram_spectrum(system, tol, budget)
        if spectrum is None:
            spectrum = lanczos_spectrum(system, tol, budget)
    return spectrum


def _record_invariance(report, invariance):
    report.range_invariance = invariance.residuals
    if invariance.invariant:
        # null(M) = null(A), so that M has no more rank than A has rows.
        low, high = report.rank_interval
        report.rank_interval = (low, min(high, report.m))


def _record_spectrum(system, report, spectrum):
    copies, n = system.copies, report.n
    bound = report.rank_interval[1]
    least, most = spectrum.n_below
    low = 0 if most is None else n - copies * most
    # Few elements do not show what all of them miss.
    high = n - copies * least if spectrum.whole_group else n
    report.rank_interval = (max(low, 0), min(high, bound))
    low, high = report.rank_interval
    report.rank = low if low == high else None
    if spectrum.n_zero[0] == spectrum.n_zero[1] and (
        spectrum.whole_group or spectrum.n_zero == (0, 0)
    ):
        report.nullity = copies * spectrum.n_zero[0]
    report.sigma_max = float(np.sqrt(spectrum.largest))
    report.sigma_min = float(np.sqrt(max(spectrum.smallest, 0.0)))
    report.sigma_ratio = spectrum.ratio
    report.sigma_kind = spectrum.kind
    report.sigma_lower_bound = spectrum.lower
    report.elements = list(spectrum.elements)
    report.method = spectrum.method
    report.certificate = spectrum.certificate
    report.failure_probability = spectrum.failure_probability
    if spectrum.values is not None:
        report._set_spectrum(np.repeat(spectrum.values, copies))
    if spectrum.directions is not None:
        shape = (-1, system.channels, *system.image_shape)
        images = np.moveaxis(spectrum.directions.reshape(shape), 1, -1)
        report.null_space = images[..., 0] if system.channels == 1 else images
        report.null_space_sigma = spectrum.ratio


def _record_innovation(report, moved):
    report.innovation = moved.index
    report.innovation_floor = moved.floor
    report.innovation_floor_kind = moved.floor_kind
    report.innovation_elements = moved.elements
    report.seen_alone = moved.seen_alone
