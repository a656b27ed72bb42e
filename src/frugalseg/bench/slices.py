"""A plan for benches in which a 2D network sees slices."""

from typing import Any

import numpy as np

from frugalseg.data.pool import Pool


def plan_of_slices(
    pool: Pool, axis: int | None, *, network: str, side: int, dropout: float | None = None
) -> dict[str, Any]:
    """A 2D network on slices of one size, each seen whole: spacings in headers are often wrong."""
    shapes = [[n for d, n in enumerate(c.geometry.shape) if d != axis] for c in pool.cases]
    median = np.median(shapes, axis=0)
    longer = min(side, _to_8(float(median.max())))
    return {
        "ndim": 2,
        "axis": axis,
        "network": network,
        "dropout": dropout,
        "spacing": None,
        "side": longer,
        "patch": [_to_8(longer * float(n) / float(median.max())) for n in median],
    }


def _to_8(n: float) -> int:
    """The next multiple of 8."""
    return 8 * int(np.ceil(n / 8 - 1e-9))
