"""The plain layout: images/, labels/ or labels/RATER/, scribbles/, matched by the names of the files."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import Field, field_validator

from frugalseg.data.case import LabelSource, Place
from frugalseg.data.formats import SUFFIXES, image_files, is_series, read_values, stem_of, suffix_of
from frugalseg.data.label import UNKNOWN
from frugalseg.data.layouts.found import Found, listed
from frugalseg.data.sources import ClassMap, InstanceFile, SemanticFile, values_in, whole_numbers
from frugalseg.errors import DataError, SettingsError
from frugalseg.settings import Settings


class FolderOptions(Settings):
    """Options of the layout; lists are written 1+2 on the command line."""

    images: str | None = None  # folder of images; images/ where it exists, else the folder itself
    labels: str | None = None  # folder of labels, or of one folder a rater; labels/ where it exists
    scribbles: str | None = None  # folder of strokes; scribbles/ where it exists
    classes: tuple[int, ...] = ()  # values of the label files that become class 1, 2, ...; the others are background
    names: tuple[str, ...] = ()  # of the classes, without the background
    group: str | None = None  # column of index.csv; `group` where it exists, else every case is a group
    phase: str | None = None  # column that names the phase of a group's volume, e.g. ED; `phase` where it exists
    volume: str | None = None  # column that names the volume or video of which a 2D image is a part
    position: str | None = None  # column with the number of a 2D image in its volume, beside `volume`
    unknown: int | None = Field(None, ge=0)  # value of label and stroke files that means nobody looked; 255 does too
    instances: bool = False  # label files hold object ids

    @field_validator("classes", "names", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value.split("+")) if isinstance(value, str) else value


def open_folder(root: Path, options: FolderOptions) -> Found:
    """The cases of a folder. Raises `DataError` when there is no image, or no label belongs to an image."""
    images: dict[str, Path] = {}
    for f in _images(root, options):
        name = stem_of(f) if f.is_file() else f.name
        if name in images:
            raise DataError(f"{f}: there is another image with the id '{name}', {images[name]}; rename one of them")
        images[name] = f
    groups = _column(root, options.group, "group")
    lost = [name for name in images if groups and not groups.get(name)]
    if lost:
        raise DataError(
            f"{root / 'index.csv'}: there is no group for '{lost[0]}' ({len(lost)} such images); add a row for each"
        )
    phases = _column(root, options.phase, "phase")
    places = _places(root, options)
    found = tuple(
        replace(listed(name, (f,), group=groups.get(name)), phase=phases.get(name, ""), place=places.get(name))
        for name, f in images.items()
    )
    labels = _folder(root, options.labels, "labels")
    strokes = _folder(root, options.scribbles, "scribbles")
    drawn = list(_by_rater(labels, images))
    files = [*drawn, *(("scribbles", n, f) for n, f in _matched(strokes, images))]
    classes = _class_map([f for _, _, f in drawn or files], options)
    stroke_classes = _stroke_map(classes, options)
    if strokes and drawn and options.unknown == 0:  # strokes on nothing; in the labels beside them 0 is background
        classes = replace(classes, unknown=UNKNOWN)
    complete: dict[str, dict[str, LabelSource]] = {}
    partial: dict[str, dict[str, LabelSource]] = {}
    for rater, name, file in files:
        target = partial if rater == "scribbles" else complete
        source = SemanticFile(file, stroke_classes if rater == "scribbles" else classes)
        is_ids = options.instances and rater != "scribbles"
        target.setdefault(name, {})[rater] = InstanceFile(file, unknown=options.unknown) if is_ids else source
    return Found(found, classes.names, complete, partial)


def _images(root: Path, options: FolderOptions) -> list[Path]:
    folder = _folder(root, options.images, "images") or root
    subfolders = sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
    try:
        return list(image_files(folder))
    except DataError:
        is_plain = folder == root and options.images is None  # then other folders may hold anything but images
        found = [f for d in subfolders if not is_plain or is_series(d) for f in image_files(d)]
        if not found:
            raise
        return found


def _folder(root: Path, given: str | None, usual: str) -> Path | None:
    if given is None:
        return root / usual if (root / usual).is_dir() else None
    folder = root / given
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of {usual}")
    return folder


def _by_rater(folder: Path | None, images: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    if folder is None:
        return
    raters = sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
    stray = [f for f in sorted(folder.iterdir()) if f.is_file() and suffix_of(f) in SUFFIXES]
    if raters and stray:
        raise DataError(
            f"{stray[0]}: labels lie beside the folders of raters ({raters[0].name}, ...); put these in a folder too"
        )
    for rater, where in [(d.name, d) for d in raters] or [("expert", folder)]:
        yield from ((rater, name, file) for name, file in _matched(where, images))


def _matched(folder: Path | None, images: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    if folder is None:
        return
    pairs = [(stem_of(f), f) for f in image_files(folder)]
    named: dict[str, Path] = {}
    for name, f in pairs:
        if named.setdefault(name, f) != f:
            raise DataError(f"{f}: {named[name].name} beside it is a label of the same image; keep one of them")
    found = [(name, f) for name, f in pairs if name in images]
    if not found:
        raise DataError(
            f"{folder}: no file is named like an image: there are {pairs[0][1].name}, ... and "
            f"{next(iter(images.values())).name}, ...; a label has its image's name"
        )
    yield from found


def _column(root: Path, column: str | None, what: str) -> dict[str, str]:
    """Image name -> its value in that column of index.csv, by default the one named `what` where there is one."""
    index = root / "index.csv"
    if not index.is_file():
        if column is not None:
            raise DataError(f"{index}: there is no such file, but {what}={column} names a column of it")
        return {}
    with index.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a mark first
        rows = list(csv.DictReader(file))
    wanted = column or what
    if rows and (wanted not in rows[0] or "id" not in rows[0]):
        if column is None:
            return {}
        raise DataError(f"{index}: needs the columns 'id' and '{column}', but has {', '.join(rows[0])}")
    return {row["id"]: row[wanted] for row in rows}


def _places(root: Path, options: FolderOptions) -> dict[str, Place]:
    """Image name -> its place in a volume, counted from the volume's lowest number; of rows that say both columns."""
    if options.volume is None and options.position is None:
        return {}
    if options.volume is None or options.position is None:
        raise SettingsError("volume=COLUMN and position=COLUMN say together where a 2D image lies; give both or none")
    volumes = _column(root, options.volume, "volume")
    numbers: dict[str, int] = {}
    for name, text in _column(root, options.position, "position").items():
        if text and volumes[name]:
            if not text.isdigit():
                raise DataError(
                    f"{root / 'index.csv'}: the position of '{name}' must be a whole number, but it is '{text}'"
                )
            numbers[name] = int(text)
    of_volume: dict[str, list[int]] = {}
    for name, number in numbers.items():
        of_volume.setdefault(volumes[name], []).append(number)
    ends = {volume: (min(found), max(found)) for volume, found in of_volume.items()}
    return {
        name: Place(volumes[name], k - ends[volumes[name]][0], ends[volumes[name]][1] - ends[volumes[name]][0] + 1)
        for name, k in numbers.items()
    }


def _class_map(files: Iterable[Path], options: FolderOptions) -> ClassMap:
    """From the options, or from all the values that occur, one file at a time."""
    unknown = options.unknown
    if options.instances:
        values: tuple[int, ...] = (1,)
    elif options.classes:
        values = options.classes
    else:
        values, is_mask = _values(files, options.unknown)
        if unknown is None and not is_mask:  # a file of 0 and 255 only is no mask in a set that has other values
            unknown = UNKNOWN
        if len(values) < len(options.names):  # a class that occurs in none of these files
            values = tuple(range(1, len(options.names) + 1))
    names = options.names or (("object",) if len(values) == 1 else tuple(f"class{v}" for v in values))
    if len(names) != len(values):
        raise SettingsError(f"{len(names)} names ({'+'.join(names)}) for {len(values)} label values {list(values)}")
    return ClassMap(("background", *names), values, unknown, others=bool(options.classes))


def _stroke_map(classes: ClassMap, options: FolderOptions) -> ClassMap:
    """The map of stroke files: no mask holds strokes, and what is not named there may be where nobody looked."""
    if classes.unknown is None:
        classes = replace(classes, unknown=UNKNOWN)
    return replace(classes, others=classes.others and options.unknown is not None)


def _values(files: Iterable[Path], unknown: int | None) -> tuple[tuple[int, ...], bool]:
    """The values that become classes, and whether all files are masks of 0 and 255.

    A file that cannot be used is passed over, for it says so whenever its label is read.
    """
    seen: set[int] = set()
    for file in files:
        try:
            seen.update(values_in(whole_numbers(read_values(file)[0])))
        except DataError:
            continue
        if len(seen) > UNKNOWN:
            raise DataError(
                f"{file}: with it the labels hold more than {UNKNOWN} values; are they objects? instances=true"
            )
    is_mask = unknown is None and UNKNOWN in seen and seen <= {0, UNKNOWN}
    return tuple(sorted(seen - {0, UNKNOWN, unknown})) or (1,), is_mask
