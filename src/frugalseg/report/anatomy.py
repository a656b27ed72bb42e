"""How a plane of a volume is held up for looking: anatomical directions where the file knows them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalseg.data.geometry import Geometry

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
"""Names of the low and the high end of the world axes of a RAS affine."""

_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True)
class Plane:
    """One plane of a case as it is shown: which one, how to turn it, how high a pixel is for its width.

    `edges` are the letters at left, right, top and bottom, empty where the file knows no directions.
    """

    axis: int
    index: int
    name: str
    transposed: bool = False
    flipped: tuple[bool, bool] = (False, False)
    aspect: float = 1.0
    edges: tuple[str, str, str, str] = ("", "", "", "")

    def of(self, array: np.ndarray) -> np.ndarray:
        """The plane of an array (*space) or (*space, K), rows downwards."""
        plane = array if self.axis < 0 else np.take(array, self.index, axis=self.axis)
        plane = np.swapaxes(plane, 0, 1) if self.transposed else plane
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return plane[rows, columns]


def planes_of(geometry: Geometry, extent: np.ndarray) -> list[Plane]:
    """The planes that show a case best: the image itself in 2D; axial, coronal and sagittal in 3D.

    Without a world affine they are the planes across axis 0, 1 and 2. `extent` is a boolean array (*space); the
    planes go where most of it lies, through the middle where it is empty.
    """
    return planes_through(geometry, [_fullest(extent, axis) for axis in range(geometry.ndim)])


def planes_through(geometry: Geometry, point: Sequence[int]) -> list[Plane]:
    """The same planes through a voxel."""
    if geometry.ndim == 2:
        return [bare_plane(geometry, -1, 0)]
    if geometry.affine is None:
        return [bare_plane(geometry, axis, point[axis]) for axis in range(3)]
    world, signs = _directions(geometry.matrix)
    order = sorted(range(3), key=lambda axis: -world[axis])
    return [_anatomical_plane(geometry, axis, point[axis], world=world, signs=signs) for axis in order]


def _fullest(extent: np.ndarray, axis: int) -> int:
    """The slice with the largest area; of several, the middle one."""
    areas = extent.sum(axis=tuple(d for d in range(extent.ndim) if d != axis))
    best = np.flatnonzero(areas == areas.max())
    return int(best[len(best) // 2])


def bare_plane(geometry: Geometry, axis: int, index: int) -> Plane:
    """A slice of a volume as it lies in the array, or a 2D image itself, whose axis is -1."""
    if geometry.ndim == 2:
        return Plane(-1, 0, "", aspect=geometry.spacing[0] / geometry.spacing[1])
    rows, columns = (geometry.spacing[d] for d in range(3) if d != axis)
    return Plane(axis, index, f"axis {axis}, slice {index}", aspect=rows / columns)


def _anatomical_plane(
    geometry: Geometry, axis: int, index: int, *, world: Sequence[int], signs: Sequence[int]
) -> Plane:
    """Superior or anterior up; to the left the patient's right, as radiologists look, or anterior."""
    first, second = (d for d in range(3) if d != axis)
    transposed = world[first] < world[second]
    rows, columns = (second, first) if transposed else (first, second)
    (right, left), (bottom, top) = _LETTERS[world[columns]], _LETTERS[world[rows]]
    return Plane(
        axis,
        index,
        f"{_PLANES[world[axis]]}, slice {index}",
        transposed,
        (signs[rows] > 0, signs[columns] > 0),
        geometry.spacing[rows] / geometry.spacing[columns],
        (left, right, top, bottom),
    )


def _directions(matrix: np.ndarray) -> tuple[Sequence[int], Sequence[int]]:
    """The world axis that each array axis follows most, each once, and whether with it (1) or against it (-1)."""
    from scipy.optimize import linear_sum_assignment

    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    rows, columns = linear_sum_assignment(-np.abs(directions))
    world = [int(rows[columns == axis][0]) for axis in range(3)]
    return world, [1 if directions[world[axis], axis] > 0 else -1 for axis in range(3)]
