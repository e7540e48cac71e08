"""Measurement splitting: f sees one part of y and is compared with the other."""

from numbers import Integral

import torch
from sklearn.utils import check_scalar

from ..operators import RestrictedOperator
from ..utils.params import check_option, check_real
from ..utils.random import make_generator
from ._data_term import DataTerm, zeros_cost
from ._distance import check_distance

_AXES = ("auto", "entries")


class Splitting(DataTerm):
    """d(M₂ A x1, M₂ y) with x1 = f(M₁ y, M₁ A), for random parts M₁ and M₂ of y.

    Needs no noise model: noise may be of any kind and level, and correlated within a
    part, as long as it is independent between the parts and has mean zero. Views of
    tomography and lines of k-space are taken one by one, so that noise which a
    detector's blur correlates between bins does no harm. Alone it is Sparse2Inverse
    [1]_ for tomography and SSDU [2]_ for MRI; with the equivariance term it is
    Equivariance2Inverse [3]_, and with a network that is equivariant itself
    (:class:`~sklearn_ei.networks.GroupAveraged`) equivariant splitting [4]_.

    Parameters
    ----------
    fraction : float in (0, 1), default=0.4
        Chance of a part to be in M₂, which f does not see.
    n_splits : int, default=8
        Splits that predictions average over: the mean of f(M₁ y, M₁ A).
    axis : int, "entries" or "auto", default="auto"
        Axis of a measurement (without samples and channels) along which whole slices
        are taken: 0 for the views of a sinogram. ``"entries"``: single entries.
        ``"auto"``: the operator's ``natural_axis``, or entries where it has none.
        Lines in the middle of k-space, which all scans measure, are always seen.
    distance : {"l2", "l1", "huber"} or callable, default="l2"
        d; see :func:`check_distance`.
    noisy : bool, default=True
        False where measurements have no noise to speak of, as in much of MRI: images
        are then made to agree with what f sees, and predictions are f(y, A).

    Notes
    -----
    With the l2 distance, and noise that is independent between M₁ and M₂, the
    expectation over noise is the error against noise-free data, and a constant:

        E ‖M₂(A x1 − y)‖² = E ‖M₂(A x1 − ȳ)‖² + E ‖M₂ n‖²,   y = ȳ + n.

    What is compared is divided by the chance that it is: an entry that is measured
    in the share ω of all samples, and seen with the chance λ = 1 − ``fraction`` then,
    weighs (1 − ωλ)/(ω(1 − λ)²): the weights of [5]_, by which samples with different
    masks teach what all of k-space would, and 1/(1 − λ), as ω = 1 where all samples
    have the same.

    References
    ----------
    .. [1] E. Gruber et al., "Sparse2Inverse: Self-supervised inversion of
       sparse-view CT data", arXiv:2402.16921.
    .. [2] B. Yaman et al., "Self-supervised learning of physics-guided
       reconstruction neural networks without fully sampled reference data",
       Magnetic Resonance in Medicine, 2020.
    .. [3] "Equivariance2Inverse", arXiv:2510.23317.
    .. [4] "Equivariant splitting: self-supervised learning from incomplete data",
       arXiv:2510.00929.
    .. [5] C. Millard and M. Chiew, "A Theoretical Framework for Self-Supervised MR
       Image Reconstruction Using Sub-Sampling via Variable Density
       Noisier2Noise", IEEE Trans. Comput. Imaging, 2023.

    Examples
    --------
    >>> from sklearn_ei.losses import Splitting
    >>> Splitting(n_splits=4)
    Splitting(n_splits=4)
    """

    name = "splitting_error"
    takes_noise = "never"  # "auto" need not look for it
    density = None

    def __init__(
        self, fraction=0.4, n_splits=8, *, axis="auto", distance="l2", noisy=True
    ):
        super().__init__()
        self.fraction = fraction
        self.n_splits = n_splits
        self.axis = axis
        self.distance = distance
        self.noisy = noisy

    def check(self, noise):
        """Refuse parameters out of range; any noise will do."""
        check_real(
            "fraction",
            self.fraction,
            min_val=0,
            max_val=1,
            include_boundaries="neither",
        )
        check_scalar(self.n_splits, "n_splits", Integral, min_val=1)
        if isinstance(self.axis, str):
            check_option("axis", self.axis, _AXES)
        else:
            check_scalar(self.axis, "axis", Integral, min_val=0)
        check_distance("distance of Splitting", self.distance)
        check_scalar(self.noisy, "noisy", bool)

    def expect_missing(self, density):
        """Weigh what few samples have; see :class:`DataTerm`."""
        self.density = density

    def magnitude(self, y, truth=None):
        """Return d(0, y); see :class:`DataTerm`."""
        return zeros_cost(check_distance("distance", self.distance), y)

    @property
    def averages(self):
        """Whether predictions are means over splits."""
        return self.noisy

    @property
    def trusts_measurements(self):
        """Whether measurements are without noise, as ``noisy`` says."""
        return not self.noisy

    def draw_seen(self, A, n_samples, generator):
        """Draw M₁, what f sees, for each sample.

        Parameters
        ----------
        A : ForwardOperator or RestrictedOperator
            What measures.
        n_samples : int
            How many.
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        seen : torch.Tensor of bool, (n_samples, 1, *measurement_shape)
        """
        shape = A.measurement_layout.shape
        axis = A.natural_axis if self.axis == "auto" else self.axis
        if axis is None or axis == "entries":
            draws = torch.rand((n_samples, 1, *shape), generator=generator)
            return draws >= self.fraction
        if axis >= len(shape):
            raise ValueError(
                f"Got axis={axis} of Splitting, but expected one of the "
                f"{len(shape)} axes of a measurement of shape {shape}."
            )
        drawn = torch.rand((n_samples, shape[axis]), generator=generator)
        seen = drawn >= self.fraction
        seen[:, torch.from_numpy(_calibration_lines(A))] = True
        places = [1] * len(shape)
        places[axis] = shape[axis]
        return seen.reshape(n_samples, 1, *places).expand(-1, -1, *shape)

    def split(self, y, A, generator):
        """Return what f sees, and the part of A that measured it.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.
        A : ForwardOperator or RestrictedOperator
            What measured them.
        generator : torch.Generator
            Draws the split.

        Returns
        -------
        y1 : torch.Tensor
            M₁ y.
        part : RestrictedOperator
            M₁ A.
        seen : torch.Tensor of bool, (batch, 1, *measurement_shape)
            M₁.
        """
        seen = self.draw_seen(A, len(y), generator).to(y.device)
        part = RestrictedOperator(A, seen)
        return part.only_measured(y), part, seen

    def remeasure(self, x, A, generator):
        """Return a random part of A x, as f is used to; see :class:`DataTerm`."""
        y, A = super().remeasure(x, A, generator)
        y1, part, _ = self.split(y, A, generator)
        return y1, part

    def reconstruct(self, f, y, A):
        """Return the mean of f(M₁ y, M₁ A) over splits; see :class:`DataTerm`.

        Where they have no noise, f(y, A).
        """
        if not self.noisy:
            return f(y, A)
        generator = make_generator(0)
        total = 0
        for _ in range(int(self.n_splits)):
            seen = self.draw_seen(A, 1, generator).to(y.device)
            part = RestrictedOperator(A, seen)
            total = total + f(part.only_measured(y), part)
        return total / int(self.n_splits)

    def forward(self, f, y, A, truth=None, start=None):
        """Return x1 and the error of what f did not see; see :class:`DataTerm`."""
        y1, part, seen = self.split(y, A, self.generator)
        x1 = f(y1, part)
        weights = (~seen) / self.fraction
        if self.density is not None:
            omega = self.density.to(y).clamp_min(1e-6)
            unseen = 1 - omega * (1 - self.fraction)
            weights = weights * unseen / (omega * self.fraction)
        root = weights.to(y.dtype).sqrt()
        distance = check_distance("distance", self.distance)
        return x1, distance(root * A.forward(x1), root * A.only_measured(y))


def _calibration_lines(A):
    """Return the lines that all samples of a batch have, about the middle."""
    if not isinstance(A, RestrictedOperator):
        return A.calibration_lines()
    kept = A.kept
    if kept.ndim > len(A.measurement_shape):
        kept = kept.all(0).any(0)
    return A.operator.calibration_lines(kept.cpu().numpy())
