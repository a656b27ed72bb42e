"""Small trees with the structure in which data sets are published, made by code; nothing of the data is in them."""

from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK
from PIL import Image as Picture

SPACING = (1.5, 1.25, 10.0)


def volume(path: Path, array: np.ndarray, *, spacing: tuple[float, float, float] = SPACING) -> Path:
    """A NIfTI file whose header knows the spacing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([*spacing, 1.0])), path)
    return path


def heart(n_slices: int, seed: int, *, shape: tuple[int, int] = (32, 28)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image with a ring around a blood pool beside another one, its label 0..3, and strokes with 4 beside them."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    far = np.hypot(rows - shape[0] / 2 + rng.uniform(-1, 1), cols - shape[1] / 2)
    label = np.where(far < 4, 3, np.where(far < 7, 2, 0)).astype(np.uint8)
    label[(np.hypot(rows - shape[0] / 2, cols - 3) < 4) & (label == 0)] = 1
    label = np.repeat(label[..., None], n_slices, 2)
    strokes = np.full(label.shape, 4, np.uint8)
    strokes[shape[0] // 2] = label[shape[0] // 2]
    image = 200.0 * label + rng.normal(500, 20, label.shape)
    return image.astype(np.int16), label, strokes


def acdc(root: Path, patients: dict[int, int], *, strokes: Path | None = None, seed: int = 0) -> Path:
    """ACDC of patients with so many slices, those above 100 in testing/; strokes in a folder of their own."""
    for number, n in patients.items():
        name = f"patient{number:03d}"
        folder = root / ("testing" if number > 100 else "training") / name
        for frame in (1, 9):
            image, label, drawn = heart(n, seed + 10 * number + frame)
            stem = f"{name}_frame{frame:02d}"
            volume(folder / f"{stem}.nii.gz", image)
            volume(folder / f"{stem}_gt.nii.gz", label)
            if strokes and number <= 100:
                volume(strokes / name / f"{stem}_scribble.nii.gz", drawn, spacing=(1, 1, 1))
        (folder / "Info.cfg").write_text("ED: 1\nES: 9\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n")
    return root


def dicom(folder: Path, array: np.ndarray, names: list[str], *, falling: bool = False) -> Path:
    """A CT series of an array (x, y, slice); the names go with rising or falling positions."""
    folder.mkdir(parents=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, name in enumerate(names):
        image = SimpleITK.JoinSeries(SimpleITK.GetImageFromArray(np.ascontiguousarray(array[:, :, k].T)))
        image.SetSpacing((0.7, 0.6, 1))
        z = -3 * k if falling else 3 * k
        tags = {"0020|000e": f"1.2.{len(folder.parts)}", "0008|0018": f"1.2.3.{k + 1}", "0008|0060": "CT"}
        for tag, value in {
            **tags,
            "0020|000d": "1.2",
            "0020|0032": f"0\\0\\{z}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{name}.dcm"))
        writer.Execute(image)
    return folder


def masks(folder: Path, label: np.ndarray, names: list[str]) -> None:
    """One picture (row, column) a slice of a label (x, y, slice)."""
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        Picture.fromarray(np.ascontiguousarray(label[:, :, k].T)).save(folder / f"{name}.png")


def chaos_ct(root: Path, patient: int, *, falling: bool = False, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A CT patient; returns image and liver as (x, y, slice) in the order of the file names."""
    rng = np.random.default_rng(patient)
    liver = np.zeros((12, 9, n), np.uint8)
    for k in range(n):
        liver[2 : 4 + k, 1:5, k] = 255
    image = np.where(liver > 0, 90, -60).astype(np.int16) + rng.integers(-5, 5, liver.shape, np.int16)
    home = root / "Train_Sets" / "CT" / str(patient)
    dicom(home / "DICOM_anon", image, [f"i{k:04d},0000b" for k in range(n)], falling=falling)
    masks(home / "Ground", liver, [f"liver_GT_{k:03d}" for k in range(n)])
    return image, liver


def davis(root: Path) -> Path:
    """Four videos of three frames; two train, two validate; palette masks in which ids are 1 and 2."""
    for v, video in enumerate(("bear", "bmx-bumps", "camel", "dog")):
        for k in range(3):
            frame = np.full((12, 20, 3), 40 + 10 * v, np.uint8)
            mask = np.zeros((12, 20), np.uint8)
            mask[2 : 5 + k, 3:9], mask[8:10, 12:15] = 1, 2
            jpg, png = (root / kind / "480p" / video for kind in ("JPEGImages", "Annotations"))
            jpg.mkdir(parents=True, exist_ok=True)
            png.mkdir(parents=True, exist_ok=True)
            Picture.fromarray(frame).save(jpg / f"{k:05d}.jpg")
            _palette(mask).save(png / f"{k:05d}.png")
    lists = root / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("bear\nbmx-bumps\n")
    (lists / "val.txt").write_text("camel\ndog\n")
    return root


def _palette(mask: np.ndarray) -> Picture.Image:
    picture = Picture.frombytes("P", mask.shape[::-1], mask.tobytes())
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    return picture


def mscmr(root: Path, *, values: tuple[int, int, int] = (600, 200, 500)) -> Path:
    """Two volumes that train with strokes, one that validates, two that test, in the folders of CycleMix."""
    numbers = np.array([0, *values, 4], np.int16)
    for part, subjects in {"train": (2, 4), "val": (1,), "TestSet": (6, 8)}.items():
        for subject in subjects:
            image, label, strokes = heart(3, subject)
            volume(root / part / "images" / f"subject{subject}_DE.nii.gz", image)
            drawn = strokes if part == "train" else label
            volume(root / part / "labels" / f"subject{subject}_DE_manual.nii.gz", numbers[drawn])
    return root
