"""The samples that early stopping leaves out, and how f does on them."""

from numbers import Integral

import numpy as np
import torch

from ..metrics import psnr
from ..model_selection import score_without_truth
from ..operators import part_of

_SHARE = 0.1


def split_samples(n_samples, parameters, seed):
    """Return the numbers of samples to train on, and to stop early by.

    Parameters
    ----------
    n_samples : int
        In all.
    parameters : dict
        Of the estimator.
    seed : int
        Of the split.

    Returns
    -------
    train, valid : ndarray of int
        Increasing.
    """
    share = parameters["early_stopping"]
    share = _SHARE if share is True else share
    n_valid = max(1, round(share * n_samples))
    if n_valid >= n_samples:
        raise ValueError(
            f"Got {n_samples} sample(s) (n_samples = {n_samples}) with "
            "early_stopping=True, but expected enough to leave some for training."
        )
    fixed = isinstance(parameters["random_state"], Integral)
    if parameters["checkpoint"] is not None and not fixed:
        seed = 0  # whoever goes on has to find the same samples
    order = np.random.default_rng(seed).permutation(n_samples)
    return np.sort(order[n_valid:]), np.sort(order[:n_valid])


def score_on(Y, images, fitted, *, group, noise, device):
    """Return a function that scores f on samples left out.

    Parameters
    ----------
    Y : ndarray
        Measurements.
    images : ndarray or None
        Ground truth; some may be NaN.
    fitted : dict
        The operator and the layouts, resolved.
    group : Group or None
        Resolved.
    noise : NoiseModel or None
        That the scores without ground truth are told, with numbers.
    device : torch.device
        Where f is trained.

    Returns
    -------
    score : callable
        Of f(y, A) in the units of the user; higher is better.
    """
    operator, layout = fitted["operator_"], fitted["image_layout_"]
    to_tensor = fitted["measurement_layout_"].to_tensor
    # A missing image has no PSNR, nor has a blank one.
    known = [
        i
        for i, x in enumerate(() if images is None else images)
        if np.isfinite(x).all() and np.any(x)
    ]

    @torch.no_grad()
    def score(f):
        batches = [to_tensor(Y[i : i + 1]).to(device) for i in range(len(Y))]
        if len(known) == 0:
            return score_without_truth(f, operator, group, batches, noise=noise)
        parts = [part_of(operator, batches[i]) for i in known]
        made = [layout.to_array(f(y, part)) for part, y in parts]
        return psnr(images[known], np.concatenate(made))

    return score
