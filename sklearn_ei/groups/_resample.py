"""Affine maps of images about their centre: interpolated, and by shears."""

import math

import torch
import torch.nn.functional as F

from ..utils.device import table

INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
_BY_FINENESS = ("nearest", "bilinear", "bicubic", "fft")


def _working_dtype(x):
    # Positions in half precision would be off by whole pixels.
    return torch.promote_types(x.dtype, torch.float32)


def compose(maps):
    """Return the map of T_1 T_2 … T_k from those of T_1 to T_k.

    With (T_k x)(r) = x(M_k r + b_k), the last acts on images first, and its map
    on coordinates last: M = M_k … M_2 M_1.

    Parameters
    ----------
    maps : iterable of torch.Tensor of shape (batch, d, d + 1)
        M and b, side by side.

    Returns
    -------
    torch.Tensor of shape (batch, d, d + 1)
    """
    first, *others = maps
    for later in others:
        moved = later[..., :-1] @ first
        first = torch.cat([moved[..., :-1], moved[..., -1:] + later[..., -1:]], -1)
    return first


def invert(maps):
    """Return the inverse of maps r ↦ M r + b, of shape (batch, d, d + 1)."""
    # Without a look at whether M is singular, for which a GPU would wait.
    matrix = torch.linalg.inv_ex(maps[..., :-1]).inverse
    return torch.cat([matrix, -matrix @ maps[..., -1:]], -1)


def finest(groups):
    """Return the finest interpolation among groups that interpolate, or None."""
    found = {group.interpolation for group in groups if not group.is_exact}
    return max(found - {None}, key=_BY_FINENESS.index, default=None)


def resample(x, maps, interpolation):
    """Return images y(r) = x(M r + b), zero outside.

    Parameters
    ----------
    x : torch.Tensor of shape (batch, channel, *image_shape)
        Images with one, two or (not bicubic) three axes.
    maps : torch.Tensor of shape (batch, d, d + 1), float64
        M and b, side by side, one for each sample. They act on positions in
        pixels from the image's centre, axes in the order of ``image_shape``.
    interpolation : {"bilinear", "bicubic", "nearest"}
        How values between pixels are found.

    Returns
    -------
    y : torch.Tensor of the shape of ``x``
    """
    shape, dtype = x.shape, _working_dtype(x)
    if x.ndim == 3:
        # As images of a single row, on which all positions fall.
        x = x[:, :, None]
        column, shift = maps[:, 0, :1], maps[:, 0, 1:]
        zero, one = torch.zeros_like(shift), torch.ones_like(shift)
        rows = [torch.cat([one, zero, zero], -1), torch.cat([zero, column, shift], -1)]
        maps = torch.stack(rows, 1)
    # grid_sample takes the last axis first, and each runs from −1 to 1 whatever
    # its length.
    half = table(x.shape[:1:-1], x.device) / 2
    matrix = maps[..., :-1].flip((-2, -1)) * half / half[:, None]
    theta = torch.cat([matrix, maps[..., -1:].flip(-2) / half[:, None]], -1)
    y = F.grid_sample(
        x.to(dtype),
        F.affine_grid(theta.to(dtype), x.shape, align_corners=False),
        mode=interpolation,
        padding_mode="zeros",
        align_corners=False,
    )
    return y.to(x.dtype).reshape(shape)


def quarter_turns(x, count):
    """Return images turned by ``count`` · 90° counter-clockwise, exactly.

    Parameters
    ----------
    x : torch.Tensor of shape (batch, channel, height, width)
        Images; square if some count is odd.
    count : torch.Tensor of shape (batch,)
        Whole numbers, one for each sample.

    Returns
    -------
    y : torch.Tensor of the shape of ``x``
    """
    count = count.reshape(-1, 1, 1, 1)
    x = torch.where(count % 4 >= 2, x.flip((-2, -1)), x)
    if x.shape[-2] != x.shape[-1]:
        return x
    return torch.where(count % 2 == 1, torch.rot90(x, 1, (-2, -1)), x)


def _shear(x, slope, axis):
    """Shift lines along ``axis``, periodically, by slope · distance to the centre.

    The shift is a multiplication by exp(−2πi f s) in Fourier space. For an even
    length, the Nyquist frequency has no partner to make the result real: its
    multiplier cos πs is replaced by its sign, which keeps the shear orthogonal.
    """
    x = x.transpose(axis, -1)
    n_lines, length = x.shape[-2:]
    distance = torch.arange(n_lines, device=x.device) - (n_lines - 1) / 2
    shift = (slope[:, None] * distance)[:, None, :, None]
    frequency = torch.fft.rfftfreq(length, device=x.device, dtype=torch.float64)
    angle = -2 * math.pi * frequency * shift
    multiplier = torch.polar(torch.ones_like(angle), angle)
    if length % 2 == 0:
        nyquist = 1 - 2 * (shift.round() % 2)
        multiplier = torch.cat([multiplier[..., :-1], nyquist.to(multiplier)], -1)
    spectrum = torch.fft.rfft(x)
    y = torch.fft.irfft(spectrum * multiplier.to(spectrum.dtype), n=length)
    return y.transpose(axis, -1)


def rotate_by_shears(x, degrees):
    """Return square images turned by three shears, with an exact inverse.

    Parameters
    ----------
    x : torch.Tensor of shape (batch, channel, size, size)
        Images.
    degrees : torch.Tensor of shape (batch,), float64
        Angles counter-clockwise, one for each sample. Opposite angles give
        inverse, and transposed, maps.

    Returns
    -------
    y : torch.Tensor of the shape of ``x``

    Notes
    -----
    With θ in [−45°, 45°] after whole quarter turns, and (column, row) about the
    centre,

        R_θ = [1 t; 0 1] [1 0; −sin θ 1] [1 t; 0 1],   t = tan θ/2.

    References
    ----------
    M. Unser, P. Thévenaz and L. Yaroslavsky, "Convolution-based interpolation
    for fast, high-quality rotation of images", IEEE Transactions on Image
    Processing 4(10), 1995.
    """
    y = x.to(_working_dtype(x))
    degrees = degrees - 360 * (degrees / 360).round()
    turns = (degrees / 90).round()
    theta = torch.deg2rad(degrees - 90 * turns)
    # Quarter turns come before the shears for positive angles and after them
    # for negative ones: only so is the map of −θ the inverse of that of θ.
    y = quarter_turns(y, turns.clamp(min=0))
    y = _shear(y, (theta / 2).tan(), -1)
    y = _shear(y, -theta.sin(), -2)
    y = _shear(y, (theta / 2).tan(), -1)
    y = quarter_turns(y, turns.clamp(max=0))
    return y.to(x.dtype)
