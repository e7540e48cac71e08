"""Weights averaged over the steps of a training."""

import torch
from torch.optim.swa_utils import AveragedModel

# The average reaches over the last ninth of the steps so far, at most 1000.
_WARM_UP = 9
_LEAST_WEIGHT = 1e-3


@torch.no_grad()
def _follow(averaged, current, n_averaged):
    """Move averaged weights towards those of the last step, in place."""
    weight = (_WARM_UP / (_WARM_UP + 1 + n_averaged)).clamp(min=_LEAST_WEIGHT)
    difference = torch._foreach_sub(current, averaged)
    torch._foreach_mul_(difference, weight)
    torch._foreach_add_(averaged, difference)


class AveragedWeights(AveragedModel):
    """f with weights averaged over steps, which wander less than the last ones.

    An exponential moving average whose memory grows with the training: after n
    steps, ā += (w − ā) · max(9/(10 + n), 0.001), the decay min(0.999, (1 + n)/(10 +
    n)) with warm-up that is custom since TensorFlow's ``ExponentialMovingAverage``.
    So it reaches over the last ninth of a training, however long that is [1]_.

    Buffers, such as the statistics of batch normalisation, are those of the last step.

    Parameters
    ----------
    function : ReconstructionFunction
        f, with its weights at the beginning; it is copied.

    References
    ----------
    .. [1] T. Karras et al., "Analyzing and Improving the Training Dynamics of
       Diffusion Models", CVPR 2024, on averages whose length is a share of the
       training.
    """

    def __init__(self, function):
        super().__init__(function, multi_avg_fn=_follow)
        self.requires_grad_(False)

    def _apply(self, fn, recurse=True):
        # The count stays on the CPU: looking at it must not make a GPU wait.
        count = self.n_averaged
        super()._apply(fn, recurse)
        self.n_averaged = count
        return self
