"""The HDF5 files of two families of papers: LA (UA-MT, GM-ABS) and ACDC (WSL4MIS)."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from frugalseg.data.case import LabelSource
from frugalseg.data.formats import read_geometry, read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.layouts.found import Found, listed
from frugalseg.data.sources import ClassMap, SemanticFile
from frugalseg.errors import DataError
from frugalseg.settings import Settings

LA = ClassMap(("background", "atrium"), (1,))
ACDC = ClassMap(("background", "RV", "myocardium", "LV"), (1, 2, 3))
ACDC_STROKES = ClassMap(ACDC.names, ACDC.values, unknown=4)


class LaOptions(Settings):
    """Options of `la-h5`: none so far."""


class AcdcOptions(Settings):
    """Options of `acdc-h5`."""

    part: Literal["slices", "volumes"] = "volumes"  # ACDC_training_slices or ACDC_training_volumes


@dataclass(frozen=True)
class CrossFile:
    """Three drawn planes of a volume: `cross_label` where `labeled_slice_indicator` is 1, unknown elsewhere."""

    path: Path
    classes: ClassMap = field(repr=False)

    def geometry(self) -> Geometry:
        """Where the label lies."""
        return read_geometry(self.path, key="cross_label")

    def read(self) -> SemanticLabel:
        """The label; raises `DataError` that names the file."""
        values, _ = read_values(self.path, key="cross_label")
        drawn, _ = read_values(self.path, key="labeled_slice_indicator")
        label = self.classes.apply(values)
        return SemanticLabel(np.where(drawn > 0, label.array, np.uint8(UNKNOWN)), label.classes)


def open_la(root: Path, _options: LaOptions) -> Found:
    """CASE.h5 in the folder or its data/, or CASE/mri_norm2.h5; complete labels by "expert", planes by "cross"."""
    files = {f.stem: f for f in [*sorted(root.glob("*.h5")), *sorted(root.glob("data/*.h5"))]}
    files |= {f.parent.name: f for f in sorted(root.glob("*/mri_norm2.h5"))}
    if not files:
        raise DataError(f"{root}: neither CASE.h5 nor data/CASE.h5 nor CASE/mri_norm2.h5 is in this folder")
    return Found(
        tuple(listed(name, (f,), key="image") for name, f in files.items()),
        LA.names,
        {name: {"expert": SemanticFile(f, LA, "label")} for name, f in files.items() if _has(f, "label")},
        {name: {"cross": CrossFile(f, LA)} for name, f in files.items() if _has(f, "cross_label")},
    )


def open_acdc(root: Path, options: AcdcOptions) -> Found:
    """The h5 files of a part, grouped by patient; complete labels by "expert", strokes by "scribbles"."""
    folder = root / f"ACDC_training_{options.part}"
    files = {f.stem: f for f in sorted(folder.glob("*.h5"))}
    if not files:
        raise DataError(f"{folder}: there is no h5 file in it; acdc-h5 expects the layout of WSL4MIS")
    images = tuple(listed(name, (f,), group=_patient(name), key="image") for name, f in files.items())
    complete: dict[str, dict[str, LabelSource]] = {}
    partial: dict[str, dict[str, LabelSource]] = {}
    for name, f in files.items():
        if _has(f, "label"):
            complete[name] = {"expert": SemanticFile(f, ACDC, "label")}
        if _has(f, "scribble"):
            partial[name] = {"scribbles": SemanticFile(f, ACDC_STROKES, "scribble")}
    return Found(images, ACDC.names, complete, partial)


def _patient(name: str) -> str:
    match = re.match(r"patient\d+", name)
    return match.group() if match else name


def _has(file: Path, key: str) -> bool:
    """True when the file can be opened and has the data set; a damaged one says so when its image is read."""
    import h5py

    if not h5py.is_hdf5(file):
        return False
    try:
        with h5py.File(file, "r") as opened:
            return key in opened
    except OSError:
        return False
