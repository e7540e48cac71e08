"""What the group and its weight α mean for a fit."""

import torch

from ..identifiability import GroupRankWarning, cheap_failure
from ..utils.warn import warn
from ._auto import choose_equivariance_term, choose_group
from ._parameters import needs_group, refuse_no_group

# α = 1.5 ‖A‖_F²/m is where the best values of the paper's Table 2 lie, for CT
# and inpainting alike.
_AUTO_ALPHA = 1.5


def resolve_group(parameters, operator, data_term, equivariance_term, n_features):
    """Return the group for these images, and the equivariance term that suits it.

    Parameters
    ----------
    parameters : dict
        Of the estimator.
    operator : ForwardOperator
        A, resolved.
    data_term : DataTerm
        Which may need no group.
    equivariance_term : EquivarianceTerm or "auto"
        As given.
    n_features : int
        Of the measurements, for the message.

    Returns
    -------
    group : Group or None
        Resolved.
    equivariance_term : EquivarianceTerm

    Raises
    ------
    ValueError
        If a group is needed and none is recommended, or it has too few elements.
    """
    group, image_shape = parameters["group"], operator.image_shape
    if isinstance(group, str):
        group = _recommended_group(parameters, operator, data_term)
    resolved = None if group is None else group.resolve(image_shape)
    if isinstance(equivariance_term, str):
        equivariance_term = choose_equivariance_term(resolved)
    if resolved is None:
        return None, equivariance_term
    n_transforms = equivariance_term.n_transforms
    used = parameters["alpha"] != 0 or parameters["beta"] > 0
    if n_transforms >= resolved.n_elements and used:
        raise ValueError(
            f"{group} has {resolved.n_elements} element(s) on images of shape "
            f"{image_shape} (n_features = {n_features}), but n_transforms="
            f"{n_transforms} needs as many besides the identity."
        )
    return resolved, equivariance_term


def _recommended_group(parameters, operator, data_term):
    """Return the group that group="auto" means for an operator."""
    weights = needs_group(parameters, data_term)
    if data_term.needs_truth and not weights:
        return None  # supervised training asks for one by name
    group = choose_group(operator, len(operator.image_shape))
    if group is None and weights:
        refuse_no_group(
            f"Got group='auto' and {weights} for {type(operator).__name__} and "
            f"images of shape {operator.image_shape}, for which none is recommended"
        )
    return group


def resolve_alpha(alpha, operator, group, data_term, density):
    """Return the weight of the equivariance term.

    Parameters
    ----------
    alpha : float or "auto"
        As given.
    operator : ForwardOperator
        A, resolved.
    group : Group or None
        Resolved.
    data_term : DataTerm
        Which may have ground truth.
    density : torch.Tensor or None
        Share of the samples that each entry was measured in; None if all.

    Returns
    -------
    alpha : float
    """
    if alpha != "auto":
        return float(alpha)
    if group is None:
        return 0.0
    if data_term.needs_truth:
        return 1.0
    alpha = _AUTO_ALPHA * operator.mean_squared_row_norm()
    if density is not None:  # rows that are not measured are rows of zeros
        measured = operator.measured_entries(each_channel=True)
        measured = torch.from_numpy(measured).expand(density.shape)
        alpha *= float(density[measured].mean())
    return alpha


def check_group(name, parameters, operator, group, masks):
    """Warn, or raise, if group and masks rule out learning beyond A†.

    Parameters
    ----------
    name : str
        Of the estimator, for the message.
    parameters : dict
        Its own.
    operator : ForwardOperator
        A, resolved.
    group : Group or None
        Resolved.
    masks : ndarray, LazyStack or None
        Measurements whose NaN tell what was not measured.
    """
    check_rank = parameters["check_rank"]
    if check_rank is False:
        return
    failure = cheap_failure(operator, group, masks=masks)
    if failure is None:
        return
    holes = "" if masks is None else " for a Y with NaN"
    message = (
        f"{name} got operator={parameters['operator']} and "
        f"group={group}{holes}, whose rank check says {failure} "
        "See check_group_rank, or pass check_rank=False."
    )
    if check_rank == "raise":
        raise ValueError(message)
    warn(message, GroupRankWarning)
