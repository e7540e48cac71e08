"""Operator and group together, as linear maps of flat vectors."""

import math

import torch
from scipy import sparse

from ..groups import Group, recommended_group
from ..operators import check_operator
from ..utils.params import brief, check_shape
from ._masks import NoGroup

# Constants of operators are float32: identities hold to about 1e-7 at best.
_IDENTITY = {torch.float64: 1e-6, torch.float32: 2e-5}
_MAX_DOT_ERROR = 1e-3


class System:
    """A and T_g on flat vectors, checked to be linear.

    Parameters
    ----------
    operator : ForwardOperator
    group : Group, "auto" or None
        "auto": the one that is recommended for what the operator loses. None, where
        there are masks: the identity alone.
    image_shape : tuple of int or None
        Needed where the operator leaves it open; channels, if any, last. Where A
        acts on all channels alike, so does S: one of them is computed with.
    generator : torch.Generator
        Source of random test vectors.
    dtype : torch.dtype, default=torch.float64
        Float32 spares operators with a matrix a second one, for cheap checks.
    masks : Masks or None, default=None
        Of several operators M_i A. In the place of A is then M̄^½ A with the mean mask
        M̄: its Gram matrix is the mean of theirs, Aᵀ M̄ A, and its rows are those that
        any of them has.

    Attributes
    ----------
    n, m : int
        Pixels times channels, and real measurements that are not always zero,
        of what is computed with; ``copies`` of it make up an image.
    """

    def __init__(
        self,
        operator,
        group,
        image_shape,
        generator,
        *,
        dtype=torch.float64,
        masks=None,
    ):
        self.operator, n_channels = _resolve_operator(operator, image_shape, masks)
        layout = self.operator.image_layout
        self.image_shape = layout.shape
        self.has_group = group is not None
        if group is None and masks is None:
            raise TypeError(
                "Got group=None without masks, but expected a Group such as "
                "Rotations(360), or the masks of several operators."
            )
        if isinstance(group, str) and group == "auto":
            group = _recommended_group(self.operator)
        self.group = _resolve_group(group, self.image_shape)
        self.channels = layout.n_channels
        self.copies = n_channels if layout.channels == "any" else 1
        self._root = None
        if masks is not None:
            weights = masks.weights(self.operator.measurement_layout)
            self._root = weights.sqrt().to(dtype)
            if layout.channels == "any" and len(weights) > 1:
                # Each channel is measured in its own way.
                self.channels, self.copies = len(weights), 1
        if self.group.mixes_channels:
            self.channels, self.copies = self.channels * self.copies, 1
        self.pixels = math.prod(self.image_shape)
        self.n = self.channels * self.pixels
        self.generator = generator
        self.dtype = dtype
        # Positions of pixels are rounded, the more so the larger an image.
        rounding = 8 * torch.finfo(dtype).eps * max(self.image_shape)
        self.identity_tolerance = max(_IDENTITY[dtype], rounding)
        self._check_maps()

    # ------------------------------------------------------------------ actions
    def randn(self, k=1):
        """Return ``k`` Gaussian images as rows."""
        return torch.randn((k, self.n), generator=self.generator, dtype=self.dtype)

    def images(self, x):
        """Return rows as tensors (k, channel, *image_shape)."""
        return x.reshape(-1, self.channels, *self.image_shape)

    @torch.no_grad()
    def forward(self, x):
        """Return A x for rows x, without the measurements that are always zero."""
        return self._raw_forward(x)[:, self.rows]

    def _raw_forward(self, x):
        return self._weighted(self.operator.forward(self.images(x))).flatten(1)

    def _weighted(self, y):
        return y if self._root is None else y * self._root

    @torch.no_grad()
    def adjoint(self, y):
        """Return Aᵀ y for rows y of ``m`` measurements."""
        full = y.new_zeros((len(y), len(self.rows)))
        full[:, self.rows] = y
        full = self._weighted(full.reshape(-1, *self._y_shape))
        return self.operator.adjoint(full).flatten(1)

    def weight_rows(self, matrix):
        """Return M̄^½ times a sparse matrix of A, without rows that are always zero."""
        rows = self.rows.numpy()
        if self._root is None:
            return matrix[rows]
        root = self._root.expand(self._y_shape).flatten().numpy()
        return sparse.diags_array(root[rows]) @ matrix[rows]

    def normal(self, x):
        """Return AᵀA x for rows x."""
        return self.adjoint(self.forward(x))

    @torch.no_grad()
    def transform(self, x, g):
        """Return T_g x for rows x and one element, or one for each row."""
        return self.group.transform(self.images(x), g).flatten(1)

    def transpose(self, x, g):
        """Return T_gᵀ x for rows x and one element, or one for each row."""
        return self.group.adjoint(self.images(x), g).detach().flatten(1)

    # ------------------------------------------------------------------- checks
    @torch.no_grad()
    def _check_maps(self):
        x = self.randn(2)
        y = self._weighted(self.operator.forward(self.images(x)))
        self._y_shape = tuple(y.shape[1:])
        # What a Gaussian image measures as exactly zero is zero for all images.
        self.rows = (y.flatten(1) != 0).any(0)
        self.m = int(self.rows.sum())
        if self.m == 0:
            raise ValueError(
                f"{self.operator} measures nothing: expected an operator with at least "
                "one measurement that is not always zero."
            )
        g = self.group.n_elements - 1
        name = type(self.operator).__name__
        self._check_linear(x, self._raw_forward, f"{name}.forward")
        action = f"{type(self.group).__name__}.transform"
        self._check_linear(x, lambda x: self.transform(x, g), action)
        moved = self.transform(x, 0) - x
        if not float(moved.abs().max()) <= self.identity_tolerance:
            raise ValueError(
                f"Element 0 of {type(self.group).__name__} changes images by up to "
                f"{float(moved.abs().max()):.2g}, but expected it to be the identity."
            )
        ax = self.forward(x)
        noise = torch.randn(ax.shape, generator=self.generator, dtype=self.dtype)
        for y in (ax, noise):
            error = abs(float((ax * y).sum() - (x * self.adjoint(y)).sum()))
            bound = _MAX_DOT_ERROR * float(ax.norm() * y.norm())
            if not error <= bound:
                raise ValueError(
                    f"The adjoint of {name} is not its transpose: ⟨A x, y⟩ and "
                    f"⟨x, Aᵀ y⟩ differ by {error:.2g}, but expected at most "
                    f"{bound:.2g}."
                )

    def _check_linear(self, x, function, name):
        combined = function(2 * x[:1] - 3 * x[1:])
        values = function(x)
        expected = 2 * values[:1] - 3 * values[1:]
        error = relative_error(combined, expected)
        if not error <= _MAX_DOT_ERROR:
            raise ValueError(
                f"{name} is not linear: its value at 2x − 3z and 2·{name}(x) − "
                f"3·{name}(z) differ by {error:.2g} of their norm, but expected a "
                "linear map."
            )

    def null_space_moves_with(self, g):
        """Return ‖AᵀA T_g w − T_g AᵀA w‖/‖AᵀA w‖ for a Gaussian w.

        Zero for a unitary T_g means that T_g maps null(A) onto itself.
        """
        w = self.randn()
        left = self.normal(self.transform(w, g))
        right = self.transform(self.normal(w), g)
        return float((left - right).norm() / right.norm())


def relative_error(actual, expected):
    """Return ‖actual − expected‖/‖expected‖."""
    return float((actual - expected).norm() / expected.norm().clamp_min(1e-300))


def _resolve_operator(operator, image_shape, masks=None):
    check_operator(operator)
    if image_shape is None and masks is None:
        return operator.resolve(), 1
    if image_shape is None:
        layout, measured = masks.layouts(operator)
        known = operator.measurement_layout.shape is not None
        shape = None if known else measured.shape
        return operator.resolve(measurement_shape=shape), layout.n_channels
    image_shape = check_shape("image_shape", image_shape)
    try:
        layout, _ = operator.layouts(image=image_shape)
    except ValueError as error:
        layout = operator.image_layout
        if not layout.has_channel_axis:
            raise
        try:  # where the operator knows the channels, they may be left out
            layout, _ = operator.layouts(image=(*image_shape, layout.channels))
        except ValueError:
            raise error from None
    return operator.resolve(image_shape=layout.shape), layout.n_channels


def _recommended_group(operator):
    """Return the group that estimators take with ``group="auto"``."""
    shape = operator.image_layout.shape
    group = recommended_group(operator.loses, len(shape))
    if group is None:
        raise ValueError(
            f"Got group='auto' for {type(operator).__name__} and images of shape "
            f"{shape}, for which none is recommended, but expected a Group such as "
            "Rotations(360)."
        )
    return group


def _resolve_group(group, image_shape):
    if group is None:
        return NoGroup().resolve(image_shape)
    if not isinstance(group, Group):
        raise TypeError(
            f"Got group={brief(group)}, but expected a Group such as Rotations(360), "
            "or 'auto'."
        )
    known = group.image_shape
    if known is not None and tuple(known) != image_shape:
        raise ValueError(
            f"{group} acts on images of shape {tuple(known)}, but the operator's have "
            f"shape {image_shape}; expected equal shapes."
        )
    group = group.resolve(image_shape)
    if not group.n_elements:
        raise ValueError(
            f"{group} has no elements, but expected at least the identity."
        )
    return group
