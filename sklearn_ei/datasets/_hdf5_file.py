"""An HDF5 file of somebody else, whose data is all there and its own."""

import os
import posixpath
from pathlib import Path

import numpy as np

from ._files import check_fits, existing, readable, require

_MOST_LINKS = 16  # followed one after the other
_NUMBERS = "biuf"


class Hdf5File:
    """Data sets of numbers in a file, which is closed with the object.

    HDF5 fills what is not there with zeros: chunks that were never written, and the
    missing sources of virtual data sets. Here they are refused. Links and virtual
    sources are followed into files in the folder of the file, or below, and nowhere
    else; external storage, which is a piece of any file at all, is refused.

    Parameters
    ----------
    path : str or path-like
        The file.
    what : str
        Whose reader this is, for the messages.
    """

    def __init__(self, path, what):
        self._h5py = require("h5py", what)
        self.path = existing(path, kind="file")
        self._root = self.path.resolve().parent
        self._files = {}
        self._seen = []
        self.file = self._open(self.path.resolve())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for file in self._files.values():
            file.close()

    def entry(self, name):
        """Return a group or data set, after links to it were followed, or None."""
        return self._follow(self.file, name, 0)

    def data(self, name, *, kinds=_NUMBERS, optional=False):
        """Return a data set of numbers, or None if it is optional and not there.

        Parameters
        ----------
        name : str
            Its path in the file.
        kinds : str
            Of the dtypes that are expected.
        optional : bool
            Whether it may be missing.

        Returns
        -------
        h5py.Dataset or None
        """
        entry = self.entry(name)
        if entry is None and optional:
            return None
        if getattr(entry, "shape", None) is None or entry.dtype.kind not in kinds:
            what = "complex numbers" if kinds == "c" else "numbers"
            raise ValueError(
                f"Got {str(self.path)!r} with {', '.join(self.names()) or 'nothing'}, "
                f"but expected a data set {name!r} of {what}."
            )
        return entry

    def names(self):
        """Return the names of the first things in the file."""
        names = []
        with readable(self.path, "an HDF5 file"):
            self.file.visit(
                lambda name: names.append(name) if len(names) < 20 else None
            )
        return names[:20]

    def read(self, data, *, axis=0, samples=None, frames=None):
        """Return values of a data set, all of which were written.

        Parameters
        ----------
        data : h5py.Dataset
            Of this file.
        axis : int, default=0
            Which axis ``samples`` is of.
        samples : slice, default=None
            Which samples to read; None for all.
        frames : ndarray of int, default=None
            With ``axis=1``: which entries of axis 0, increasing; None for all.
        """
        chosen = slice(None) if samples is None else samples
        shape = list(data.shape)
        if samples is not None:
            shape[axis] = len(range(shape[axis])[chosen])
        if frames is not None:
            shape[0] = len(frames)
        check_fits(self.path, shape, data.dtype, f"data set {data.name!r}")
        self.check(data, axis, chosen)
        numbers = range(data.shape[axis])[chosen]
        turned = numbers.step < 0  # which HDF5 cannot read
        numbers = numbers[::-1] if turned else numbers
        chosen = slice(numbers.start, max(numbers.stop, 0), numbers.step)
        with readable(self.path, f"a readable data set {data.name!r}"):
            values = data[chosen] if axis == 0 else frames_of(data, frames, chosen)
        return np.flip(values, axis) if turned else values

    def check(self, data, axis=0, samples=slice(None)):
        """Refuse a data set of which a part is missing, or not in this folder."""
        where = f"data set {data.name!r}"
        if Path(data.file.filename) != self.path.resolve():
            where += f" of {data.file.filename!r}"
        with readable(self.path, f"a readable {where}"):
            external, virtual = data.external, data.is_virtual
            if not (external or virtual):
                n_missing, first = _unwritten(data, axis, samples)
        if external:
            raise ValueError(
                f"Got {str(self.path)!r} with values of {where} in the file "
                f"{external[0][0]!r}, but expected them in the HDF5 file itself: "
                "external storage is not followed."
            )
        if virtual:
            if data in self._seen:
                raise ValueError(
                    f"Got {str(self.path)!r} with virtual {where} that is its own "
                    "source, but expected another one."
                )
            self._seen.append(data)
            self._check_sources(data, where)
            self._seen.pop()
        elif n_missing:
            raise ValueError(
                f"Got {str(self.path)!r} with {where} of which {n_missing} part(s) "
                f"were never written, the first at {first}, but expected all values; "
                "read the part that is there with samples=."
            )

    def _open(self, path):
        with readable(path, "an HDF5 file"):
            if path not in self._files:
                self._files[path] = self._h5py.File(path, "r")
            return self._files[path]

    def _beside(self, name, source, why):
        """Return a file that another one names, if it is in the folder or below."""
        named = Path(source).parent / os.fsdecode(name)
        if Path(name).is_absolute() and not named.exists():
            named = Path(source).parent / named.name  # as HDF5 looks for it
        found = named.resolve()
        if not found.is_relative_to(self._root):
            raise ValueError(
                f"Got {str(self.path)!r} with {why} in {str(found)!r}, but expected "
                f"files in {str(self._root)!r}: put both in one folder."
            )
        if not found.is_file():
            raise ValueError(
                f"Got {str(self.path)!r} with {why} in {str(found)!r}, which is not "
                "there, but expected that file."
            )
        return self._open(found)

    def _follow(self, file, name, n_links):
        """Return what has a name, going through links one by one."""
        entry = file
        parts = [part for part in posixpath.normpath(f"/{name}").split("/") if part]
        for i, part in enumerate(parts):
            with readable(self.path, f"a data set {name!r}"):
                if not isinstance(entry, self._h5py.Group):
                    return None
                link = entry.get(part, getlink=True)
            rest = "/".join(parts[i + 1 :])
            if isinstance(link, self._h5py.SoftLink | self._h5py.ExternalLink):
                if n_links == _MOST_LINKS:
                    raise ValueError(
                        f"Got {str(self.path)!r} with links that do not end at "
                        f"{name!r}, but expected a data set."
                    )
                target, holder = posixpath.join(link.path, rest), entry.file
                if isinstance(link, self._h5py.ExternalLink):
                    why = f"a link at {part!r}"
                    holder = self._beside(link.filename, holder.filename, why)
                else:
                    target = posixpath.join(entry.name, target)
                return self._follow(holder, target, n_links + 1)
            with readable(self.path, f"a data set {name!r}"):
                entry = None if link is None else entry[part]
            if entry is None:
                return None
        return entry

    def _check_sources(self, data, where):
        """Refuse a virtual data set that has gaps, or sources that are not there."""
        with readable(self.path, f"a readable {where}"):
            sources = data.virtual_sources()
        for source in sources:
            if "%" in source.file_name or "%" in source.dset_name:
                raise ValueError(
                    f"Got {str(self.path)!r} with virtual {where} from the pattern "
                    f"{source.file_name!r}, but expected names of files."
                )
        with readable(self.path, f"a readable {where}"):
            n_values = sum(source.vspace.get_select_npoints() for source in sources)
        if n_values != data.size:
            raise ValueError(
                f"Got {str(self.path)!r} with virtual {where}, {n_values} of whose "
                f"{data.size} values have a source, but expected all."
            )
        for source in {(s.file_name, s.dset_name): s for s in sources}.values():
            why = f"a source of {where}"
            file = data.file
            if source.file_name != ".":
                file = self._beside(source.file_name, file.filename, why)
            found = self._follow(file, source.dset_name, 0)
            parts = [
                s
                for s in sources
                if (s.file_name, s.dset_name) == (source.file_name, source.dset_name)
            ]
            if not all(self._covers(found, part) for part in parts):
                raise ValueError(
                    f"Got {str(self.path)!r} with {why} in {file.filename!r}, "
                    f"{source.dset_name!r}, which is not there or too small, but "
                    "expected all its values."
                )
            self.check(found)

    def _covers(self, found, source):
        """Return whether a data set has what a virtual one takes from it."""
        if getattr(found, "shape", None) is None:
            return False
        space = source.src_space
        if space.get_select_type() == self._h5py.h5s.SEL_ALL:
            return found.size == source.vspace.get_select_npoints()
        last = space.get_select_bounds()[1]
        return len(last) == found.ndim and np.all(np.array(last) < found.shape)


def _unwritten(data, axis, samples):
    """Return how many parts of a data set were never written, and where one is."""
    if data.chunks is None:
        missing = data.id.get_storage_size() < data.size * data.dtype.itemsize
        return int(missing), (0,) * data.ndim
    grid = [-(-n // chunk) for n, chunk in zip(data.shape, data.chunks, strict=True)]
    if data.id.get_num_chunks() == np.prod(grid):
        return 0, None
    written = np.zeros(grid, bool)

    def note(chunk):
        written[tuple(np.array(chunk.chunk_offset) // data.chunks)] = True

    data.id.chunk_iter(note)
    rows = range(data.shape[axis])[samples]
    needed = np.unique(np.array(rows) // data.chunks[axis])
    missing = np.argwhere(~np.take(written, needed, axis=axis))
    if not len(missing):
        return 0, None
    first = missing[0]
    first[axis] = needed[first[axis]]
    return len(missing), tuple((first * data.chunks).tolist())


def frames_of(data, frames, rows):
    """Return ``data[frames, rows]`` of an HDF5 data set, frames in runs.

    Reading numbers one by one is what HDF5 is slow at.
    """
    if frames is None:
        return data[:, rows]
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    runs = [run for run in np.split(frames, breaks) if len(run)]
    return np.concatenate([data[int(run[0]) : int(run[-1]) + 1, rows] for run in runs])
