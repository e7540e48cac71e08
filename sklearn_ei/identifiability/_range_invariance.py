"""Corollary 1: whether the group moves the null space of A at all."""

from dataclasses import dataclass

import torch

from ..utils.cgls import cgls

_MAX_GENERATORS = 4
_N_PROBES = 3
_N_ITERATIONS = 100
# Residuals are followed in float64; below this share they are rounding.
_CONVERGED = 1e-9
#: Residuals below this are the rounding of operators in float32.
INVARIANT = 1e-5


@dataclass
class RangeInvarianceReport:
    """What :func:`~sklearn_ei.check_range_invariance` found out.

    Attributes
    ----------
    invariant : bool or None
        Whether range(Aᵀ) is invariant under the group: training cannot learn
        anything then. None if the iterations do not tell.
    residuals : dict
        For each generator looked at, the largest ‖r − Aᵀu‖/‖r‖ over Gaussian w,
        with r = T_gᵀ Aᵀ w and u as good as the iterations made it. The true
        residual is no larger. 0 where T_g commutes with AᵀA.
    n_iterations : int
        Iterations made; 0 if commuting said it all.
    sentence : str
        The answer in words.
    """

    invariant: bool | None
    residuals: dict
    n_iterations: int
    sentence: str

    def __str__(self):
        return self.sentence


def commuting_generators(system, budget):
    """Return the generators, and which of them map null(A) onto itself for sure.

    A unitary T_g that commutes with AᵀA does, which two products with a Gaussian
    image tell with probability one.
    """
    generators = system.group.generators().tolist()
    if not system.group.is_exact:
        return generators, []
    commuting = []
    for g in generators:
        budget.need()
        if system.null_space_moves_with(g) < system.identity_tolerance:
            commuting.append(g)
    return generators, commuting


def range_invariance(system, budget, n_iterations=_N_ITERATIONS, tol=INVARIANT):
    """Return the :class:`RangeInvarianceReport` of a system."""
    generators, commuting = commuting_generators(system, budget)
    residuals = dict.fromkeys(commuting, 0.0)
    others = [g for g in generators if g not in residuals][:_MAX_GENERATORS]
    made = 0
    if others:
        w = torch.randn(
            (_N_PROBES * len(others), system.m),
            generator=system.generator,
            dtype=torch.float64,
        )
        g = torch.tensor(others).repeat_interleave(_N_PROBES)
        r = system.transpose(system.adjoint(w), g)
        _, rest, made = cgls(
            system.adjoint,
            system.forward,
            r,
            n_iterations,
            rtol=_CONVERGED,
            before_step=budget.need,
        )
        ratio = rest.norm(dim=1) / r.norm(dim=1).clamp_min(1e-300)
        largest = ratio.reshape(len(others), _N_PROBES).amax(1)
        residuals.update(zip(others, largest.tolist(), strict=True))
        converged = _converged(system, rest, r)
    worst = max(residuals.values())
    if worst <= tol and len(residuals) == len(generators):
        invariant = True
    elif worst > tol and (made == 0 or converged):
        invariant = False
    else:
        invariant = None
    return RangeInvarianceReport(
        invariant=invariant,
        residuals=residuals,
        n_iterations=made,
        sentence=_sentence(system, invariant, worst, made),
    )


def _converged(system, rest, r):
    """Return whether a residual is there to stay.

    For z = rest, ⟨r, z⟩/‖z‖ bounds the distance of r from range(Aᵀ) from below
    if A z = 0. ‖A z‖ small beside ‖A r‖ says that little will be gained.
    """
    left = system.forward(rest).norm(dim=1) / system.forward(r).norm(dim=1)
    share = rest.norm(dim=1) / r.norm(dim=1)
    return bool(((left < 0.05 * share) & (share > INVARIANT)).any())


def _sentence(system, invariant, worst, made):
    group = type(system.group).__name__
    if invariant and made == 0:
        return (
            f"{group} leave the null space of A where it is (T_g commutes with AᵀA): "
            "equivariance adds no information about it."
        )
    if invariant:
        return (
            f"{group} leave the range of Aᵀ invariant: the largest residual is "
            f"{worst:.1e} after {made} iterations."
        )
    words = "" if invariant is False else " and may fall further"
    return (
        f"{group} move the range of Aᵀ: the largest residual is {worst:.2g} after "
        f"{made} iterations{words}. That is necessary for learning, not sufficient."
    )
