"""Training data that is handed out a whole batch at a time."""

import math

import torch
from torch.utils.data import Dataset


class BatchedDataset(Dataset):
    """Measurements, and what belongs to them, indexed batch by batch.

    Parameters
    ----------
    Y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements; lazy ones are read batch by batch.
    truth : torch.Tensor or LazyTensor of shape (n_samples, channel, *image_shape), \
            default=None
        Ground truth.
    start : torch.Tensor of shape (n_samples, channel, *image_shape), default=None
        A†y, where it has been computed beforehand.
    """

    def __init__(self, Y, truth=None, start=None):
        self.Y = Y
        self.truth = truth
        self.start = start

    def __len__(self):
        return len(self.Y)

    @property
    def device(self):
        """Where samples are indexed; lazy ones are on the CPU."""
        return getattr(self.Y, "device", torch.device("cpu"))

    def __getitem__(self, index):
        return tuple(
            None if part is None else part[0] for part in self.__getitems__([index])
        )

    def __getitems__(self, indices):
        indices = torch.as_tensor(indices)
        return tuple(_take(p, indices) for p in (self.Y, self.truth, self.start))


def _take(part, indices):
    if part is None:
        return None
    if not isinstance(part, torch.Tensor):
        return part[indices.cpu()]
    if part.device != indices.device:  # a lazy stack with A†y of it on a GPU
        indices = indices.to(part.device)
    return part.index_select(0, indices)


class BatchLoader:
    """Iterate over the batches of a data set, in a new order each time.

    torch's ``DataLoader`` spends more time on one sample of such a data set than
    this does on a batch.

    Parameters
    ----------
    dataset : BatchedDataset
        What to iterate over.
    batch_size : int
        Samples a batch; the last one may be smaller.
    generator : torch.Generator or None
        Source of the order; None keeps that of the data set.
    """

    def __init__(self, dataset, batch_size, generator=None):
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self):
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self):
        n_samples = len(self.dataset)
        if self.generator is None:
            order = torch.arange(n_samples)
        else:
            order = torch.randperm(n_samples, generator=self.generator)
        # One copy an epoch, in place of one a batch that each makes a GPU wait.
        order = order.to(self.dataset.device)
        for indices in order.split(self.batch_size):
            yield self.dataset.__getitems__(indices)
