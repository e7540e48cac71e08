"""Sinograms with holes: what filtered back-projection is given in their place."""

import threading
from functools import partial

import numpy as np
import torch

from ._filters import ViewGeometry
from ._view_weights import divide

_REMEMBERED = 4096  # masks; drawn ones never come back


class LostRays:
    """Prepares sinograms with holes for filtered back-projection.

    Lost bins are interpolated, linearly, from their neighbours in the view. Lost
    views weigh nothing, and the others what they weigh without them: the result is
    that of an operator with these views alone. With a displaced detector, whose
    views are continued from opposite ones, lost views are interpolated from their
    neighbours as well.

    Parameters
    ----------
    geometry : ViewGeometry
        Of all views.
    measured : ndarray of bool, of shape (n_views, n_bins)
        Rays that meet the image; the others say nothing about a view.
    """

    def __init__(self, geometry: ViewGeometry, measured):
        self.geometry = geometry
        self.measured = torch.from_numpy(measured)
        self._known: dict[bytes, np.ndarray] = {}
        self._lock = threading.Lock()

    def filling(self, kept):
        """Return the function of sinograms that are zero where nothing is kept.

        Parameters
        ----------
        kept : torch.Tensor of bool, (..., n_views, n_bins)
            True where there is a measurement.

        Returns
        -------
        fill, fill_step : callable
            For sinograms, and for what a refining step leaves of them, in which
            views weigh no more than in the whole: as B A is that of all views, less
            the lost ones, no step can grow.
        """
        measured = self.measured.to(kept.device)
        seen = (kept & measured).any(-1)
        by_bin = None
        if bool((seen.unsqueeze(-1) & measured & ~kept).any()):
            by_bin = _neighbours(kept)
        flat = seen.reshape(-1, seen.shape[-1]).cpu().numpy()
        by_view = np.stack([self._by_view(mask) for mask in flat])
        by_view = torch.from_numpy(by_view).to(kept.device, torch.float32)
        by_view = by_view.reshape(*seen.shape[:-1], *by_view.shape[1:])
        displaced = self.geometry.is_displaced
        of_steps = by_view if displaced else by_view.clamp(max=1)

        def fill_by(weights, y):
            if by_bin is not None:
                y = _interpolate(y, *by_bin)
            weights = weights.to(y.dtype)
            return weights @ y if displaced else weights * y

        return partial(fill_by, by_view), partial(fill_by, of_steps)

    def _by_view(self, seen):
        key = seen.tobytes()
        with self._lock:
            known = self._known.get(key)
        if known is None:
            displaced = self.geometry.is_displaced
            known = self._interpolation(seen) if displaced else self._weights(seen)
            with self._lock:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        return known

    def _weights(self, seen):
        """Return by what a view has to be multiplied, (n_views, 1 or n_bins)."""
        if not seen.any():
            return np.zeros((len(seen), 1))
        whole = self.geometry.weights(np.ones(len(seen), dtype=bool))
        part = np.zeros((len(seen), whole.shape[1]))
        own = self.geometry.weights(seen)
        # Rays in a corner of a short scan may weigh nothing in the whole.
        np.divide(own, whole[seen], out=own, where=whole[seen] > 0)
        part[seen] = own
        return part

    def _interpolation(self, seen):
        """Return the matrix (n_views, n_views) that interpolates lost views."""
        matrix = np.diag(seen.astype(float))
        if seen.all() or not seen.any():
            return matrix
        angles = np.mod(self.geometry.angles, 2 * np.pi)
        known = np.flatnonzero(seen)
        known = known[np.argsort(angles[known], kind="stable")]
        closed = divide(self.geometry.angles, 2 * np.pi).is_closed
        for view in np.flatnonzero(~seen):
            after = np.searchsorted(angles[known], angles[view])
            before, after = known[after - 1], known[after % len(known)]
            gap = np.mod(angles[after] - angles[before], 2 * np.pi)
            way = np.mod(angles[view] - angles[before], 2 * np.pi)
            t = way / gap if gap > 0 else 0.0
            if not closed and gap > np.pi:  # across the open end: the nearer one
                t = round(t)
            matrix[view, before] += 1 - t
            matrix[view, after] += t
        return matrix


def _neighbours(kept):
    """Return the kept bins on both sides of each bin, and the way between them."""
    n_bins = kept.shape[-1]
    places = torch.arange(n_bins, device=kept.device).expand(kept.shape)
    left = torch.where(kept, places, -1).cummax(-1).values
    right = torch.where(kept, places, n_bins).flip(-1).cummin(-1).values.flip(-1)
    # Beyond the last one, there is one neighbour alone; in a lost view, none.
    left, right = (
        torch.where(left < 0, right, left).clamp(max=n_bins - 1),
        torch.where(right >= n_bins, left, right).clamp(min=0),
    )
    way = (places - left) / (right - left).clamp(min=1)
    return left, right, way


def _interpolate(y, left, right, way):
    left, right = left.expand(y.shape), right.expand(y.shape)
    way = way.to(y.dtype)
    return (1 - way) * y.gather(-1, left) + way * y.gather(-1, right)
