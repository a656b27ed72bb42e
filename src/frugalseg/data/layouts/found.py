"""What a layout finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frugalseg.data.case import Case, LabelSource
from frugalseg.data.sources import FileSource

LabelsOf = Mapping[str, Mapping[str, LabelSource]]
"""Case id -> rater -> label."""


@dataclass(frozen=True)
class Found:
    """Cases with the labels that cover all of an image, and those that cover some of it (strokes, planes)."""

    cases: tuple[Case, ...]
    classes: tuple[str, ...]
    complete: LabelsOf = field(default_factory=dict)
    partial: LabelsOf = field(default_factory=dict)


def file_case(name: str, paths: tuple[Path, ...], *, group: str | None = None, key: str | None = None) -> Case:
    """The case of one file, or of one file for each channel; its header is read."""
    source = FileSource(paths, key)
    return Case(name, name if group is None else group, source.geometry(), source)
