"""Intensities of raw volumes, each brought into a fixed range by itself."""

import numpy as np
from jaxtyping import Float, Float32


def clipped_range(x: Float[np.ndarray, "..."], *, percentile: float = 99) -> Float32[np.ndarray, "..."]:
    """A volume from 0 to 1 between its minimum and its 99th percentile, above which it is clipped; 0 where constant.

    Source: WSL4MIS, preparation of ACDC.
    """
    x = np.asarray(x, np.float32)
    low, high = float(x.min()), float(np.percentile(x, percentile))
    if high <= low:  # nearly all of it is background
        high = float(x.max())
    if high <= low:
        return np.zeros(x.shape, np.float32)
    return np.asarray((np.clip(x, low, high) - low) / (high - low), np.float32)


def windowed(x: Float[np.ndarray, "..."], *, level: float, width: float) -> Float32[np.ndarray, "..."]:
    """A CT volume in Hounsfield units from -1 to 1 inside of a window, clipped outside."""
    half = width / 2
    return np.asarray(np.clip((np.asarray(x, np.float32) - level) / half, -1, 1), np.float32)


def standardised(x: Float[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """A volume of mean 0 and deviation 1; 0 where it is constant."""
    x = np.asarray(x, np.float64)
    deviation = float(x.std())
    return np.asarray((x - x.mean()) / (deviation if deviation > 0 else 1), np.float32)
