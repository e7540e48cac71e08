"""Complex numbers in channels, and Fourier transforms with zero in the middle."""

import torch


def to_complex(x):
    """Return (batch, c, H, W) complex of (batch, 2c, H, W) real."""
    pairs = x.reshape(len(x), -1, 2, *x.shape[2:]).movedim(2, -1)
    return torch.view_as_complex(pairs.contiguous())


def to_channels(z):
    """Return (batch, 2c, H, W) real of (batch, c, H, W) complex."""
    return torch.view_as_real(z).movedim(-1, 2).flatten(1, 2)


def centered(transform, z):
    """Apply an orthonormal transform with the zero frequency in the middle."""
    z = torch.fft.ifftshift(z, dim=(-2, -1))
    return torch.fft.fftshift(transform(z, norm="ortho"), dim=(-2, -1))
