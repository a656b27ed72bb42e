"""Strokes become clicks: networks of SAM's make know points, and a few of them along a stroke say as much."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from frugalseg.errors import DataError

MOST_CLICKS = 6
"""Clicks that strokes become at most: by then nearly every answer agrees with them."""

NO_STROKE = 255
"""In a scribble, where nothing was drawn."""


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


def drawn(strokes: Sequence[tuple[np.ndarray, int]], shape: tuple[int, ...]) -> np.ndarray:
    """A scribble (H, W) uint8 of strokes, each a path (N, 2) of (row, col) and its label; later ones lie on top."""
    scribble = np.full(shape, NO_STROKE, np.uint8)
    for path, label in strokes:
        n = 2 + int(np.abs(np.diff(path, axis=0)).sum())
        rows, columns = np.rint(points_along(path, n)).astype(int).T
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        scribble[rows[inside], columns[inside]] = label
    return scribble


def first_click(scribble: np.ndarray) -> tuple[float, float]:
    """The middle (row, col) of the longest stroke on the object. Raises `DataError` when there is none."""
    if scribble.ndim == 2:
        on_object = np.where(scribble == 1, 1, NO_STROKE)
        click = next_click(on_object, np.zeros(scribble.shape, bool))
        if click is not None:
            return click[0]
    raise DataError("a scribble is an array (H, W) with 1 where a stroke lies on the object; this one has none")


def next_click(scribble: np.ndarray, answer: np.ndarray) -> tuple[tuple[float, float], int] | None:
    """The click (row, col) and its label that an answer (H, W) should hear next, None when it agrees with the scribble.

    A scribble (H, W) is 1 on strokes on the object, 0 on strokes beside it, anything else where there is none. The
    click lies in the middle of the longest part of a stroke's middle line that the answer contradicts.
    """
    longest: tuple[int, np.ndarray, int] | None = None
    for label in (1, 0):
        wrong = (scribble == label) & (answer != label)
        pieces, n = ndimage.label(middle_line(wrong), structure=np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
        if n and (longest is None or sizes.max() > longest[0]):
            longest = int(sizes.max()), np.argwhere(pieces == 1 + sizes.argmax()), label
    if longest is None:
        return None
    _, pixels, label = longest
    row, column = pixels[np.linalg.norm(pixels - pixels.mean(0), axis=1).argmin()]
    return (float(row), float(column)), label
