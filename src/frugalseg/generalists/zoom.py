"""Looking closer: a window around what a prompt means, instead of the whole picture."""

from dataclasses import replace

import numpy as np

from frugalseg.generalists.frame import Window
from frugalseg.generalists.generalist import View
from frugalseg.generalists.prompts import OBJECT, Prompts

ROOM = 2.0
"""Sides of the object that a window shows."""

GAIN = 1.5
"""Least magnification that pays for another embedding."""

LEAST_SIDE = 128
"""Smallest input for a window: at 64 px a window brings hardly more than the whole picture (measured, docs)."""

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
    """The view of a window around a box, or the view itself where that would magnify by less than 1.5."""
    window = window_around(box, view.size, view.spacing)
    shown = max((window[2] - window[0]) * view.spacing[0], (window[3] - window[1]) * view.spacing[1])
    whole = max(n * s for n, s in zip(view.size, view.spacing, strict=True))
    return replace(view, window=window, least_side=LEAST_SIDE) if whole >= GAIN * shown else view
