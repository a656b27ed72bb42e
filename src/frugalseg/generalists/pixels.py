"""Any image as a float RGB tensor, the door of every generalist."""

import numpy as np
import torch
from torch import Tensor

from frugalseg.errors import DataError

LOW, HIGH = 0.5, 99.5
"""Percentiles of the intensities that become 0 and 255."""


def to_rgb(image: np.ndarray) -> Tensor:
    """A picture (H, W), (H, W, 1), (H, W, 3) or (H, W, 4; the last is dropped) as (3, H, W) float32 from 0 to 255.

    8-bit colour stays as it is; everything else is stretched between its 0.5 and 99.5 percentiles, without rounding,
    so 16-bit images lose nothing. A constant image becomes black. Raises `DataError` for other shapes, NaN, complex.
    """
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise DataError(f"a generalist sees pictures of shape (H, W) or (H, W, 3), not {np.shape(image)}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"a picture must hold real numbers, but holds {array.dtype}")
    array = array[..., :3]
    is_ready = array.dtype == np.uint8 and array.shape[2] == 3
    pixels = array.astype(np.float32) if is_ready else _stretched(array)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).expand(3, -1, -1)


def _stretched(array: np.ndarray) -> np.ndarray:
    values = array.astype(np.promote_types(array.dtype, np.float32))  # 32-bit integers do not fit into float32
    if not np.isfinite(values).all():
        raise DataError("a picture holds NaN or infinite values; replace them before")
    low, high = np.percentile(values, (LOW, HIGH))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.float32)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1) * 255, dtype=np.float32)
