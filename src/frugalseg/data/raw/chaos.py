"""CHAOS as published: the training sets, since those of the test have no masks.

    SOURCE/CT/N/DICOM_anon/*.dcm, Ground/*.png                        also below SOURCE/Train_Sets/
    SOURCE/MR/N/T2SPIR/DICOM_anon/*.dcm, Ground/*.png
    SOURCE/MR/N/T1DUAL/DICOM_anon/{InPhase,OutPhase}/*.dcm, Ground/*.png

A mask belongs to the slice of its own file name, else to the slice of its rank among the names; in the second case the
ranks must follow the slices' positions, up or down, or nobody can say which mask is whose.

Source: Kavur et al., Medical Image Analysis 2021; CT in the window of CoreCLR's script (level 40, width 200, from -1
to 1), MR clipped at the 99th percentile, from 0 to 1. No split is published: give the campaign one, by patients.

We differ from the script: masks lie on the grid of their images (it resampled the images only); resampling is the
plan's, of both together; in examples/coreclr/chaos_strong.yaml it has the published millimetres.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from frugalseg.data.formats import is_series, read_geometry, read_image, read_values
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.data.raw.intensity import clipped_range, windowed
from frugalseg.data.raw.samples import RawSet, Sample
from frugalseg.data.write import write_image, write_label
from frugalseg.errors import DataError, GeometryMismatch, LabelValueError, lookup
from frugalseg.settings import Settings

Scale = Callable[[np.ndarray], np.ndarray]


class ChaosOptions(Settings):
    """Options of `prepare chaos`."""

    modality: Literal["ct", "mr"] = "ct"
    sequences: tuple[str, ...] = ()  # of MR: T2SPIR, T1DUAL-InPhase, T1DUAL-OutPhase; all by default
    level: float = 40  # middle of the CT window, HU; CoreCLR's script
    width: float = Field(200, gt=0)  # of the CT window, HU

    @field_validator("sequences", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value.split("+")) if isinstance(value, str) else value


@dataclass(frozen=True)
class Modality:
    """Classes, and the grey values of each in the masks as CHAOS states them, both ends included."""

    folder: str
    classes: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]


MODALITIES: Mapping[str, Modality] = {
    "ct": Modality("CT", ("background", "liver"), ((1, 255),)),
    "mr": Modality(
        "MR",
        ("background", "liver", "right kidney", "left kidney", "spleen"),
        ((55, 70), (110, 135), (175, 200), (240, 255)),
    ),
}

_SEQUENCES: Mapping[str, str] = {
    "T2SPIR": "T2SPIR/DICOM_anon",
    "T1DUAL-InPhase": "T1DUAL/DICOM_anon/InPhase",
    "T1DUAL-OutPhase": "T1DUAL/DICOM_anon/OutPhase",
}
"""Name -> folder of the slices in a patient's folder; the masks lie in Ground/ beside DICOM_anon/."""


@dataclass(frozen=True)
class Scan:
    """One DICOM series with its masks."""

    slices: Path
    masks: Path
    modality: Modality
    scale: Scale

    def write_image(self, path: Path) -> None:
        """Writes the volume where the scanner had it."""
        image = read_image(self.slices)
        write_image(path, Image(self.scale(image.array), image.geometry))

    def write_label(self, path: Path) -> None:
        """Writes the masks as one volume on the image's grid. Raises `DataError` when they do not fit it."""
        geometry = read_geometry(self.slices)
        label = np.zeros(geometry.shape, np.uint8)
        for k, mask in enumerate(masks_of(self.slices, self.masks)):
            values = read_values(mask)[0].T  # a picture is (row, column), a volume (column, row, slice)
            if values.shape != geometry.shape[:2]:
                raise GeometryMismatch(
                    f"{mask}: has {values.shape[1]} rows and {values.shape[0]} columns, its slice "
                    f"{geometry.shape[1]} and {geometry.shape[0]}; copy both again"
                )
            label[..., k] = self._classes(values, mask)
        write_label(path, SemanticLabel(label, self.modality.classes), geometry)

    def _classes(self, values: np.ndarray, mask: Path) -> np.ndarray:
        found = np.zeros(values.shape, np.uint8)
        for number, (low, high) in enumerate(self.modality.ranges, 1):
            found[(values >= low) & (values <= high)] = number
        strange = np.unique(values[(values > 0) & (found == 0)]).tolist()
        if strange:
            raise LabelValueError(f"{mask}: the grey values {strange[:8]} are of no organ; CHAOS states other ranges")
        return found


def masks_of(slices: Path, masks: Path) -> list[Path]:
    """The masks in the order of the slices' positions. Raises `DataError` when it cannot be told whose a mask is."""
    import SimpleITK

    ids = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(slices))
    if len(ids) != 1:
        raise DataError(f"{slices}: {len(ids)} DICOM series are in this folder, one is expected")
    files = [Path(f) for f in SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(slices), ids[0])]
    pictures = sorted(masks.glob("*.png")) if masks.is_dir() else []
    if len(pictures) != len(files):
        raise DataError(f"{masks}: holds {len(pictures)} masks for {len(files)} slices in {slices}; copy both again")
    by_stem = {picture.stem: picture for picture in pictures}
    if all(file.stem in by_stem for file in files):
        return [by_stem[file.stem] for file in files]
    names = [file.name for file in files]
    if names == sorted(names):
        return pictures
    if names == sorted(names, reverse=True):
        return pictures[::-1]
    raise DataError(
        f"{slices}: its file names do not follow the positions of its slices, and the masks in {masks} are named "
        "otherwise, so it cannot be told which mask is of which slice"
    )


def find_chaos(root: Path, options: ChaosOptions) -> RawSet:
    """All training scans of a modality. Raises `DataError` that names what is not as published."""
    modality = MODALITIES[options.modality]
    for name in options.sequences:
        lookup(_SEQUENCES, name, "sequence")
    home = next((d for d in (root, root / "Train_Sets") if (d / modality.folder).is_dir()), None)
    if home is None:
        raise DataError(f"{root}: neither {modality.folder}/ nor Train_Sets/{modality.folder}/ is in this folder")
    patients = sorted(d for d in (home / modality.folder).iterdir() if d.is_dir() and d.name.isdigit())
    if not patients:
        raise DataError(f"{home / modality.folder}: there is no folder of a patient, which is named by a number")
    samples = tuple(sample for patient in patients for sample in _of_patient(patient, modality, options))
    return RawSet(samples, {"names": "+".join(modality.classes[1:])})


def _of_patient(patient: Path, modality: Modality, options: ChaosOptions) -> Iterator[Sample]:
    group = f"{modality.folder.lower()}{int(patient.name):02d}"
    is_ct = options.modality == "ct"
    wanted = {"": "DICOM_anon"} if is_ct else {n: _SEQUENCES[n] for n in options.sequences or _SEQUENCES}
    for sequence, where in wanted.items():
        slices = patient / where
        if not slices.is_dir() or not is_series(slices):
            raise DataError(f"{slices}: there is no such folder of DICOM slices; copy the patient again")
        masks = patient / where.partition("DICOM_anon")[0] / "Ground"
        scale: Scale = (lambda x: windowed(x, level=options.level, width=options.width)) if is_ct else clipped_range
        scan = Scan(slices, masks, modality, scale)
        masks_of(slices, masks)
        name = f"{group}_{sequence}" if sequence else group
        files = {f"images/{name}.nii.gz": scan.write_image, f"labels/{name}.nii.gz": scan.write_label}
        yield Sample(name, {"group": group, "phase": sequence}, "", files)
