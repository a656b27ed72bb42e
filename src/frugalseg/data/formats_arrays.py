"""Bare arrays: npy, npz, HDF5. They know no spacing; one that is 2D or 3D is an image, a last axis may be channels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from frugalseg.data.formats_volumes import Opened
from frugalseg.data.geometry import Geometry
from frugalseg.errors import DataError, nearest

MOST_CHANNELS = 4
"""A 3D array whose last axis is this short, and the others are not, is a 2D image with channels."""


def open_npy(path: Path, _key: str | None) -> Opened:
    """A npy file; pickled objects are refused."""
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return Opened(_geometry(array.shape), lambda: np.array(array))


def open_npz(path: Path, key: str | None) -> Opened:
    """One array of a npz file: the one named, or the only one."""
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:  # numpy leaks a damaged zip
        array = file[_chosen(file.files, key)]
    return Opened(_geometry(array.shape), lambda: array)


def open_hdf5(path: Path, key: str | None) -> Opened:
    """One data set of an HDF5 file: the one named (those in groups as GROUP/NAME), or the only one."""
    import h5py

    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, found: names.append(name) if isinstance(found, h5py.Dataset) else None)
        name = _chosen(names, key)
        shape = file[name].shape

    def read() -> np.ndarray:
        with h5py.File(path, "r") as file:
            return np.asarray(file[name][()])

    return Opened(_geometry(shape), read)


def _chosen(names: Iterable[str], key: str | None) -> str:
    known = sorted(names)
    if key is None:
        if len(known) != 1:
            raise DataError(f"it holds {len(known)} arrays ({', '.join(known[:8])}); name one of them as key")
        return known[0]
    if key not in known:
        raise DataError(f"it holds no array '{key}'{nearest(key, known)}; there are: {', '.join(known[:8])}")
    return key


def _geometry(shape: tuple[int, ...]) -> Geometry:
    is_picture = len(shape) == 3 and shape[-1] <= MOST_CHANNELS < min(shape[:2])
    space = shape[:-1] if is_picture or len(shape) == 4 else shape
    return Geometry.plain(tuple(int(n) for n in space))
