"""ACDC as published, with the strokes of Valvano et al. where they lie beside it.

    SOURCE/{training,testing}/patientNNN/Info.cfg                          ED, ES: numbers of the two drawn frames
                                        /patientNNN_frameFF.nii.gz         image, also below SOURCE/database/
                                        /patientNNN_frameFF_gt.nii.gz      0 background, 1 RV, 2 myocardium, 3 LV
    anywhere in SOURCE or in scribbles=DIR: patientNNN_frameFF_scribble.nii.gz    the same and 4 where nobody looked

Sources: Bernard et al., TMI 2018; Valvano et al., TMI 2021; the protocol of WSL4MIS: each volume is clipped at its 99th
percentile and goes from 0 to 1; patients 1-80 train, 81-100 validate, 101-150 test.

We differ: (a) volumes stay whole, so no number of a slice is ever read from a name (the published reader took slices 10
and above for slice 1); (b) the grid and the spacing are the scanner's own; (c) patient and phase stand in index.csv.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from frugalseg.data.formats import read_geometry, read_image, read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.data.layouts.acdc_names import read_info
from frugalseg.data.layouts.h5 import ACDC, ACDC_STROKES
from frugalseg.data.raw.intensity import clipped_range
from frugalseg.data.raw.samples import Part, RawSet, Sample, Write
from frugalseg.data.sources import SemanticFile
from frugalseg.data.write import write_image, write_label
from frugalseg.errors import DataError, GeometryMismatch
from frugalseg.settings import Settings

LAST_TRAINING, LAST_VALIDATION = 80, 100
"""Numbers of the last patients that train and that validate; those of testing/ test."""

LEAST_AGREEMENT = 0.9
"""Share of the strokes' pixels whose class the complete label must share, else the two do not lie on each other; ours.

It is 0.99 or more in 60 volumes of the published strokes, and 0.4 in the median when these are mirrored.
"""


class AcdcOptions(Settings):
    """Options of `prepare acdc`."""

    scribbles: Path | None = None  # folder of the strokes where they do not lie in SOURCE
    testing: bool = True  # false leaves the folder testing/ out


@dataclass(frozen=True)
class Frame:
    """One drawn frame of a patient."""

    image: Path
    label: Path
    strokes: Path | None

    def write_image(self, path: Path) -> None:
        """Writes the intensities from 0 to 1 where the scanner had them."""
        image = read_image(self.image)
        write_image(path, Image(clipped_range(image.array), image.geometry))

    def write_label(self, path: Path) -> None:
        """Writes the complete label. Raises `DataError` when it does not lie on the image."""
        label, geometry = self._complete()
        write_label(path, label, geometry)

    def write_strokes(self, path: Path) -> None:
        """Writes the strokes, 255 where nobody looked. Raises `DataError` when they do not lie on the label.

        The geometry is the image's, for the published strokes do not always know theirs.
        """
        if self.strokes is None:
            raise DataError(f"{self.image}: there are no strokes of it")
        label, geometry = self._complete()
        strokes = strokes_on(self.strokes, label)
        write_label(path, strokes, geometry)

    def _complete(self) -> tuple[SemanticLabel, Geometry]:
        geometry = read_geometry(self.image)
        if gap := read_geometry(self.label).differs(geometry):
            raise GeometryMismatch(f"{self.label}: does not lie on {self.image.name}: {gap}; copy both again")
        return SemanticFile(self.label, ACDC).read(), geometry


def strokes_on(path: Path, label: SemanticLabel) -> SemanticLabel:
    """The strokes in a file. Raises `DataError` when they contradict the complete label nearly everywhere."""
    values, _ = read_values(path)
    strokes = SemanticFile(path, ACDC_STROKES).read()
    if values.shape != label.array.shape:
        raise GeometryMismatch(f"{path}: strokes of shape {values.shape} on a label of {label.array.shape}; copy again")
    is_object = strokes.known & (strokes.array > 0)
    agreed = strokes.array[is_object] == label.array[is_object]
    if agreed.size and float(agreed.mean()) < LEAST_AGREEMENT:
        raise DataError(
            f"{path}: {agreed.mean():.0%} of the strokes lie on their class in the complete label; "
            "they belong to another volume, or are mirrored"
        )
    return strokes


def find_acdc(root: Path, options: AcdcOptions) -> RawSet:
    """All drawn frames. Raises `DataError` that names the folder or file that is not as published."""
    home = next((d for d in (root, root / "database") if (d / "training").is_dir()), None)
    if home is None:
        raise DataError(
            f"{root}: neither training/ nor database/training/ is in this folder; name that of the download"
        )
    patients = _patients(home / "training")
    if options.testing and (home / "testing").is_dir():
        patients |= _patients(home / "testing", test=True)
    strokes = _strokes(options.scribbles or root)
    samples = tuple(s for folder, part in patients.items() for s in _of_patient(folder, part, strokes))
    return RawSet(samples, {"names": "RV+myocardium+LV"})


def _patients(folder: Path, *, test: bool = False) -> dict[Path, Part]:
    found: dict[Path, Part] = {}
    for patient in sorted(d for d in folder.iterdir() if d.is_dir() and d.name.startswith("patient")):
        digits = patient.name.removeprefix("patient")
        if not digits.isdigit():
            raise DataError(f"{patient}: the folder of a patient is named patientNNN; rename it as published")
        number = int(digits)
        found[patient] = "test" if test or number > LAST_VALIDATION else "val" if number > LAST_TRAINING else "train"
    if not found:
        raise DataError(f"{folder}: there is no folder patientNNN in it; unpack the download again")
    return found


def _strokes(folder: Path) -> Mapping[str, Path]:
    """Frame -> file of strokes. Raises `DataError` when a frame has two, or a folder was named in vain."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder of strokes")
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("patient*_scribble.nii.gz")):
        name = file.name.removesuffix("_scribble.nii.gz")
        if name in found:
            raise DataError(f"{file}: {found[name]} holds strokes of the same frame; keep one of them")
        found[name] = file
    return found


def _of_patient(folder: Path, part: Part, strokes: Mapping[str, Path]) -> Iterator[Sample]:
    info = read_info(folder / "Info.cfg")
    for phase in ("ED", "ES"):
        name = f"{folder.name}_frame{int(info[phase]):02d}"
        image, label = (_there(folder, name + end) for end in ("", "_gt"))
        frame = Frame(image, label, strokes.get(name))
        row = {"group": folder.name, "phase": phase, "frame": info[phase]}
        row |= {f"patient_{key.lower()}": info[key] for key in ("Group", "Height", "Weight") if key in info}
        files: dict[str, Write] = {
            f"images/{name}.nii.gz": frame.write_image,
            f"labels/{name}.nii.gz": frame.write_label,
        }
        if frame.strokes:
            files[f"scribbles/{name}.nii.gz"] = frame.write_strokes
        yield Sample(name, row, part, files)


def _there(folder: Path, stem: str) -> Path:
    """The file, packed or not. Raises `DataError` when there is neither."""
    for suffix in (".nii.gz", ".nii"):
        if (folder / (stem + suffix)).is_file():
            return folder / (stem + suffix)
    hint = "; releases before 2022 have no labels of testing/: leave it out with testing=false" * stem.endswith("_gt")
    raise DataError(f"{folder / stem}.nii.gz: there is no such file{hint}")
