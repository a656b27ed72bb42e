"""What a layout finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frugalseg.data.case import Case, LabelSource
from frugalseg.data.sources import FileSource

LabelsOf = Mapping[str, Mapping[str, LabelSource]]
"""Case id -> rater -> label."""


@dataclass(frozen=True)
class Listed:
    """An image that a layout has found: its name, its files, its group. Nothing of it is read yet."""

    name: str
    source: FileSource
    group: str

    def case(self) -> Case:
        """The case; its header is read. Raises `DataError` that names the file."""
        return Case(self.name, self.group, self.source.geometry(), self.source)


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
