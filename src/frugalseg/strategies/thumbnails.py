"""Units as small pictures: features from the intensities alone, for the time before the first model."""

from collections.abc import Callable, Sequence

import numpy as np

from frugalseg.data.image import Image
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.scores import by_unit, voxels

SIDE = {2: 32, 3: 16}
"""Of a thumbnail, by the axes of the unit."""

PIXELS = {2: 64, 3: 16}
"""Of a thumbnail that stands for the picture itself."""

BINS = 20
"""Of an intensity histogram (GM-ABS)."""


def thumbnails(view: PoolView, units: Sequence[Unit]) -> np.ndarray:
    """A thumbnail and the histogram of each unit, (units, d); the thumbnail's distances are root mean squares."""
    return _of_images(view, units, lambda x, u: np.concatenate([_picture(x, u, SIDE), _histogram(x, u)]))


def pixels(view: PoolView, units: Sequence[Unit]) -> np.ndarray:
    """The picture of each unit with 4,096 pixels (64 x 64, or 16 x 16 x 16 for a volume), (units, 4096)."""
    return _of_images(view, units, lambda x, u: _picture(x, u, PIXELS))


def histograms(view: PoolView, units: Sequence[Unit]) -> np.ndarray:
    """The intensity histogram of each unit, 20 bins that sum to 1, over the range of its whole case."""
    return _of_images(view, units, _histogram)


def _of_images(view: PoolView, units: Sequence[Unit], describe: Callable[[np.ndarray, Unit], np.ndarray]) -> np.ndarray:
    cases = {case.id: case for case in view.cases}
    return np.asarray(by_unit(units, lambda case: _grey(cases[case].image()), describe), np.float32)


def _grey(image: Image) -> np.ndarray:
    """The mean of the channels, (1, *space), 0..1 from the 0.5th to the 99.5th percentile; 0 where all is one value."""
    x = image.channels_first().mean(0, keepdims=True)
    low, high = np.percentile(x, [0.5, 99.5])
    if low == high:
        low, high = x.min(), x.max()
    return np.asarray(np.clip((x - low) / (high - low if high > low else 1), 0, 1))


def _picture(x: np.ndarray, unit: Unit, side: dict[int, int]) -> np.ndarray:
    """A unit in a square or cube of that side, by means over areas, divided by the root of the number of pixels."""
    import torch
    from torch.nn import functional as F

    if unit.kind == "slice":
        x = np.take(x, unit.index[0], unit.axis + 1)
    pool = {2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}[x.ndim - 1]
    small = pool(torch.from_numpy(np.ascontiguousarray(x)), side[x.ndim - 1]).numpy().ravel()
    return np.asarray(small / small.size**0.5)


def _histogram(x: np.ndarray, unit: Unit) -> np.ndarray:
    values = voxels(x, unit)[0]
    return np.asarray(np.histogram(values, BINS, (0, 1))[0] / len(values))
