"""How data sets lie on the disk: one layout a file, one line in the registry."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from frugalseg.data.case import Case
from frugalseg.data.layouts.coco import CocoOptions, open_coco
from frugalseg.data.layouts.davis import DavisOptions, open_davis
from frugalseg.data.layouts.folder import FolderOptions, open_folder
from frugalseg.data.layouts.found import Found
from frugalseg.data.layouts.h5 import AcdcOptions, LaOptions, open_acdc, open_la
from frugalseg.data.layouts.medscribble import MedscribbleOptions, open_medscribble
from frugalseg.data.layouts.nnunet import NnunetOptions, open_nnunet
from frugalseg.data.pool import Pool, Truth
from frugalseg.data.sources import LabelsOnFiles
from frugalseg.errors import DataError, lookup
from frugalseg.settings import Settings, parse


@dataclass(frozen=True)
class Layout:
    """One line of the registry. `open(folder, options)` takes options of the entry's own type."""

    open: Callable[[Path, Any], Found]
    options: type[Settings]


LAYOUTS: Mapping[str, Layout] = {
    "folder": Layout(open_folder, FolderOptions),
    "nnunet": Layout(open_nnunet, NnunetOptions),
    "la-h5": Layout(open_la, LaOptions),
    "acdc-h5": Layout(open_acdc, AcdcOptions),
    "coco": Layout(open_coco, CocoOptions),
    "davis": Layout(open_davis, DavisOptions),
    "medscribble": Layout(open_medscribble, MedscribbleOptions),
}


def open_pool(
    folder: str | Path,
    layout: str | None = None,
    *,
    labels_are: Literal["drawn", "truth"] = "drawn",
    options: Mapping[str, Any] | None = None,
    unreadable: dict[str, str] | None = None,
) -> Pool:
    """The pool in a folder; nothing but headers and label values is read.

    The layout is found by what lies in the folder when it is not given. Complete labels in the files are what
    somebody has drawn, or, with ``labels_are="truth"``, hidden labels that only an oracle and an evaluation read.
    Strokes are always drawn labels.

    Raises `DataError` that names what is missing. An image whose header cannot be read raises too, unless a dict
    `unreadable` is given: then it is left out and the dict gets its name and what was wrong.
    """
    is_truth = lookup({"drawn": False, "truth": True}, labels_are, "labels_are")
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder")
    name = layout or detect(root)
    entry = lookup(LAYOUTS, name, "layout")
    found = entry.open(root, parse(entry.options, options or {}, where=f"options of layout '{name}'"))
    cases = tuple(_opened(found, unreadable))
    places = {c.id: c.geometry for c in cases}
    if is_truth:
        truth = Truth(found.complete, strokes=LabelsOnFiles(found.partial, places))
        return Pool(cases, found.classes, labels=LabelsOnFiles(found.partial, places), truth=truth)
    drawn = {c.id: {**found.complete.get(c.id, {}), **found.partial.get(c.id, {})} for c in cases}
    return Pool(cases, found.classes, labels=LabelsOnFiles(drawn, places))


def _opened(found: Found, unreadable: dict[str, str] | None) -> Iterator[Case]:
    for image in found.images:
        try:
            yield image.case()
        except DataError as error:
            if unreadable is None:
                raise
            unreadable[image.name] = str(error)


def detect(root: Path) -> str:
    """The layout that a folder seems to have; plain folders are what is left."""
    if (root / "imagesTr").is_dir():
        return "nnunet"
    if (root / "JPEGImages").is_dir():
        return "davis"
    if any(root.glob("ACDC_training_*")):
        return "acdc-h5"
    if any(root.glob("*.h5")) or any(root.glob("data/*.h5")) or any(root.glob("*/mri_norm2.h5")):
        return "la-h5"
    if any('"annotations"' in f.read_text(encoding="utf-8", errors="replace") for f in sorted(root.glob("*.json"))[:4]):
        return "coco"
    return "folder"
