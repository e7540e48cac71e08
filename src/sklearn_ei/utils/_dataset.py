"""Training data that is handed out a whole batch at a time."""

import torch
from torch.utils.data import Dataset


class BatchedDataset(Dataset):
    """Measurements, and images where there are any, indexed batch by batch.

    ``__getitems__`` and :func:`identity` as ``collate_fn`` save the loader the
    splitting into samples and the stacking back.

    Parameters
    ----------
    Y : torch.Tensor of shape (n_samples, channel, *measurement_shape)
        Measurements.
    x : torch.Tensor of shape (n_samples, channel, *image_shape), default=None
        Ground truth. None: every batch carries an empty tensor in its place.
    """

    def __init__(self, Y, x=None):
        self.Y = Y
        self.x = x

    def __len__(self):
        return len(self.Y)

    def __getitem__(self, index):
        return tuple(part[0] for part in self.__getitems__([index]))

    def __getitems__(self, indices):
        indices = torch.as_tensor(indices)
        Y = self.Y[indices]
        return Y, (Y.new_empty(len(Y), 0) if self.x is None else self.x[indices])


def identity(batch):
    """Return the batch as it is."""
    return batch
