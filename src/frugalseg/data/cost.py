"""What an annotation costs in seconds of a person's time, counted from what was drawn."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from pydantic import Field
from scipy import ndimage

from frugalseg.data.geometry import Geometry
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.unit import Unit
from frugalseg.settings import Settings


class CostModel(Settings):
    """Seconds for each thing a person does; all ours, to be replaced by what your own expert needs.

    They give a slice with one object of 60 voxels around about half a minute, a stroke a few seconds. For comparison,
    Bearman et al. (ECCV 2016) report 35 s a photograph for strokes and 240 s for full masks.
    """

    look: float = Field(4.0, ge=0)  # opening a slice and deciding what is in it
    outline: float = Field(0.4, ge=0)  # each voxel edge along the border between two classes
    stroke: float = Field(2.0, ge=0)  # beginning a stroke
    along: float = Field(0.05, ge=0)  # each voxel of a stroke's length

    def seconds(self, label: SemanticLabel, unit: Unit, geometry: Geometry) -> float:
        """What drawing this label, which is known inside of the unit only, has cost: the sum over its slices."""
        return sum(self.slice_seconds(part) for part in drawn_slices(label.array, unit, geometry))

    def slice_seconds(self, part: np.ndarray) -> float:
        """One slice (H, W) uint8: outlines where at least half of it is known, strokes where less is."""
        if is_outlined(part):
            return self.look + self.outline * outline_length(part)
        return self.look + self.stroke * n_strokes(part) + self.along * stroke_length(part)


def drawn_slices(array: np.ndarray, unit: Unit, geometry: Geometry) -> Iterator[np.ndarray]:
    """The 2D slices (H, W) that a person opened for a unit.

    A volume or a 3D patch is drawn slice by slice across the axis with the largest spacing, the last one of several.
    """
    for region, axis in zip(unit.regions(geometry.shape), paging_axes(unit, geometry), strict=True):
        part = array[region]
        yield from [part] if part.ndim == 2 else np.moveaxis(part, axis, 0)


def paging_axes(unit: Unit, geometry: Geometry) -> list[int]:
    """For each region of the unit the axis across which a person pages through it."""
    if unit.kind == "planes":
        return [0, 1, 2]
    thick = max(range(geometry.ndim), key=lambda axis: (round(geometry.spacing[axis], 3), axis))
    return [unit.axis if unit.kind == "slice" else thick]


def paging_axis(geometries: Iterable[Geometry]) -> int | None:
    """The axis across which a person pages through most of these volumes, the last of several; None for 2D images."""
    votes = Counter(paging_axes(Unit(""), geometry)[0] for geometry in geometries if geometry.ndim == 3)
    return max(votes, key=lambda axis: (votes[axis], axis), default=None)


def is_outlined(part: np.ndarray) -> bool:
    """Whether a slice (H, W) uint8 was drawn with outlines: at least half of it is known. Else with strokes."""
    return bool(2 * np.count_nonzero(part != UNKNOWN) >= part.size)


def strokes_of(label: SemanticLabel, unit: Unit, geometry: Geometry) -> int:
    """How many strokes were drawn in a unit; none in slices that were outlined."""
    parts = drawn_slices(label.array, unit, geometry)
    return sum(n_strokes(part) for part in parts if not is_outlined(part))


def outline_length(part: np.ndarray) -> int:
    """Voxel edges between different classes of a slice (H, W): the length of what has to be outlined."""
    return int((part[1:] != part[:-1]).sum() + (part[:, 1:] != part[:, :-1]).sum())


def n_strokes(part: np.ndarray) -> int:
    """Connected pieces (with diagonals) of equal class among the known voxels of a slice (H, W)."""
    pieces = 0
    for value in np.flatnonzero(np.bincount(part.ravel(), minlength=256)[:UNKNOWN]):
        pieces += ndimage.label(part == value, structure=np.ones((3, 3)))[1]
    return pieces


def stroke_length(part: np.ndarray) -> int:
    """Voxels along the middle of what is known in a slice (H, W): the way of the pen, however thick it is."""
    from skimage.morphology import skeletonize

    return int(sum(skeletonize(part == value).sum() for value in np.unique(part) if value != UNKNOWN))
