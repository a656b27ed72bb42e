"""The HDF5 files of two families of papers: LA (UA-MT, GM-ABS) and ACDC (WSL4MIS)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from frugalseg.data.case import LabelSource, Place
from frugalseg.data.formats import read_geometry, read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.layouts.acdc_names import FrameName, parse_name, phase_of, read_info
from frugalseg.data.layouts.found import Found, Listed, listed
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
        label = SemanticFile(self.path, self.classes, "cross_label").read()
        drawn, _ = read_values(self.path, key="labeled_slice_indicator")
        if drawn.shape != label.array.shape:
            raise DataError(
                f"{self.path}: 'labeled_slice_indicator' has shape {drawn.shape}, 'cross_label' {label.array.shape}; "
                "write both again"
            )
        return SemanticLabel(np.where(drawn > 0, label.array, np.uint8(UNKNOWN)), label.classes)


def la_files(root: Path) -> dict[str, Path]:
    """Case -> file: CASE.h5 in the folder or its data/, or CASE/mri_norm2.h5.

    Raises `DataError` when there is none, and for a case that is there twice.
    """
    flat = [*sorted(root.glob("*.h5")), *sorted(root.glob("data/*.h5"))]
    found = [(f.stem, f) for f in flat] + [(f.parent.name, f) for f in sorted(root.glob("*/mri_norm2.h5"))]
    if not found:
        raise DataError(f"{root}: neither CASE.h5 nor data/CASE.h5 nor CASE/mri_norm2.h5 is in this folder")
    files: dict[str, Path] = {}
    for name, file in found:
        if name in files:
            raise DataError(f"{root}: case '{name}' is there twice, as {files[name]} and {file}; keep one of them")
        files[name] = file
    return files


def open_la(root: Path, _options: LaOptions) -> Found:
    """The files of `la_files`; complete labels by "expert", planes by "cross"."""
    files = la_files(root)
    return Found(
        tuple(listed(name, (f,), key="image") for name, f in files.items()),
        LA.names,
        {name: {"expert": SemanticFile(f, LA, "label")} for name, f in files.items() if _has(f, "label")},
        {name: {"cross": CrossFile(f, LA)} for name, f in files.items() if _has(f, "cross_label")},
    )


def open_acdc(root: Path, options: AcdcOptions) -> Found:
    """The h5 files of a part, grouped by patient; complete labels by "expert", strokes by "scribbles".

    A patient's Info file beside them, ``patientNNN.cfg``, says which frame is ED and which ES; without it nobody does.
    """
    folder = root / f"ACDC_training_{options.part}"
    files = {f.stem: f for f in sorted(folder.glob("*.h5"))}
    if not files:
        raise DataError(f"{folder}: there is no h5 file in it; acdc-h5 expects the layout of WSL4MIS")
    images = tuple(_acdc_images(files))
    complete: dict[str, dict[str, LabelSource]] = {}
    partial: dict[str, dict[str, LabelSource]] = {}
    for name, f in files.items():
        if _has(f, "label"):
            complete[name] = {"expert": SemanticFile(f, ACDC, "label")}
        if _has(f, "scribble"):
            partial[name] = {"scribbles": SemanticFile(f, ACDC_STROKES, "scribble")}
    return Found(images, ACDC.names, complete, partial)


def _acdc_images(files: Mapping[str, Path]) -> Iterable[Listed]:
    names = {name: parse_name(name) for name in files}
    slices: dict[str, list[int]] = {}
    for said in names.values():
        if said is not None and said.slice is not None:
            slices.setdefault(said.volume, []).append(said.slice)
    phases = _phases(files, names)
    for name, f in files.items():
        said = names[name]
        image = listed(name, (f,), group=said.patient if said else None, key="image")
        place = None
        if said is not None and said.slice is not None:
            first, last = min(slices[said.volume]), max(slices[said.volume])
            place = Place(said.volume, said.slice - first, last - first + 1)
        yield replace(image, phase=phases.get(name, ""), place=place)


def _phases(files: Mapping[str, Path], names: Mapping[str, FrameName | None]) -> dict[str, str]:
    """File -> phase, of the patients whose Info file lies beside it."""
    found = {}
    infos: dict[Path, dict[str, str]] = {}
    for name, said in names.items():
        if said is None:
            continue
        file = files[name].parent / f"{said.patient}.cfg"
        if file not in infos:
            infos[file] = read_info(file) if file.is_file() else {}
        found[name] = phase_of(infos[file], said.frame) if infos[file] else ""
    return found


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
