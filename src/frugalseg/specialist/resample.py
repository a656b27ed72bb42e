"""Changing the number of voxels of an array without moving what is in it: the outer faces stay where they are."""

import numpy as np
import torch
from torch.nn import functional as F

from frugalseg.data.label import UNKNOWN


def resample_linear(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A (K, *space) float32 array at another spatial shape, linear between voxel centres; the same array if equal."""
    if array.shape[1:] == shape:
        return array
    mode = {2: "bilinear", 3: "trilinear"}[len(shape)]
    x = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None]
    return np.asarray(F.interpolate(x, size=shape, mode=mode, align_corners=False)[0].numpy())


def resample_image(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As `resample_linear`, but blurred before along axes that shrink, so that fine texture does not alias."""
    from scipy.ndimage import gaussian_filter

    factors = [old / new for old, new in zip(array.shape[1:], shape, strict=True)]
    sigma = [max(0.0, (f - 1) / 2) for f in factors]
    if any(s > 0 for s in sigma):
        array = np.stack([gaussian_filter(channel, sigma, mode="nearest") for channel in array])
    return resample_linear(array, shape)


def resample_label(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A semantic label at another shape: the value at each voxel's centre.

    Along an axis that shrinks, a voxel whose centre nobody has looked at takes the nearest known value that it covers:
    a plane that somebody drew is never lost between two voxels.
    """
    for axis, new in enumerate(shape):
        if array.shape[axis] != new:
            array = _nearest(array, axis, new)
    return array


def _nearest(array: np.ndarray, axis: int, new: int) -> np.ndarray:
    old = array.shape[axis]
    first = np.arange(new) * old // new
    last = np.maximum(first, -(-np.arange(1, new + 1) * old // new) - 1)
    centre = ((2 * np.arange(new) + 1) * old) // (2 * new)
    result = np.take(array, centre, axis)
    for k in range(1, int((last - first).max()) + 1):
        for other in (centre - k, centre + k):
            inside = (other >= first) & (other <= last)
            found = np.take(array, np.where(inside, other, centre), axis)
            result = np.where(result == UNKNOWN, found, result)
    return np.asarray(result)
