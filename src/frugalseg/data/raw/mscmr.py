"""MS-CMR (LGE, MICCAI 2019) with strokes, in the folders of CycleMix.

    SOURCE/{train,val,TestSet or test}/images/ID.nii.gz          an LGE volume
                                      /labels/ID[_ending].nii.gz  strokes in train, complete labels in the others
    SOURCE/train/full/ID[_ending].nii.gz or full=DIR              complete labels of train, for measuring only

In the files of the challenge 500 is the LV's blood pool, 600 the RV's and 200 the myocardium. Files with small numbers
do not say which is which: `values` names them, and `unknown` the number where nobody looked.

Sources: Zhuang, TPAMI 2019; Zhang & Zhuang, "CycleMix", CVPR 2022: each volume has mean 0 and deviation 1.

We differ: the grid and the spacing are the scanner's own; images and masks are resampled together, by the plan, which
in examples/coreclr/mscmr_weak.yaml has the published millimetres.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import field_validator

from frugalseg.data.formats import image_files, read_geometry, read_image, stem_of
from frugalseg.data.image import Image
from frugalseg.data.raw.intensity import standardised
from frugalseg.data.raw.samples import Part, RawSet, Sample, Write
from frugalseg.data.sources import ClassMap, SemanticFile
from frugalseg.data.write import write_image, write_label
from frugalseg.errors import DataError, GeometryMismatch, LabelValueError
from frugalseg.settings import Settings

NAMES = ("background", "RV", "myocardium", "LV")
CHALLENGE = (600, 200, 500)
"""Numbers of RV, myocardium and LV in the files of the challenge."""

_PARTS: tuple[tuple[str, Part], ...] = (("train", "train"), ("val", "val"), ("TestSet", "test"), ("test", "test"))


class MscmrOptions(Settings):
    """Options of `prepare mscmr`."""

    values: tuple[int, ...] = ()  # RV+myocardium+LV in files of small numbers, e.g. 3+1+2
    unknown: int = 4  # where nobody looked, in the strokes
    full: Path | None = None  # folder of complete labels of the training volumes

    @field_validator("values", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value.split("+")) if isinstance(value, str) else value

    @field_validator("values")
    @classmethod
    def _three(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if values and (len(set(values)) != 3 or min(values) < 1):
            raise ValueError("name three different numbers from 1 on, those of RV+myocardium+LV")
        return values


@dataclass(frozen=True)
class Volume:
    """An image with a label file; strokes say where nobody looked."""

    image: Path
    label: Path
    options: MscmrOptions = field(repr=False)
    unknown: int | None = None

    def write_label(self, path: Path) -> None:
        """Writes the label. Raises `DataError` when it does not lie on the image or its numbers mean nothing."""
        geometry = read_geometry(self.image)
        if gap := read_geometry(self.label).differs(geometry):
            raise GeometryMismatch(f"{self.label}: does not lie on {self.image.name}: {gap}; copy both again")
        try:
            label = SemanticFile(self.label, ClassMap(NAMES, CHALLENGE, self.unknown)).read()
        except LabelValueError:
            if not self.options.values:
                raise LabelValueError(
                    f"{self.label}: its numbers are not those of the challenge (500, 600, 200); say which are RV, "
                    "myocardium and LV, for example with --set values=3+1+2"
                ) from None
            label = SemanticFile(self.label, ClassMap(NAMES, self.options.values, self.unknown)).read()
        write_label(path, label, geometry)


def find_mscmr(root: Path, options: MscmrOptions) -> RawSet:
    """All volumes. Raises `DataError` that names the folder or file that is not as published."""
    there = [(root / name, part) for name, part in _PARTS if (root / name / "images").is_dir()]
    if "train" not in [part for _, part in there]:
        raise DataError(f"{root}: there is no train/images/ in it; mscmr expects the folders of CycleMix")
    if len({part for _, part in there}) < len(there):
        raise DataError(f"{root}: holds TestSet/ and test/; keep one of them")
    samples = tuple(sample for folder, part in there for sample in _of_part(folder, part, options))
    return RawSet(samples, {"names": "+".join(NAMES[1:])})


def _of_part(folder: Path, part: Part, options: MscmrOptions) -> Iterator[Sample]:
    images = {stem_of(f): f for f in image_files(folder / "images")}
    drawn = _named(folder / "labels", images)
    full = options.full or folder / "full"
    complete = _named(full, images) if part == "train" and full.is_dir() else {}
    for name, image in images.items():
        files: dict[str, Write] = {f"images/{name}.nii.gz": _standardised(image)}
        if part == "train":
            strokes = Volume(image, drawn[name], options, options.unknown)
            files[f"scribbles/{name}.nii.gz"] = strokes.write_label
            if complete:
                files[f"labels/{name}.nii.gz"] = Volume(image, complete[name], options).write_label
        else:
            files[f"labels/{name}.nii.gz"] = Volume(image, drawn[name], options).write_label
        yield Sample(name, {"group": name, "phase": "LGE"}, part, files)


def _standardised(image: Path) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        found = read_image(image)
        write_image(path, Image(standardised(found.array), found.geometry))

    return write


def _named(folder: Path, images: Mapping[str, Path]) -> dict[str, Path]:
    """Image -> its label, named like it or with an ending. Raises `DataError` unless each has exactly one."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of labels")
    files = list(image_files(folder))
    found: dict[str, Path] = {}
    for name in images:
        mine = [f for f in files if stem_of(f) == name or stem_of(f).startswith(f"{name}_")]
        if len(mine) != 1:
            what = ", ".join(f.name for f in mine) or "no file"
            raise DataError(f"{folder}: the image '{name}' needs one label there, {name}_*.nii.gz, but has {what}")
        found[name] = mine[0]
    return found
