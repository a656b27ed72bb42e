"""Strokes become points: networks of SAM's make know points, and a few of them along a stroke say as much."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from frugalseg.errors import DataError

POINTS = 5
"""Points of all strokes on the object together, and of all strokes beside it; the click adapter learnt with 2 to 6."""


def spread_points(stroke: np.ndarray, n: int) -> list[tuple[float, float]]:
    """Points (row, col) of a stroke (H, W), each as far as possible from those before; an end comes first.

    Exactly n; they repeat where the stroke has fewer pixels. Raises `DataError` when it has none.
    """
    if not stroke.any():
        raise DataError("a stroke without a pixel says nothing; leave it out")
    pixels = np.argwhere(stroke).astype(float)
    chosen = [int(np.linalg.norm(pixels - pixels.mean(0), axis=1).argmax())]
    away = np.linalg.norm(pixels - pixels[chosen[0]], axis=1)
    while len(chosen) < min(n, len(pixels)):
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(pixels - pixels[chosen[-1]], axis=1))
    return [(float(pixels[k, 0]), float(pixels[k, 1])) for k in np.resize(chosen, n)]


def middle_line(stroke: np.ndarray) -> np.ndarray:
    """A stroke (H, W) without its width, so that points lie where the hand went and not at the brush's border."""
    from skimage.morphology import skeletonize

    pieces, n = ndimage.label(stroke, structure=np.ones((3, 3)))
    line = np.asarray(skeletonize(stroke.astype(bool)))
    lost = np.setdiff1d(np.arange(1, n + 1), pieces[line])
    return np.asarray(line | np.isin(pieces, lost))


def points_along(path: Sequence[Sequence[float]] | np.ndarray, n: int) -> np.ndarray:
    """Points (n, 2) at equal distances along a path (N, 2) of (row, col), both ends included; n is 2 or more.

    Raises `DataError` for a path of less than one point.
    """
    corners = np.asarray(path, float)
    if corners.ndim != 2 or corners.shape[1] != 2 or not len(corners):
        raise DataError(f"the path of a stroke is a list of (row, col), not an array of shape {corners.shape}")
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    wanted = np.linspace(0, lengths[-1], n)
    return np.stack([np.interp(wanted, lengths, corners[:, k]) for k in (0, 1)], axis=1)


def points_on(scribble: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) and their labels (N,) for a scribble (H, W): 1 on the object, 0 beside it, anything else no stroke.

    Raises `DataError` when nothing is drawn on the object, or the array is not two-dimensional.
    """
    if scribble.ndim != 2 or not (scribble == 1).any():
        raise DataError("a scribble is an array (H, W) with 1 where a stroke lies on the object; this one has none")
    found = [(spread_points(middle_line(scribble == v), POINTS), v) for v in (1, 0) if (scribble == v).any()]
    points = np.concatenate([np.array(p) for p, _ in found])
    return points, np.repeat([v for _, v in found], POINTS)
