"""What a layout finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frugalseg.data.case import Case, LabelSource, Place
from frugalseg.data.sources import FileSource
from frugalseg.errors import DataError

LabelsOf = Mapping[str, Mapping[str, LabelSource]]
"""Case id -> rater -> label."""


@dataclass(frozen=True)
class Listed:
    """An image that a layout has found: name, files, group, phase, place in a volume. Nothing of it is read yet."""

    name: str
    source: FileSource
    group: str
    phase: str = ""
    place: Place | None = None

    def case(self) -> Case:
        """The case; its header is read. Raises `DataError` that names the file."""
        geometry = self.source.geometry()
        if self.place is not None and geometry.ndim != 2:
            raise DataError(
                f"{self.source.paths[0]}: only a 2D image is a part of a volume, and this one has shape "
                f"{geometry.shape}; leave its position out of the index"
            )
        return Case(self.name, self.group, geometry, self.source, self.phase, self.place)


@dataclass(frozen=True)
class Found:
    """Images with the labels that cover all of them, and those that cover some of them (strokes, planes)."""

    images: tuple[Listed, ...]
    classes: tuple[str, ...]
    complete: LabelsOf = field(default_factory=dict)
    partial: LabelsOf = field(default_factory=dict)


def listed(name: str, paths: tuple[Path, ...], *, group: str | None = None, key: str | None = None) -> Listed:
    """The image of one file, or of one file for each channel; it is a group of its own where no other is given."""
    return Listed(name, FileSource(paths, key), name if group is None else group)
