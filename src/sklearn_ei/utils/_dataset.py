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
        parts = (self.Y, self.truth, self.start)
        # A lazy stack may be indexed on the CPU, with A†y of it on a GPU.
        return tuple(
            None if part is None else part[indices.to(getattr(part, "device", "cpu"))]
            for part in parts
        )


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
