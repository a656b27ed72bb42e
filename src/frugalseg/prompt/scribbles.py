"""Strokes as a person draws them: a line along the middle of each object, a curve through the background."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field
from scipy import ndimage

from frugalseg.data.label import UNKNOWN
from frugalseg.settings import Settings


class ScribbleSettings(Settings):
    """How strokes look. The hand-drawn strokes on ACDC (WSL4MIS) cover 10 to 20 % of an object and 1 % of the rest."""

    smallest: int = Field(6, ge=1)  # voxels of an object below which a person does not bother
    coverage: float = Field(0.6, gt=0, le=1)  # part of an object's middle line that is drawn
    width: int = Field(2, ge=1)  # voxels; a stroke never leaves its class
    distance: float = Field(0.06, gt=0)  # of the background's stroke from the objects, as part of the longer side
    background: float = Field(0.5, ge=0, le=1)  # part of that curve that is drawn; 0 draws none


def scribble(part: np.ndarray, settings: ScribbleSettings, *, rng: np.random.Generator) -> np.ndarray:
    """Strokes on one slice: classes (H, W) uint8 -> the same where a stroke lies, `UNKNOWN` elsewhere.

    Every object of every class gets one stroke, the background one curve around the objects, or a line across an
    empty slice. Unknown voxels of the input get none.
    """
    strokes = np.full_like(part, UNKNOWN)
    for value, line in _lines(part, settings, rng):
        thick = ndimage.binary_dilation(line, iterations=settings.width - 1) if settings.width > 1 else line
        strokes[thick & (part == value)] = value
    return strokes


def _lines(part: np.ndarray, settings: ScribbleSettings, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    present = np.flatnonzero(np.bincount(part.ravel(), minlength=256)[:UNKNOWN])
    for value in present[present > 0]:
        pieces, n = ndimage.label(part == value, structure=np.ones((3, 3)))
        for piece in range(1, n + 1):
            mask = pieces == piece
            if mask.sum() >= settings.smallest:
                yield int(value), _stretch(_middle(mask), settings.coverage, rng)
    if 0 in present and settings.background > 0:
        yield 0, _stretch(_around(part, settings), settings.background, rng)


def _middle(mask: np.ndarray) -> np.ndarray:
    """The middle line of an object; for a compact one, whose middle is a point, the curve half way to its border."""
    from skimage.morphology import skeletonize

    line = np.asarray(skeletonize(mask))
    if line.sum() >= np.sqrt(mask.sum()) / 2:
        return line
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    half = float(depth.max()) / 2
    return np.asarray((depth > half) & (depth <= half + 1))


def _around(part: np.ndarray, settings: ScribbleSettings) -> np.ndarray:
    """A thin curve in the background, at some distance around all objects; a diagonal where there is none."""
    objects = part != 0
    if not objects.any():
        line = np.zeros(part.shape, bool)
        n = max(part.shape)
        rows = np.linspace(0.2, 0.8, n) * (part.shape[0] - 1)
        columns = np.linspace(0.2, 0.8, n) * (part.shape[1] - 1)
        line[rows.round().astype(int), columns.round().astype(int)] = True
        return line
    away = ndimage.distance_transform_edt(~objects)
    wanted = min(max(2.0, settings.distance * max(part.shape)), float(away.max()))
    return np.asarray((away > wanted - 1) & (away <= wanted))


def _stretch(line: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """A connected part of a thin line: the voxels that are nearest along it to a random one of them."""
    points = np.argwhere(line)
    if len(points) == 0:
        return line
    start = points[int(rng.integers(len(points)))]
    order = _steps_from(line, start)
    reached = order[line & (order >= 0)]
    far = np.quantile(reached, fraction)
    return np.asarray(line & (order >= 0) & (order <= far))


def _steps_from(line: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Steps (with diagonals) along the line from a voxel on it; -1 where it cannot be reached."""
    steps = np.full(line.shape, -1, np.int32)
    front = [(int(start[0]), int(start[1]))]
    steps[front[0]] = 0
    while front:
        following = []
        for r, c in front:
            for i in range(max(r - 1, 0), min(r + 2, line.shape[0])):
                for j in range(max(c - 1, 0), min(c + 2, line.shape[1])):
                    if line[i, j] and steps[i, j] < 0:
                        steps[i, j] = steps[r, c] + 1
                        following.append((i, j))
        front = following
    return steps
