"""DAVIS 2016 or 2017 as published: frames and masks of videos, a video is a group.

    SOURCE/JPEGImages/480p/VIDEO/00000.jpg, Annotations/480p/VIDEO/00000.png
    SOURCE/ImageSets/LISTS/{train,val}.txt      names of videos (zip of 2017: LISTS is 2016 or 2017), or paths of
                                                frames (zip of 2016: 480p)

The published validation videos test here; a few of them, drawn by a seed, are kept for validation.

We differ from CoreCLR's script: images stay as they are in the files (it made a normalised copy and stored the other
one), and cases are named by video and frame, not by the number of the last object.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from frugalseg.data.case import LabelSource
from frugalseg.data.label import InstanceLabel
from frugalseg.data.layouts.davis import DavisOptions as LayoutOptions
from frugalseg.data.layouts.davis import open_davis
from frugalseg.data.layouts.found import Listed
from frugalseg.data.raw.samples import Part, RawSet, Sample
from frugalseg.data.write import write_label
from frugalseg.errors import DataError, GeometryMismatch, SettingsError, nearest
from frugalseg.files import atomic_path
from frugalseg.seeds import stream
from frugalseg.settings import Settings

_LISTS = ("2016", "480p")
"""Where the lists of DAVIS 2016 lie: in the zip of 2017, and in that of 2016."""


class DavisOptions(Settings):
    """Options of `prepare davis`."""

    resolution: str = "480p"  # folder below JPEGImages/ and Annotations/
    objects: int = Field(0, ge=0)  # classes object1, ..., one an id; 0: all ids are one class
    lists: str | None = None  # folder below ImageSets/; that of DAVIS 2016 by default
    validation: int = Field(5, ge=0)  # of the published validation videos; the others test
    seed: int = Field(0, ge=0)  # draws them


def find_davis(root: Path, options: DavisOptions) -> RawSet:
    """All frames of the listed videos. Raises `DataError` that names what is missing."""
    found = open_davis(root, LayoutOptions(resolution=options.resolution, objects=options.objects))
    parts = _parts(root, options, {image.group for image in found.images})
    samples = []
    for image in found.images:
        if image.group not in parts:
            continue
        if image.name not in found.complete:
            raise DataError(f"{image.source.paths[0]}: there is no mask of this frame; copy Annotations/ again")
        samples.append(_sample(image, found.complete[image.name]["expert"], parts[image.group]))
    names = "+".join(found.classes[1:])
    classes = "+".join(str(k) for k in range(1, len(found.classes)))  # an id that occurs nowhere is a class too
    return RawSet(
        tuple(samples),
        {"classes": classes, "names": names, "volume": "group", "position": "position", "unknown": "255"},
    )


def _sample(image: Listed, label: LabelSource, part: Part) -> Sample:
    frame = image.source.paths[0]
    assert image.place is not None
    row = {"group": image.group, "position": str(image.place.index)}
    files = {f"images/{image.name}{frame.suffix}": _copied(frame), f"labels/{image.name}.png": _mask(image, label)}
    return Sample(image.name, row, part, files)


def _copied(frame: Path) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with atomic_path(path) as part:
            shutil.copyfile(frame, part)

    return write


def _mask(image: Listed, label: LabelSource) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        drawn, geometry = label.read(), image.source.geometry()
        if isinstance(drawn, InstanceLabel) or drawn.array.shape != geometry.shape:
            raise GeometryMismatch(f"{image.source.paths[0]}: its mask has shape {drawn.array.shape}; copy both again")
        write_label(path, drawn, geometry)

    return write


def _parts(root: Path, options: DavisOptions, videos: set[str]) -> dict[str, Part]:
    """Video -> its part."""
    folder = root / "ImageSets" / _lists(root, options)
    train, held = (_listed(folder / f"{name}.txt", videos) for name in ("train", "val"))
    if not held or options.validation >= len(held):
        raise SettingsError(f"validation={options.validation} of {len(held)} videos of val.txt leave none to test")
    order = stream(options.seed, "davis").permutation(len(held))
    kept = {held[i] for i in order[: options.validation]}
    parts: dict[str, Part] = dict.fromkeys(train, "train")
    return parts | {video: "val" if video in kept else "test" for video in held}


def _lists(root: Path, options: DavisOptions) -> str:
    there = [options.lists] if options.lists else [name for name in _LISTS if (root / "ImageSets" / name).is_dir()]
    if len(there) != 1:
        raise DataError(
            f"{root / 'ImageSets'}: the lists of DAVIS 2016 are not in exactly one of {' and '.join(_LISTS)}; name the "
            "folder of yours with --set lists=NAME"
        )
    return there[0]


def _listed(file: Path, videos: set[str]) -> list[str]:
    """The videos that a list names, by themselves or by their frames. Raises `DataError` for one without frames."""
    if not file.is_file():
        raise DataError(f"{file}: there is no such list of videos")
    firsts = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = sorted({Path(first).parent.name if "/" in first else first for first in firsts})
    lost = [name for name in names if name not in videos]
    if lost:
        raise DataError(f"{file}: names the video '{lost[0]}', of which there are no frames{nearest(lost[0], videos)}")
    return names
