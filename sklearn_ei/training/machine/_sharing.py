"""f on one batch, shared by several processes.

All that surrounds f (the operator, the group, every term of the objective and the
critic) sees whole batches in every process, with the same random numbers. Only f is
shared, which is nearly all of the work: so no term has to know about processes, and
losses and gradients are those of one process up to rounding.
"""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class SharedFunction:
    """f, of which each process computes a share of the samples.

    Parameters
    ----------
    function : ReconstructionFunction
        f.
    processes : Processes
        Who takes part. All have to call f equally often.
    """

    def __init__(self, function, processes):
        self.function = function
        self.processes = processes

    def __call__(self, y, A, start=None):
        """Return f(y, A) of all samples, in every process.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements, the same in every process.
        A : ForwardOperator
            What measured them.
        start : torch.Tensor of shape (batch, channel, *image_shape), default=None
            A†y, where it is known already.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images. As every process differentiates the same loss, the gradient
            of weights is that of its own share: they have to be added up.
        """
        share = self.processes.share(len(y))
        mine = None if start is None else _Scatter.apply(start, share, self.processes)
        y_mine = _Scatter.apply(y, share, self.processes)
        n_mine = share.stop - share.start
        with _GlobalBatchNorm(n_mine, self.processes):
            x = self.function(y_mine, A.take(_own(share)), mine)
        return _Gather.apply(x, share, len(y), self.processes)

    def add_gradients(self):
        """Add the gradients of the weights up over all processes."""
        weights = self.function.parameters()
        self.processes.add([w.grad for w in weights if w.grad is not None])


def _own(share):
    """Return the samples of a share; the first, which counts nothing, if it is none."""
    return share if share.stop > share.start else slice(0, 1)


class _Scatter(torch.autograd.Function):
    """The share of one process; one without any gets a sample that counts nothing."""

    @staticmethod
    def forward(ctx, x, share, processes):
        ctx.shape, ctx.share, ctx.processes = x.shape, share, processes
        return x[_own(share)].clone()

    @staticmethod
    def backward(ctx, gradient):
        return _assemble(gradient, ctx.share, ctx.shape[0], ctx.processes), None, None


class _Gather(torch.autograd.Function):
    """All samples, from the share of each process."""

    @staticmethod
    def forward(ctx, x, share, n_samples, processes):
        ctx.share = share
        return _assemble(x, share, n_samples, processes)

    @staticmethod
    def backward(ctx, gradient):
        mine = gradient[ctx.share]
        if len(mine) == 0:
            mine = torch.zeros_like(gradient[:1])
        return mine, None, None, None


def _assemble(x, share, n_samples, processes):
    whole = x.new_zeros((n_samples, *x.shape[1:]))
    whole[share] = x[: share.stop - share.start]
    processes.add([whole])
    return whole


class _GlobalBatchNorm(TorchFunctionMode):
    """Batch normalisation, within this context, over the samples of all processes.

    torch's own ``SyncBatchNorm`` is for GPUs, takes the place of modules, and
    cannot leave out a sample that counts nothing.
    """

    def __init__(self, n_mine, processes):
        super().__init__()
        self.n_mine = n_mine
        self.processes = processes

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _batch_norm(
        self, x, running_mean, running_var, *, weight, bias, training, momentum, eps
    ):
        if not training:
            affine = {"weight": weight, "bias": bias, "eps": eps}
            return F.batch_norm(x, running_mean, running_var, **affine)
        normalised, mean, var, n = _Normalise.apply(x, eps, self.n_mine, self.processes)
        if running_mean is not None:
            with torch.no_grad():
                unbiased = var * n / (n - 1).clamp_min(1)
                running_mean.lerp_(mean.to(running_mean), momentum)
                running_var.lerp_(unbiased.to(running_var), momentum)
        shape = (1, -1, *[1] * (x.ndim - 2))
        if weight is not None:
            normalised = normalised * weight.view(shape)
        if bias is not None:
            normalised = normalised + bias.view(shape)
        return normalised.to(x.dtype)


class _Normalise(torch.autograd.Function):
    """(x − mean)/√(var + eps) with moments of each channel over all processes."""

    @staticmethod
    def forward(ctx, x, eps, n_mine, processes):
        dims = [d for d in range(x.ndim) if d != 1]
        shape = (1, -1, *[1] * (x.ndim - 2))
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        # Moments about each process's own mean lose no digits when merged.
        own_mean = x.mean(dims)
        own_sum = (x - own_mean.view(shape)).square().sum(dims)
        n_channels = x.shape[1]
        count = x.numel() // n_channels if n_mine else 0
        everyone = torch.zeros(
            (processes.size, 2 * n_channels + 1), dtype=torch.float64, device=x.device
        )
        if count:
            everyone[processes.rank, 0] = count
            everyone[processes.rank, 1:] = torch.cat([own_mean, own_sum])
        processes.add([everyone])
        counts, moments = everyone[:, :1], everyone[:, 1:]
        means, sums = moments.split(n_channels, dim=1)
        n = counts.sum()
        mean = (counts * means).sum(0) / n
        var = (sums + counts * (means - mean).square()).sum(0) / n
        scale = (var + eps).rsqrt().to(x.dtype)
        normalised = (x - mean.to(x.dtype).view(shape)) * scale.view(shape)
        ctx.save_for_backward(normalised, scale, n)
        ctx.dims, ctx.count, ctx.processes = dims, count, processes
        ctx.mark_non_differentiable(mean, var, n)
        return normalised, mean, var, n

    @staticmethod
    def backward(ctx, gradient, *_):
        normalised, scale, n = ctx.saved_tensors
        shape = (1, -1, *[1] * (normalised.ndim - 2))
        sums = [gradient.sum(ctx.dims), (gradient * normalised).sum(ctx.dims)]
        ctx.processes.add(sums)
        # A sample that counts nothing has no gradient.
        if not ctx.count:
            return torch.zeros_like(gradient), None, None, None
        mean, slope = (total.view(shape) / n for total in sums)
        gradient = scale.view(shape) * (gradient - mean - slope * normalised)
        return gradient, None, None, None
