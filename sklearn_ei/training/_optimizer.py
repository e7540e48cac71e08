"""What optimizers of a net are like, wherever their state comes from."""

import torch


def set_rate(optimizer, rate):
    """Set the learning rate, without making a GPU wait.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Whose rates are numbers, or tensors on the device.
    rate : float
        Of all its weights.
    """
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def settle(optimizer, device, *, capture):
    """Fit an optimizer, new or with a state from elsewhere, to this machine.

    Rates are kept on the device, where a record of a step sees them change. Without
    records they are plain numbers, also those of a state that was trained with them
    on another machine.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Changed in place.
    device : torch.device or str
        Where its weights are.
    capture : bool
        Whether steps are recorded.
    """
    _follow_layout(optimizer)
    for group in optimizer.param_groups:
        group["capturable"] = capture
        rate = float(group["lr"])
        group["lr"] = torch.tensor(rate, device=device) if capture else rate


def _follow_layout(optimizer):
    """Lay an optimizer's moments out in memory as its weights are.

    The fused kernels walk through both side by side, whatever their strides; what
    comes from a file is contiguous, and weights may be channels-last.
    """
    for weight, state in optimizer.state.items():
        for name, moment in state.items():
            if moment.shape == weight.shape and moment.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=moment.dtype).copy_(moment)
