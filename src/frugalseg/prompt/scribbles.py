"""Strokes as a person draws them: along the middle of thin objects, round inside of large ones and around all of them.

A stroke is a path, an ordered line of points (n, 2) in array order, of which a part is drawn with a pen.
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field
from scipy import ndimage

from frugalseg.data.label import UNKNOWN
from frugalseg.settings import Settings


class ScribbleSettings(Settings):
    """How strokes look. With the defaults 1.3 % of an ACDC slice is known, by hand it is 1.2 % (WSL4MIS's strokes).

    The hand-drawn ones are thinner and longer: with width 1 and the two parts 1, ours cover 10, 18 and 8 % of the right
    ventricle, myocardium and left ventricle, the hand-drawn ones 12, 19 and 11 % (medians of 286 slices).
    """

    smallest: int = Field(6, ge=1)  # voxels of an object below which a person does not bother
    coverage: float = Field(0.6, gt=0, le=1)  # part of an object's path that is drawn
    width: int = Field(2, ge=1)  # of the pen in voxels; a stroke never leaves its class
    distance: float = Field(0.06, gt=0)  # least one of the background's path to objects, in parts of the longer side
    background: float = Field(0.5, ge=0, le=1)  # part of that path that is drawn; 0 draws none


def scribble(part: np.ndarray, settings: ScribbleSettings, *, rng: np.random.Generator) -> np.ndarray:
    """Strokes on one slice: classes (H, W) uint8 -> the same where a stroke lies, `UNKNOWN` elsewhere.

    Every object of every class gets one stroke; the background gets a curve around the objects, or a zigzag through
    an empty slice. Unknown voxels of the input get none.
    """
    strokes = np.full_like(part, UNKNOWN)
    for value, path in _paths(part, settings, rng):
        drawn = _pen(path, part.shape, settings.width) & (part == value)
        strokes[drawn] = value
    return strokes


def _paths(part: np.ndarray, settings: ScribbleSettings, rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    present = np.flatnonzero(np.bincount(part.ravel(), minlength=256)[:UNKNOWN])
    for value in present[present > 0]:
        pieces, _ = ndimage.label(part == value, structure=np.ones((3, 3)))
        for piece, box in enumerate(ndimage.find_objects(pieces), 1):
            mask = pieces[box] == piece
            if mask.sum() >= settings.smallest:
                path = _inside(mask, settings.width, rng) + [side.start for side in box]
                yield int(value), _stretch(path, settings.coverage, rng)
    if 0 in present and settings.background > 0:
        yield 0, _stretch(_background(part, settings, rng), settings.background, rng)


def _inside(mask: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """The path in one object: its middle line, or round about half way to the border where there is room for that."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))
    deepest = float(depth.max())
    middle = _middle(mask, rng)
    has_room = deepest >= 3 * width and len(middle) < 8 * deepest
    is_dot = deepest >= 3 and len(middle) < deepest
    if has_room or is_dot:
        return _contour(depth, rng.uniform(0.3, 0.5) * deepest) - 1
    return middle


def _middle(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The longest path along the skeleton of an object; a ring is opened at a random place."""
    from skimage.morphology import skeletonize

    line = np.asarray(skeletonize(mask))
    points = np.argwhere(line)
    row, column = points[int(rng.integers(len(points)))]
    opened = line.copy()
    opened[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = False
    is_ring = ndimage.label(opened, structure=np.ones((3, 3)))[1] == 1
    return _longest(opened if is_ring else line)


def _longest(line: np.ndarray) -> np.ndarray:
    """The path between the two ends of a connected thin line that lie farthest apart along it."""
    from skimage.graph import MCP_Geometric

    costs = np.where(line, 1.0, -1.0)  # negative: no way there
    points = np.argwhere(line)
    end = points[0]
    for _ in range(2):
        ways = MCP_Geometric(costs)
        lengths, _ = ways.find_costs([end])
        end = points[int(lengths[line].argmax())]
    return np.asarray(ways.traceback(end), float)


def _background(part: np.ndarray, settings: ScribbleSettings, rng: np.random.Generator) -> np.ndarray:
    """The path in the background: around all objects at some distance, or a zigzag where there is none."""
    objects = part != 0
    size = np.array(part.shape)
    if not objects.any():
        rows = np.linspace(0.2, 0.8, 6)
        columns = np.resize([0.3, 0.7], 6) + rng.uniform(-0.1, 0.1, 6)
        return np.asarray(np.stack([rows, columns], axis=1) * (size - 1))
    away = ndimage.distance_transform_edt(~objects)
    distance = max(2.0, settings.distance * max(part.shape) * rng.uniform(1, 2))
    level = min(distance, 0.7 * float(away.max()))
    return _contour(np.pad(away, 1, mode="edge"), level) - 1  # slices of one row have lines only when padded


def _contour(field: np.ndarray, level: float) -> np.ndarray:
    """The longest line along which a field, which must rise above the level, has that level."""
    from skimage.measure import find_contours

    return np.asarray(max(find_contours(field, level), key=len))


def _stretch(path: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """A part of a path, beginning anywhere where it is closed, in steps just below one voxel."""
    is_closed = len(path) > 2 and np.array_equal(path[0], path[-1])
    if is_closed:
        turned = np.roll(path[:-1], -int(rng.integers(len(path) - 1)), axis=0)
        path = np.concatenate([turned, turned[:1]])
    at = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    first = 0.0 if is_closed else (1 - fraction) * rng.random() * at[-1]
    wanted = np.linspace(first, first + fraction * at[-1], int(fraction * at[-1]) + 2)
    return np.stack([np.interp(wanted, at, path[:, d]) for d in range(2)], axis=1)


def _pen(path: np.ndarray, shape: tuple[int, ...], width: int) -> np.ndarray:
    """Boolean array of the voxels under a round pen that follows the path."""
    line = np.zeros(shape, bool)
    rows, columns = np.clip(np.rint(path).astype(int), 0, np.array(shape) - 1).T
    line[rows, columns] = True
    reach = np.arange(width) - (width - 1) / 2
    tip = np.hypot(reach[:, None], reach[None, :]) <= width / 2
    return np.asarray(ndimage.binary_dilation(line, structure=tip))
