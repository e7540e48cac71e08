"""From numbers to a verdict, and to a sentence for scientists."""

from ._spectrum import ZERO

_SMALL = 1e-2  # of σ_min/σ_max, below which a pass comes with a warning
#: The index has to be this many times its floor (doc/identifiability.md).
CLEAR_OF_FLOOR = 1.5
_MOST = 2 / 3  # of all directions: A that sees more leaves little to a group
_NO_PROMISE = "This is necessary for learning; it does not guarantee learning."
_EXPECT_LITTLE = "Train, and expect little"
_UNDECIDED = "Check smaller images of the same kind before you train."


def judge(report, spectrum, invariance, moved):
    """Set the verdict and sentence of a report from all that is known.

    The sentence ends in what to do.

    Parameters
    ----------
    report : GroupRankReport
        With its counting bounds.
    spectrum : Spectrum or None
    invariance : RangeInvarianceReport or None
    moved : Innovation or None
    """
    report.verdict, report.sentence = (
        _counting(report)
        or _invariant(report, spectrum, invariance)
        or _deficient(report, spectrum)
        or _full_rank(report, spectrum, moved)
        or _inconclusive(report, spectrum)
    )


def _do_not(report):
    """Return the advice where something stays invisible."""
    if report.group_order == 1:
        return "Do not train without a group."
    return "Do not train with this group: choose another one."


def _who_sees(report):
    """Return what the rows of M belong to."""
    if report.n_masks == 0:
        return "the elements of the group"
    return "the masks" + (" and the elements of the group" * (report.group_order > 1))


def _counting(report):
    m, n, order = report.m, report.n, report.group_order
    if report.count_bound < n and report.n_masks and order == 1:
        return "FAIL_COUNT", (
            f"The masks keep {m} different measurements between them, fewer than the "
            f"{n} unknowns: some images stay invisible whatever is learned. "
            f"{_do_not(report)}"
        )
    if report.count_bound < n:
        return "FAIL_COUNT", (
            f"{m} measurements seen through {order} group element(s) are "
            f"{report.count_bound} numbers, fewer than the {n} unknowns: some images "
            f"stay invisible whatever is learned. {_do_not(report)}"
        )
    bound = report.irreducible_bound
    if bound is not None and m < bound:
        return "FAIL_COUNT", (
            f"There are {bound} independent images that the group leaves unchanged, "
            f"and {m} measurements cannot tell them apart: at least {bound - m} of "
            f"{n} directions stay invisible. {_do_not(report)}"
        )
    return None


def _invariant(report, spectrum, invariance):
    if invariance is None or not invariance.invariant:
        return None
    lost = spectrum is not None and spectrum.n_zero[0] > 0
    if report.m >= report.n and not lost:
        return None
    count = (
        "" if not report.nullity else f", {report.nullity} of {report.n} directions,"
    )
    return "FAIL_INVARIANT", (
        f"The group leaves the null space of A{count} where it is: a transformed "
        "image hides what the image hid, and equivariance teaches nothing about it. "
        f"{_do_not(report)}"
    )


def _deficient(report, spectrum):
    if spectrum is None or not spectrum.whole_group:
        return None
    if spectrum.n_zero[0] > 0:
        return "FAIL_RANK", (
            f"{report.nullity or spectrum.n_zero[0]} of {report.n} directions are not "
            f"measured through any of {_who_sees(report)}: what lies in them can never "
            f"be learned. {_do_not(report)}"
        )
    if spectrum.n_below[0] > 0:
        weak = report.n - report.rank_interval[1]
        if spectrum.n_zero == (0, 0):
            return "WEAK", (
                f"No direction is lost altogether, but {weak} of {report.n} lie below "
                f"{report.tol:g} of the strongest: they are seen through interpolation "
                "and borders at best, and noise will hide them. "
                f"{_EXPECT_LITTLE} in these directions."
            )
        return "WEAK", (
            f"At least {weak} of {report.n} directions lie below {report.tol:g} of the "
            "strongest; whether they are measured at all is not decided. "
            f"{_EXPECT_LITTLE} in these directions."
        )
    return None


def _full_rank(report, spectrum, moved):
    full = spectrum is not None and (
        spectrum.n_below == (0, 0) or spectrum.lower >= report.tol
    )
    if not full:
        return None
    if moved is not None and moved.floor > 0:
        factor = moved.index / moved.floor
        if factor < CLEAR_OF_FLOOR:
            return "WEAK", (
                f"The rank is full, but moved null-space images show {moved.index:.3f} "
                f"of themselves, {factor:.1f} times what discretisation alone gives "
                f"({moved.floor:.3f}): {_why_weak(moved)}. "
                f"{_EXPECT_LITTLE} from the group."
            )
    surely = {"exact": "is", "Cholesky in float64": "is certainly"}.get(
        spectrum.certificate, "is with high probability"
    )
    warning = ""
    if spectrum.ratio < _SMALL:
        warning = (
            f" The weakest direction is {spectrum.ratio:.1e} of the strongest, and "
            "sensitive to noise."
        )
    return "PASS_NECESSARY", (
        f"The rank {surely} full: together, {_who_sees(report)} see every "
        f"direction.{warning} {_NO_PROMISE} Train."
    )


def _why_weak(moved):
    if moved.seen_alone is not None and moved.seen_alone > _MOST:
        return (
            f"A sees about {moved.seen_alone:.0%} of all directions by itself, which "
            "leaves little to the group"
        )
    return "the group hardly moves the null space of A"


def _inconclusive(report, spectrum):
    low, high = report.rank_interval
    if spectrum is None:
        return "INCONCLUSIVE", (
            f"Counting allows full rank, and the time was up before more was known: "
            f"the rank is between {low} and {high} of {report.n}. {_UNDECIDED}"
        )
    if spectrum.ratio < ZERO:
        found = (
            "A direction was found that the elements tried do not see, but others may"
        )
    else:
        shown = f"{spectrum.lower:.1e}" if spectrum.lower > 0 else "nothing"
        found = (
            f"No direction weaker than {spectrum.ratio:.1e} of the strongest was "
            f"found, and {shown} is shown as a lower bound, which does not settle the "
            f"tolerance {report.tol:g}"
        )
    return "INCONCLUSIVE", (
        f"{found}: the rank is between {low} and {high} of {report.n}. {_UNDECIDED}"
    )
