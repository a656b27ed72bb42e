"""Looking closer: a window around what a prompt means, instead of the whole picture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from frugalseg.generalists.frame import Window
from frugalseg.generalists.generalist import View
from frugalseg.generalists.prompts import OBJECT, Prompts

ROOM = 2.0
"""Sides of the object that a window shows."""

GAIN = 1.5
"""Least magnification that pays for another embedding."""

LARGE = 0.45
"""Part of the picture's longest side from which on an object is large."""

CLOSE_SIDE = 128
"""Input that shows a window or a large object: as good there as 256 px at a fifth of the cost (measured, docs)."""

NARROWEST = 24
"""Pixels of the image that a window shows at least."""


def extents(prompts: Prompts) -> list[np.ndarray | None]:
    """The box (first row, first column, last row, last column) that each prompt claims, None for clicks alone.

    Boxes and rough masks say how large the object is; clicks on the object widen what they say.
    """
    return [_extent(prompts, k) for k in range(len(prompts))]


def _extent(prompts: Prompts, k: int) -> np.ndarray | None:
    corners = []
    if prompts.boxes is not None:
        corners += [prompts.boxes[k, :2], prompts.boxes[k, 2:]]
    if prompts.masks is not None and (prompts.masks[k] > 0).any():
        rows, columns = np.nonzero(prompts.masks[k] > 0)
        corners += [np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()])]
    if not corners:
        return None
    clicks = prompts.points[k][prompts.labels[k] == OBJECT]
    every = np.concatenate([np.stack(corners), clicks])
    return np.concatenate([every.min(0), every.max(0)])


def glance(view: View) -> View:
    """The whole picture as it is looked at first, to find out how large the object under clicks is."""
    return replace(view, most_side=CLOSE_SIDE)


def nearer(view: View, clicks: np.ndarray) -> View | None:
    """A view half as wide around clicks (N, 2), inside the picture; None where it would leave one of them out."""
    pitch, size = np.array(view.spacing), np.array(view.size)
    width = _longest(view.window or (0, 0, *view.size), view.spacing) / 2
    length = np.clip(np.rint(width / pitch), 1, size).astype(int)
    start = np.clip(np.rint(clicks.mean(0) - length / 2).astype(int), 0, size - length)
    if not ((clicks >= start) & (clicks < start + length)).all():
        return None
    window = (int(start[0]), int(start[1]), int(start[0] + length[0]), int(start[1] + length[1]))
    return replace(view, window=window, least_side=CLOSE_SIDE, most_side=CLOSE_SIDE)


def shows_each_pixel(view: View, side: int) -> bool:
    """True when an input of that side shows the view without leaving a pixel out."""
    return _longest(view.window or (0, 0, *view.size), view.spacing) <= side * min(view.spacing)


def window_around(box: np.ndarray, size: tuple[int, int], spacing: tuple[float, float] = (1.0, 1.0)) -> Window:
    """A window, square in mm, twice as large as a box, inside the image where it fits.

    Its side is rounded up to a power of the square root of two and its place to a quarter of that, so that neighbours
    and later clicks share a window, and thereby an embedding.
    """
    pitch = np.array(spacing) / min(spacing)
    longest = float(((box[2:] - box[:2] + 1) * pitch).max()) * ROOM
    side = NARROWEST * 2 ** (np.ceil(2 * np.log2(max(longest / NARROWEST, 1))) / 2)
    length = np.maximum(1, np.rint(side / pitch)).astype(int)
    step = np.maximum(1, length // 4)
    middle = (box[:2] + box[2:] + 1) / 2
    start = np.rint((middle - length / 2) / step).astype(int) * step
    room = np.array(size) - length
    start = np.where(room >= 0, np.clip(start, 0, np.maximum(room, 0)), start)
    return int(start[0]), int(start[1]), int(start[0] + length[0]), int(start[1] + length[1])


def closer(view: View, box: np.ndarray) -> View:
    """The view that shows what is in a box: a window around it where that magnifies by 1.5, else the whole picture."""
    whole = _longest((0, 0, *view.size), view.spacing)
    window = window_around(box, view.size, view.spacing)
    if whole >= GAIN * _longest(window, view.spacing):
        return replace(view, window=window, least_side=CLOSE_SIDE, most_side=CLOSE_SIDE)
    is_large = _longest((box[0], box[1], box[2] + 1, box[3] + 1), view.spacing) >= LARGE * whole
    return replace(view, most_side=CLOSE_SIDE) if is_large else view


def _longest(box: Sequence[float] | np.ndarray, spacing: tuple[float, float]) -> float:
    """The longer side of a box (first row, first column, past the last row, past the last column) in mm."""
    return float(max((box[2] - box[0]) * spacing[0], (box[3] - box[1]) * spacing[1]))
