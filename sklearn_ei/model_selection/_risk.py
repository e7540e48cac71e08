"""Scores of noisy measurements: Stein's estimates of errors against noise-free ones."""

import torch

from ..losses import stein_probe
from ..operators import part_of
from ..utils.random import draw_seed, make_generator, mix_seeds

_N_PROBES = 4


def told_noise(noise, data_term):
    """Return the noise that scores correct for, or None.

    Parameters
    ----------
    noise : NoiseModel or None
        Of the measurements, with numbers.
    data_term : DataTerm or None
        That f was trained with. One that takes no noise was chosen because the noise is
        not independent, or not trusted.

    Returns
    -------
    noise : NoiseModel or None
        None where it has no level.
    """
    if noise is None or not any(noise.levels):
        return None
    return None if getattr(data_term, "takes_noise", "") == "never" else noise


def known_noise(reconstructor):
    """Return :func:`told_noise` of a fitted estimator, which may know of none."""
    names = "noise_", "data_term_"
    return told_noise(*(getattr(reconstructor, name, None) for name in names))


def measurement_risk(f, A, batches, noise):
    """Return the estimate of Σ‖A f(y) − A x‖² / Σ‖y‖²; may be negative.

    Parameters
    ----------
    f : callable
        ``f(y, A)``, from measurements to images, both tensors.
    A : ForwardOperator
        Resolved.
    batches : iterable of torch.Tensor
        Measurements, one a time.
    noise : NoiseModel
        With numbers, in the units of the measurements.

    Returns
    -------
    risk : float
    """
    draws = make_generator(0)
    total, norm = 0.0, 0.0
    for batch in batches:
        part, y = part_of(A, batch)
        probe = Probe(noise, y.expand(_N_PROBES, *y.shape[1:]), part, draws)
        h = part.forward(f(y, part))
        moved = part.forward(f(probe.moved, part))
        total += _energy(h - y) + probe.correction(moved - h, lambda d: d) / _N_PROBES
        norm += _energy(y)
    return total / norm if norm > 0 else 0.0


def round_trip_risk(
    f, A, group, batches, noise, *, n_transforms, only_unseen, random_state
):
    """Return minus the score of a round trip of noisy measurements.

    Parameters
    ----------
    f, A, group, batches, n_transforms, only_unseen, random_state
        As for :func:`round_trip`.
    noise : NoiseModel
        With numbers, in the units of the measurements.

    Returns
    -------
    risk : float
        See the Notes of :func:`round_trip_score`; may be negative.
    """
    seed = draw_seed(random_state)
    elements, draws = make_generator(seed), make_generator(mix_seeds(seed, 1))
    n = min(n_transforms, group.n_elements - 1)
    total, norm = 0.0, 0.0
    for batch in batches:
        part, y = part_of(A, batch)
        g = group.sample(elements, 1, n)
        probe = Probe(noise, y.expand(n, *y.shape[1:]), part, draws)
        trip = Trip(f, part, group, g, noise=noise, generator=draws)
        first, second = trip(y)
        moved_first, moved_second = trip(probe.moved)
        measures = [(second, moved_second, lambda d: d)]
        if only_unseen:
            measures = [
                (first, moved_first, part.pinv),
                (second, moved_second, trip.unseen),
            ]
        for h, moved, measure in measures:
            total += _energy(measure(h - y))
            total += probe.correction(moved - h, measure)
        norm += n * _energy(part.pinv(y) if only_unseen else y)
    return total / norm if norm > 0 else 0.0


class Trip:
    """y ↦ A f(y) and A T_g⁻¹ f(A T_g f(y) + noise), with the same noise in each call.

    Without noise where ``noise`` is None.

    Parameters
    ----------
    f, A, group, noise
        As for :func:`round_trip_risk`.
    g : torch.Tensor
        Elements.
    generator : torch.Generator
        Of the noise.
    """

    def __init__(self, f, A, group, g, *, noise, generator):
        self.f, self.A, self.group, self.g = f, A, group, g
        self.noise, self.generator = noise, generator
        self.drawn = None

    def __call__(self, y):
        f, A, group, g = self.f, self.A, self.group, self.g
        x1 = f(y, A)
        x1 = x1.expand(len(g), *x1.shape[1:])
        y2 = A.forward(group.transform(x1, g))
        if self.drawn is None:
            self.drawn = torch.zeros_like(y2)
            if self.noise is not None:
                noisy = self.noise.sample(y2, self.generator)
                self.drawn = A.only_measured(noisy - y2)
        x3 = group.inverse_transform(f(y2 + self.drawn, A), g)
        return A.forward(x1), A.forward(x3)

    def unseen(self, d):
        """Return (I − A†A) T_g A†d: what the second measurement does not see."""
        image = self.group.transform(self.A.pinv(d), self.g)
        return image - self.A.pinv(self.A.forward(image))


class Probe:
    """What corrects energies of h(y) − y for the noise of y.

    Parameters
    ----------
    noise : NoiseModel
        With numbers.
    y : torch.Tensor
        Measurements, a copy for each probe.
    A : ForwardOperator or RestrictedOperator
        What measured them.
    generator : torch.Generator
        Of the probes.

    Attributes
    ----------
    moved : torch.Tensor
        y + τ b.
    """

    def __init__(self, noise, y, A, generator):
        b, variance, tau = stein_probe(noise, y, A, generator) or (0 * y, 0 * y, 1.0)
        self.b, self.weighted, self.tau = b, variance * b, tau
        self.moved = y + tau * b

    def correction(self, difference, measure):
        """Return ⟨L v b, L (2 (h(y + τ b) − h(y))/τ − b)⟩, summed over probes.

        Added to ‖L (h(y) − y)‖², its expectation is that of ‖L (h(y) − A x)‖².

        Parameters
        ----------
        difference : torch.Tensor
            h(y + τ b) − h(y).
        measure : callable
            L, linear.

        Returns
        -------
        correction : float
        """
        left = measure(self.weighted)
        right = measure(2 / self.tau * difference - self.b)
        return float((left * right).sum(dtype=torch.float64))


def _energy(d):
    return float(d.square().sum(dtype=torch.float64))
