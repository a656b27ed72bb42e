"""Distances from many points to a few, in blocks: never N x N, whatever the number of points."""

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
from jaxtyping import Float, Float32, Int

from frugalseg.errors import DataError

ROWS = 4096
"""Points that are looked at together; with 512 features they are 8 MB."""

CENTRES = 1024
"""Points to which distances are measured together."""

ROUNDING = 1e-6
"""A squared distance below this part of |x|^2 + |c|^2 cannot be told from rounding, and counts as 0."""


class Points:
    """N points with d features each, of any float type, in memory or memory-mapped: they are read block by block.

    Blocks are float32 and have the mean of all points taken off, so that |x|^2 + |c|^2 - 2 x.c loses no digits to
    an offset that all share. Raises `DataError` for features that are not finite.
    """

    def __init__(self, features: Float[np.ndarray, "N d"]) -> None:
        if features.ndim != 2 or 0 in features.shape:
            raise DataError(f"features must be an array (points, features), but have the shape {features.shape}")
        self.features = features
        self.mean = np.zeros(features.shape[1], np.float32)
        total = sum(block.sum(0, dtype=np.float64) for _, block in self.blocks())
        self.mean = np.asarray(total / len(features), np.float32)
        self.norms = np.concatenate([np.einsum("nd,nd->n", block, block) for _, block in self.blocks()])
        if not np.isfinite(self.norms).all():
            bad = int(np.flatnonzero(~np.isfinite(self.norms))[0]) if np.isfinite(self.mean).all() else "some point"
            raise DataError(f"the features of {bad} are not finite numbers; look at its image, or use other features")

    def __len__(self) -> int:
        return len(self.features)

    def part(self, indices: Sequence[int] | np.ndarray) -> "Points":
        """Some of the points, in memory, less the same mean."""
        some = copy(self)
        some.features = self.features[np.asarray(indices, np.int64)]
        some.norms = self.norms[np.asarray(indices, np.int64)]
        return some

    def rows(self, indices: Sequence[int] | np.ndarray) -> Float32[np.ndarray, "k d"]:
        """These points, less the mean."""
        return _float32(self.features[np.asarray(indices, np.int64)]) - self.mean

    def blocks(self) -> Iterator[tuple[slice, Float32[np.ndarray, "n d"]]]:
        """All points, less the mean, some at a time, with where they stand."""
        for start in range(0, len(self.features), ROWS):
            where = slice(start, start + ROWS)
            yield where, _float32(self.features[where]) - self.mean

    def squared(self, centres: Float32[np.ndarray, "k d"]) -> Iterator[tuple[slice, Float32[np.ndarray, "n k"]]]:
        """Squared distances of all points, some at a time, to centres that are given less the mean."""
        norms = np.einsum("kd,kd->k", centres, centres)
        for where, block in self.blocks():
            scale = self.norms[where, None] + norms
            squared = scale - 2 * (block @ centres.T)
            yield where, np.where(squared < ROUNDING * scale, 0, squared)

    def nearest(self, centres: Float32[np.ndarray, "k d"]) -> tuple[Int[np.ndarray, " N"], Float32[np.ndarray, " N"]]:
        """For each point the nearest of the centres, the first of equal ones, and the squared distance to it."""
        index, squared = np.zeros(len(self), np.int64), np.full(len(self), np.inf, np.float32)
        for first in range(0, len(centres), CENTRES):
            for where, d in self.squared(centres[first : first + CENTRES]):
                k = d.argmin(1)
                found = d[np.arange(len(d)), k]
                closer = found < squared[where]
                index[where] = np.where(closer, first + k, index[where])
                squared[where] = np.where(closer, found, squared[where])
        return index, squared

    def to_nearest(self, indices: Sequence[int] | np.ndarray) -> Float32[np.ndarray, " N"]:
        """The distance of each point to the nearest of some of them, given by their indices."""
        return np.asarray(np.sqrt(self.nearest(self.rows(indices))[1]))


def _float32(array: np.ndarray) -> np.ndarray:
    """The array in float32; from half precision by torch, which is five times as fast as NumPy."""
    if array.dtype != np.float16:
        return np.asarray(array, np.float32)
    import torch

    return np.asarray(torch.from_numpy(np.array(array)).float().numpy())
