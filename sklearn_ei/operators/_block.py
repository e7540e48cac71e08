"""Several instruments that look at the same image."""

import math
from numbers import Integral
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.utils import check_scalar

from ..utils.params import brief, check_shape
from ._base import ForwardOperator


class _Blocks:
    """The resolved operators in the place of constants; each has its own."""

    def __init__(self, operators):
        self._namespace = SimpleNamespace(operators=operators)

    def like(self, x):
        return self._namespace


class BlockOperator(ForwardOperator):
    """Several operators at once: A x = (A_1 x, A_2 x, …).

    Parameters
    ----------
    operators : list of ForwardOperator
        Instruments that measure the same image. They have to act on every
        channel alike, which complex ones (:class:`MRI`) do not.
    n_refinements : int, default=5
        Steps x += w·B(y − A x) that follow the plain mean B of pseudo-inverses.

    Attributes
    ----------
    image_shape : tuple or None
        The first that an operator knows; the other operators follow.
    measurement_shape : tuple (m,) or None
        Measurements are vectors: those of all operators, flattened in C order
        and concatenated in the order of ``operators``.

    Notes
    -----
    With k operators A_i and their parts y_i of the measurements,

    - forward: A x = (A_1 x, …, A_k x);
    - adjoint: Aᵀ y = Σ_i A_iᵀ y_i;
    - pseudo-inverse: B y = (1/k) Σ_i A_i† y_i, then t = ``n_refinements`` steps
      of :meth:`refine`.

    Where the A_i† are exact, B A is the mean of the projections onto what each
    instrument sees. A component that all see is then restored at once, one that a
    single instrument sees up to a share of (1 − 1/k)^(t+1), and differences
    between what two see of overlapping components more slowly.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import BlockOperator, Downsampling, Inpainting
    >>> operator = BlockOperator([Downsampling(2), Inpainting(0.5)])
    >>> operator.measure(np.ones((3, 8, 8))).shape
    (3, 80)
    """

    _measurement_n_dims = 1

    def __init__(self, operators, *, n_refinements=5):
        self.operators = operators
        self.n_refinements = n_refinements

    def _checked_operators(self):
        operators = self.operators
        listed = isinstance(operators, list | tuple) and len(operators) > 0
        if not listed or not all(isinstance(op, ForwardOperator) for op in operators):
            raise TypeError(
                f"Got operators={brief(operators)}, but expected a list of "
                "ForwardOperator."
            )
        for operator in operators:
            channels = operator.image_channels
            if channels != "any":
                raise ValueError(
                    f"BlockOperator got {operator}, whose images have channels="
                    f"{channels!r}, but expected operators that act on every channel "
                    "alike."
                )
        return operators

    @property
    def image_shape(self):
        """Spatial shape of the images, or None if no operator knows it."""
        operators = self._checked_operators()
        given = [operator.image_shape for operator in operators]
        # What a mask or a matrix implies, only where no shape was given.
        given += [operator._infer_shapes(None, None)[0] for operator in operators]
        known = (check_shape("image_shape", s) for s in given if s is not None)
        return next(known, None)

    @property
    def _image_n_dims(self):
        known = [operator._image_n_dims for operator in self._checked_operators()]
        return next((n_dims for n_dims in known if n_dims is not None), None)

    def _infer_shapes(self, image_shape, measurement_shape):
        check_scalar(self.n_refinements, "n_refinements", Integral, min_val=0)
        operators = self._checked_operators()
        if image_shape is None:
            image_shape = self.image_shape
        if image_shape is None:
            if measurement_shape is not None:
                raise ValueError(
                    "BlockOperator cannot infer the shape of the images from "
                    "concatenated measurements: expected an operator with image_shape."
                )
            return None, None
        image_shape = check_shape("image_shape", image_shape)
        n_measurements = sum(
            math.prod(self._measurement_shape_of(operator, image_shape))
            for operator in operators
        )
        expected = (n_measurements,)
        if measurement_shape is not None and tuple(measurement_shape) != expected:
            raise ValueError(
                f"BlockOperator got measurements of shape {tuple(measurement_shape)}, "
                f"but expected {expected}."
            )
        return image_shape, expected

    def _measurement_shape_of(self, operator, image_shape):
        own = operator.image_shape
        if own is not None and check_shape("image_shape", own) != image_shape:
            raise ValueError(
                f"BlockOperator got operators with image_shape={image_shape} and "
                f"image_shape={tuple(own)}, but expected equal shapes."
            )
        return operator._infer_shapes(image_shape, None)[1]

    def _fix_shapes(self, image_shape, measurement_shape):
        self.operators = [
            operator.resolve(image_shape=image_shape) for operator in self.operators
        ]

    @property
    def loses(self):
        """What all operators lose, or None where they differ."""
        found = {operator.loses for operator in self._checked_operators()}
        return found.pop() if len(found) == 1 else None

    @property
    def mixing_radius(self):
        """The largest of those of the operators, None where one is unknown."""
        found = [operator.mixing_radius for operator in self._checked_operators()]
        return None if None in found else max(found)

    @property
    def n_measurements(self):
        """m, the sum of those of the operators, for one channel."""
        operators = self._constants.like(None).operators
        return sum(operator.n_measurements for operator in operators)

    def _measured(self):
        operators = self._constants.like(None).operators
        parts = [operator._measured().reshape(1, -1) for operator in operators]
        return np.concatenate(parts, axis=1)

    def _build(self, image_shape, measurement_shape):
        return _Blocks(
            [operator.resolve(image_shape=image_shape) for operator in self.operators]
        )

    def _parts(self, y, operators):
        """Return the operators with their parts of the measurements."""
        sizes = [math.prod(operator.measurement_shape) for operator in operators]
        for operator, part in zip(operators, y.split(sizes, dim=-1), strict=True):
            yield operator, part.reshape(*y.shape[:2], *operator.measurement_shape)

    def _forward(self, x, constants):
        parts = [operator.forward(x).flatten(2) for operator in constants.operators]
        return torch.cat(parts, dim=-1)

    def _adjoint(self, y, constants):
        parts = self._parts(y, constants.operators)
        return sum(operator.adjoint(part) for operator, part in parts)

    def _pinv(self, y, constants):
        parts = self._parts(y, constants.operators)
        images = sum(operator.pinv(part) for operator, part in parts)
        return images / len(constants.operators)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, from those of the operators."""
        operators = self._constants.like(None).operators
        sizes = [math.prod(operator.measurement_shape) for operator in operators]
        total = sum(
            size * operator.mean_squared_row_norm()
            for size, operator in zip(sizes, operators, strict=True)
        )
        return total / sum(sizes)
