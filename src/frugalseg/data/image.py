"""An image as it was read: intensities with their geometry."""

from dataclasses import dataclass

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.errors import DataError


@dataclass(frozen=True, eq=False)
class Image:
    """Intensities of any real dtype, shape (*space) or (*space, K) with K channels last, and where they lie.

    Raises `DataError` when the array does not fit the geometry, holds NaN or infinity.
    """

    array: np.ndarray
    geometry: Geometry

    def __post_init__(self) -> None:
        shape, space = self.array.shape, self.geometry.shape
        if shape[: len(space)] != space or len(shape) - len(space) not in (0, 1):
            raise DataError(f"an array of shape {shape} does not fit the geometry's shape {space}")
        if self.array.dtype.kind not in "biuf":
            raise DataError(f"an image must hold numbers, but holds {self.array.dtype}")
        if self.array.dtype.kind == "f" and not np.isfinite(self.array).all():
            bad = int(self.array.size - np.isfinite(self.array).sum())
            raise DataError(f"{bad} of {self.array.size} voxels are NaN or infinite; replace them before")

    @property
    def channels(self) -> int:
        """Number of channels, 1 for a grey image."""
        return int(self.array.shape[-1]) if self.array.ndim > self.geometry.ndim else 1

    def channels_first(self) -> np.ndarray:
        """A float32 copy of shape (K, *space), for networks."""
        array = self.array if self.array.ndim > self.geometry.ndim else self.array[..., None]
        return np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=np.float32)
