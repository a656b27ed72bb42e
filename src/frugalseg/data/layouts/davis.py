"""DAVIS: JPEGImages/RESOLUTION/VIDEO/00000.jpg and Annotations/RESOLUTION/VIDEO/00000.png. A video is a group.

Source: Perazzi et al. 2016 (masks of 0 and 255) and Pont-Tuset et al. 2017 (palettes whose indices are object ids).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, model_validator

from frugalseg.data.case import LabelSource, Place
from frugalseg.data.formats import image_files, read_geometry, read_values, stem_of
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.layouts.found import Found, Listed
from frugalseg.data.sources import ClassMap, FileSource, InstanceFile, SemanticFile
from frugalseg.errors import DataError
from frugalseg.settings import Settings

OBJECT = ("background", "object")


class DavisOptions(Settings):
    """Options of the layout."""

    resolution: str = "480p"  # folder below JPEGImages/ and Annotations/
    objects: int = Field(0, ge=0, lt=UNKNOWN)  # classes object1, ..., one an id; 0: all ids are one class
    instances: bool = False  # ids of objects instead of classes

    @model_validator(mode="after")
    def _either(self) -> "DavisOptions":
        if self.objects and self.instances:
            raise ValueError("ids become classes (objects=N) or stay ids (instances=true), not both")
        return self


@dataclass(frozen=True)
class ObjectFile:
    """Foreground of a mask file, whatever the ids in it; 255 is unknown where other ids are there too."""

    path: Path

    def geometry(self) -> Geometry:
        """Where the mask lies."""
        return read_geometry(self.path)

    def read(self) -> SemanticLabel:
        """The label; raises `DataError` that names the file."""
        values, _ = read_values(self.path)
        label = (values > 0).astype(np.uint8)
        if set(np.unique(values).tolist()) - {0, UNKNOWN}:
            label[values == UNKNOWN] = UNKNOWN
        return SemanticLabel(label, OBJECT)


def open_davis(root: Path, options: DavisOptions) -> Found:
    """The frames of all videos as 2D cases VIDEO_FRAME; complete labels by "expert" where a frame has one.

    Raises `DataError` when the folders are not there.
    """
    images: list[Listed] = []
    labels: dict[str, dict[str, LabelSource]] = {}
    classes, source = _classes(options)
    for video in videos(root, options.resolution):
        masks = root / "Annotations" / options.resolution / video.name
        drawn = {stem_of(f): f for f in image_files(masks)} if masks.is_dir() else {}
        frames = list(image_files(video))
        for k, frame in enumerate(frames):
            name, place = f"{video.name}_{stem_of(frame)}", Place(video.name, k, len(frames))
            images.append(Listed(name, FileSource((frame,)), video.name, place=place))
            if stem_of(frame) in drawn:
                labels[name] = {"expert": source(drawn[stem_of(frame)])}
    return Found(tuple(images), classes, labels)


def videos(root: Path, resolution: str) -> list[Path]:
    """The folders of the videos. Raises `DataError` when there is none."""
    folder = root / "JPEGImages" / resolution
    found = sorted(d for d in folder.iterdir() if d.is_dir()) if folder.is_dir() else []
    if not found:
        raise DataError(f"{folder}: there is no folder of a video; davis expects JPEGImages/{resolution}/VIDEO/*.jpg")
    return found


def _classes(options: DavisOptions) -> tuple[tuple[str, ...], Callable[[Path], LabelSource]]:
    """The classes of the pool, and what reads a mask."""
    if options.instances:
        return OBJECT, InstanceFile
    if not options.objects:
        return OBJECT, ObjectFile
    ids = tuple(range(1, options.objects + 1))
    classes = ClassMap(("background", *(f"object{k}" for k in ids)), ids, UNKNOWN)
    return classes.names, lambda file: SemanticFile(file, classes)
