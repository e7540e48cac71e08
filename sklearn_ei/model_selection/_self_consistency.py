"""Scores from what f says about its own images."""

from typing import Any

import torch

from ..utils.random import draw_seed, make_generator
from ._estimators import batches, relative_energy, unwrap


def check_group(reconstructor):
    """Refuse an estimator without a group."""
    if getattr(reconstructor, "group_", None) is None:
        raise ValueError(
            f"{type(reconstructor).__name__} was fitted without a group, but "
            "expected one: transformed images are what this score compares."
        )


def transform_and_repeat(reconstructor, x, generator):
    """Return T_g⁻¹ f(A T_g x), with one random g for each image."""
    operator, group = reconstructor.operator_, reconstructor.group_
    g = group.sample(generator, len(x))
    again = reconstructor._reconstruct(operator.forward(group.transform(x, g)))
    return group.inverse_transform(again, g)


def _passes(estimator, Y, n_transforms, random_state):
    """Yield f, y, T_g f(y), f(A T_g f(y)) and g for each measurement."""
    reconstructor, Y = unwrap(estimator, Y)
    check_group(reconstructor)
    operator, group = reconstructor.operator_, reconstructor.group_
    generator = make_generator(draw_seed(random_state))
    n_transforms = min(n_transforms, group.n_elements - 1)
    for y in batches(reconstructor, Y, size=1):
        g = group.sample(generator, 1, n_transforms)
        x1 = reconstructor._reconstruct(y)
        x2 = group.transform(x1.expand(n_transforms, *x1.shape[1:]), g)
        yield reconstructor, y, x2, reconstructor._reconstruct(operator.forward(x2)), g


@torch.no_grad()
def round_trip_score(
    estimator: Any,
    Y: Any,
    y: Any = None,
    *,
    n_transforms: int = 4,
    only_unseen: bool = True,
    random_state: int = 0,
) -> float:
    """Minus the relative error after measuring a transformed image again.

    Parameters
    ----------
    estimator : estimator
        Fitted with a group, or a pipeline that ends in such an estimator.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements, better others than in ``fit``.
    y : object
        Ignored; here for scikit-learn.
    n_transforms : int, default=4
        Group elements for each sample (fewer if the group is smaller).
    only_unseen : bool, default=True
        Whether to compare only what the second measurement did not see, in the
        space of images. False: all of it, in the space of measurements.
    random_state : int, default=0
        Seed of the elements, so that equal calls give equal scores.

    Returns
    -------
    score : float
        With d = A T_g⁻¹ f(A T_g f(y)) − y: −Σ‖(I − A†A) T_g A†d‖² / Σ‖A†y‖²,
        or −Σ‖d‖² / Σ‖y‖²; at most 0, higher is better.

    Raises
    ------
    ValueError
        If the estimator was fitted without a group.

    See Also
    --------
    held_out_score : Compares with measurements kept from f, without a group.

    Notes
    -----
    The second measurement, of T_g x₁ with x₁ = f(y), sees another part of the
    image than the first one did. What it does not see f has to guess, and y
    knows some of that: the guess is judged by a measurement. The part that it
    does see comes from x₁, and with it the noise of y: comparing that part too
    rewards an f that reproduces the noise.

    It cannot see an error that both passes make alike. Compare scores only for
    one operator and one group: where the group commutes with AᵀA, nothing is
    unseen and the score says nothing.
    """

    def pairs():
        for f, y1, _, x3, g in _passes(estimator, Y, n_transforms, random_state):
            A, group = f.operator_, f.group_
            difference = A.forward(group.inverse_transform(x3, g)) - y1
            if not only_unseen:
                yield difference, y1.expand_as(difference)
                continue
            image = group.transform(A.pinv(difference), g)
            yield image - A.pinv(A.forward(image)), A.pinv(y1).expand_as(image)

    return -relative_energy(pairs())


@torch.no_grad()
def equivariance_score(
    estimator: Any,
    Y: Any,
    y: Any = None,
    *,
    n_transforms: int = 4,
    random_state: int = 0,
) -> float:
    """Minus the relative equivariance error of f∘A, a diagnosis of training.

    .. warning::
       It never looks at measurements, and so cannot see whether the images are
       right: f = 0 is perfectly equivariant. It tends to favour a large α; do
       not choose α by it.

    Parameters
    ----------
    estimator : estimator
        Fitted with a group, or a pipeline that ends in such an estimator.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements.
    y : object
        Ignored; here for scikit-learn.
    n_transforms : int, default=4
        Group elements for each sample (fewer if the group is smaller).
    random_state : int, default=0
        Seed of the elements.

    Returns
    -------
    score : float
        −Σ‖f(A T_g x₁) − T_g x₁‖² / Σ‖T_g x₁‖² with x₁ = f(y).

    Raises
    ------
    ValueError
        If the estimator was fitted without a group.
    """
    passes = _passes(estimator, Y, n_transforms, random_state)
    return -relative_energy((x3 - x2, x2) for _, _, x2, x3, _ in passes)
