"""Scores from what f says about its own images."""

from typing import Any

import torch

from ..operators import part_of
from ..utils.random import draw_seed, make_generator
from ..utils.torch_state import own_torch
from ._estimators import relative_energy, tensors, unwrap
from ._risk import known_noise, measurement_risk, round_trip_risk

_NOTHING = 1e-10  # a relative error that is rounding


def check_group(reconstructor):
    """Refuse an estimator without a group."""
    if getattr(reconstructor, "group_", None) is None:
        raise ValueError(
            f"{type(reconstructor).__name__} was fitted without a group, but "
            "expected one: transformed images are what this score compares."
        )


def transform_and_repeat(f, A, group, x, generator):
    """Return T_g⁻¹ f(A T_g x), with one random g for each image."""
    g = group.sample(generator, len(x))
    again = f(A.forward(group.transform(x, g)), A)
    return group.inverse_transform(again, g)


def _passes(f, A, group, batches, *, n_transforms, random_state):
    """Yield y, its A, T_g f(y), f(A T_g f(y)) and g for each measurement."""
    generator = make_generator(draw_seed(random_state))
    n_transforms = min(n_transforms, group.n_elements - 1)
    for batch in batches:
        part, y = part_of(A, batch)
        g = group.sample(generator, 1, n_transforms)
        x1 = f(y, part)
        x2 = group.transform(x1.expand(n_transforms, *x1.shape[1:]), g)
        yield y, part, x2, f(part.forward(x2), part), g


@torch.no_grad()
def round_trip(
    f,
    A,
    group,
    batches,
    *,
    noise=None,
    n_transforms=4,
    only_unseen=True,
    random_state=0,
):
    """Return :func:`round_trip_score` of a function.

    Parameters
    ----------
    f : callable
        ``f(y, A)``, from measurements to images, both tensors.
    A : ForwardOperator
        Resolved.
    group : Group
        Resolved.
    batches : iterable of torch.Tensor
        Measurements, one a time.
    noise : NoiseModel or None, default=None
        Of the measurements, with numbers in their units. None: they have none.
    n_transforms, only_unseen, random_state
        As for :func:`round_trip_score`.

    Returns
    -------
    score : float
    """
    if noise is not None:
        return -round_trip_risk(
            f,
            A,
            group,
            batches,
            noise,
            n_transforms=n_transforms,
            only_unseen=only_unseen,
            random_state=random_state,
        )

    def pairs():
        passes = _passes(
            f,
            A,
            group,
            batches,
            n_transforms=n_transforms,
            random_state=random_state,
        )
        for y1, part, _, x3, g in passes:
            difference = part.forward(group.inverse_transform(x3, g)) - y1
            if not only_unseen:
                yield difference, y1.expand_as(difference)
                continue
            image = group.transform(part.pinv(difference), g)
            seen = part.pinv(part.forward(image))
            yield image - seen, part.pinv(y1).expand_as(image)

    return -relative_energy(pairs())


@torch.no_grad()
def score_without_truth(f, A, group, batches, *, noise=None):
    """Return the score that estimators choose by, where there is no ground truth.

    Parameters
    ----------
    f, A : callable and ForwardOperator
        As for :func:`round_trip`.
    group : Group or None
        With more than one element: :func:`round_trip`. Otherwise there is only the
        measurement error, −mean ‖A f(y) − y‖² / mean ‖y‖², or with noise an unbiased
        estimate of that against A x in place of y.
    batches : iterable of torch.Tensor
        Measurements, one a time.
    noise : NoiseModel or None, default=None
        Of the measurements, with numbers in their units. None: they have none.

    Returns
    -------
    score : float
        Higher is better; without noise at most 0.
    """
    batches = list(batches)
    alone = group is None or group.n_elements < 2
    if noise is not None and alone:
        return -measurement_risk(f, A, batches, noise)
    if noise is not None:
        return round_trip(f, A, group, batches, noise=noise)
    if alone:
        parts = (part_of(A, y) for y in batches)
        return -relative_energy((A.forward(f(y, A)) - y, y) for A, y in parts)
    score = round_trip(f, A, group, batches)
    # Where the second measurement sees all that the first one saw, nothing is left
    # to compare but all of it.
    if score > -_NOTHING:
        return round_trip(f, A, group, batches, only_unseen=False)
    return score


@own_torch()
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
        Seed of the elements and of draws of noise, so that equal calls give equal
        scores.

    Returns
    -------
    score : float
        With d = A T_g⁻¹ f(A T_g f(y)) − y: −Σ‖(I − A†A) T_g A†d‖² / Σ‖A†y‖²,
        or −Σ‖d‖² / Σ‖y‖²; at most 0, higher is better. Where the estimator knows the
        noise (``noise_``), an estimate of errors against A x; see Notes.

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

    Noise n in y = A x + n is neither to be explained nor to be reproduced. Where the
    estimator knows it, the second measurement gets noise as well, n', as f expects,
    and minus the score is the unbiased estimate of

        E Σ ‖A†(h₁ − A x)‖² + ‖(I − A†A) T_g A†(h₂ − A x)‖²,
        h₁ = A f(y),  h₂ = A T_g⁻¹ f(A T_g f(y) + n'),

    over Σ‖A†y‖²: of what A sees of an image f(y) itself is judged, of the rest the
    round trip. (Without noise h₁ is close to y.) Stein's identity makes that of y:
    for linear L and a random b with mean 0 and variance 1,

        E ‖L(h(y) − A x)‖² = E ‖L(h(y) − y)‖² + ⟨L v b, L (2 (h(y + τb) − h(y))/τ − b)⟩,

    with the noise's variances v [1]_ [2]_; b and the step τ are those of
    :class:`~sklearn_ei.losses.SURE`, one b for each element. ``only_unseen=False``
    is the same of h₂ with L = I. Such an estimate may be negative, and scatters:
    compare it on the same samples. Data terms that take no noise (``"unsure"``,
    ``"splitting"``) leave the score as it is without.

    References
    ----------
    .. [1] S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE: A Black-Box
       Optimization of Regularization Parameters for General Denoising Algorithms",
       IEEE Trans. Image Processing 17(9), 2008.
    .. [2] Y. C. Eldar, "Generalized SURE for Exponential Families: Applications to
       Regularization", IEEE Trans. Signal Processing 57(2), 2009: of what A sees.
    """
    reconstructor, Y = unwrap(estimator, Y)
    check_group(reconstructor)
    return round_trip(
        reconstructor.reconstruct_tensors,
        reconstructor.operator_,
        reconstructor.group_,
        tensors(reconstructor, Y),
        noise=known_noise(reconstructor),
        n_transforms=n_transforms,
        only_unseen=only_unseen,
        random_state=random_state,
    )


@own_torch()
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
    reconstructor, Y = unwrap(estimator, Y)
    check_group(reconstructor)
    passes = _passes(
        reconstructor.reconstruct_tensors,
        reconstructor.operator_,
        reconstructor.group_,
        tensors(reconstructor, Y),
        n_transforms=n_transforms,
        random_state=random_state,
    )
    return -relative_energy((x3 - x2, x2) for _, _, x2, x3, _ in passes)
