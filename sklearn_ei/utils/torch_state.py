"""The user's own torch: settings that must not change results, nor be changed."""

from contextlib import ExitStack, contextmanager

import torch

_AUTOCAST_DEVICES = ("cpu", "cuda")


@contextmanager
def own_torch():
    """Compute as torch does by itself, whatever the user has set.

    Within this context the default dtype is float32, the default device the CPU,
    gradients are on where nobody switches them off within, and there is neither
    inference mode nor autocast. Everything is as it was afterwards. Also a decorator.

    All but the default dtype belong to the thread. That one is set, and put back,
    only where it is another one; other threads then see float32 meanwhile.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        dtype = torch.get_default_dtype()
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        yield
