"""The equivariance term."""

from numbers import Integral

from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ..utils.params import check_option
from ._data_term import zeros_cost
from ._distance import check_distance


class EquivarianceTerm(BaseEstimator):
    """d(f(A x2), x2) with x2 = T_g f(y), the second term of eq. (6).

    Parameters
    ----------
    n_transforms : int, default=1
        Group elements drawn for each sample and step.
    distance : {"l2", "l1", "huber"} or callable, default="l2"
        d, of images in units in which A†y has root mean square 1; see
        :func:`check_distance`. α keeps its meaning if the data term has one of the
        same kind.
    stop_gradient : bool, default=False
        Whether no gradient passes through x2 to f(y), so that f learns from
        transformed images rather than changes them, as is done with zooms for
        super-resolution and deblurring [2]_.
    masks : {"any", "own"}, default="any"
        Where samples have holes of their own (NaN): whether x2 is measured with the
        mask of any sample of the training, as if every scan could have been taken
        with every mask [3]_, or with that of its own sample. f then learns from
        several operators, as well as from the group.

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning
       Beyond the Range Space", ICCV 2021, Algorithm 1; with noise, "Robust
       Equivariant Imaging", CVPR 2022, eq. (13).
    .. [2] J. Scanvic, M. Davies, P. Abry and J. Tachella, "Scale-Equivariant
       Imaging: Self-Supervised Learning for Image Super-Resolution and
       Deblurring", arXiv:2312.11232.
    .. [3] J. Tachella, D. Chen and M. Davies, "Unsupervised Learning From Incomplete
       Measurements for Inverse Problems", NeurIPS 2022, arXiv:2201.12151.

    Examples
    --------
    >>> from sklearn_ei.losses import EquivarianceTerm
    >>> EquivarianceTerm(n_transforms=5)
    EquivarianceTerm(n_transforms=5)
    """

    name = "equivariance_error"

    def __init__(
        self, n_transforms=1, *, distance="l2", stop_gradient=False, masks="any"
    ):
        self.n_transforms = n_transforms
        self.distance = distance
        self.stop_gradient = stop_gradient
        self.masks = masks

    def check(self):
        """Refuse parameters that are out of their range."""
        check_scalar(self.n_transforms, "n_transforms", Integral, min_val=1)
        check_distance("distance of EquivarianceTerm", self.distance)
        check_scalar(self.stop_gradient, "stop_gradient", bool)
        check_option("masks", self.masks, ("any", "own"))

    def transform(self, group, x1, elements):
        """Return x2 = T_g x1 for ``n_transforms`` elements a sample."""
        x1 = x1.detach() if self.stop_gradient else x1
        n = self.n_transforms
        return group.transform(x1.repeat_interleave(n, 0) if n > 1 else x1, elements)

    def error(self, f, data_term, x2, A, generator):
        """Return d(f(A x2), x2).

        Parameters
        ----------
        f : callable
            ``f(y, A)``, from measurements to images.
        data_term : DataTerm
            Resolved; it measures x2 again, with noise if that is what f sees.
        x2 : torch.Tensor of shape (batch * n_transforms, channel, *image_shape)
            From :meth:`transform`.
        A : ForwardOperator or RestrictedOperator
            What measures it.
        generator : torch.Generator
            Of the noise.

        Returns
        -------
        error : torch.Tensor, scalar
            Mean over all elements.
        """
        y2, A = data_term.remeasure(x2, A, generator)
        distance = check_distance("distance", self.distance)
        return distance(f(y2, A), x2)

    def magnitude(self, x):
        """Return d(0, x), what images of zeros would cost."""
        return zeros_cost(check_distance("distance", self.distance), x)
