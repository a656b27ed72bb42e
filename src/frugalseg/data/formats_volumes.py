"""Volumes with a place in the world: NIfTI, NRRD, MetaImage, DICOM."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.errors import DataError

_RAS = np.diag([-1.0, -1.0, 1.0])
"""From the LPS axes of ITK and DICOM to RAS, and back."""

_POSITION = "0020|0032"
_UNEVEN = 0.05  # largest deviation of a step between DICOM slices, as a part of the mean step; ours
_STRAIGHT = (
    0.9999  # smallest cosine of the angle between the stack and the direction across a slice (0.8 degrees); ours
)


@dataclass(frozen=True)
class Opened:
    """A file whose header was read: where its voxels lie, and how to read them, (*space) or (*space, K).

    `read_indices` reads a picture with a palette as indices instead of colours.
    """

    geometry: Geometry
    read: Callable[[], np.ndarray]
    read_indices: Callable[[], np.ndarray] | None = None


def open_nifti(path: Path, _key: str | None) -> Opened:
    """A NIfTI file of 2 or 3 axes; a fourth axis are channels, a fourth of length 1 is left out."""
    import nibabel as nib

    try:
        file: Any = nib.load(path)
    except nib.filebasedimages.ImageFileError:  # the suffix does not fit the content
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        file = (
            nib.Nifti1Image.from_bytes(data)
            if data[:4].strip(b"\0") == b"\x5c\x01"
            else nib.Nifti2Image.from_bytes(data)
        )
    shape = file.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (2, 3, 4):
        raise DataError(f"an image of shape {file.shape} is not supported; save one volume a file")
    header = file.header
    if int(header["sform_code"]) or int(header["qform_code"]):
        geometry = Geometry.from_affine(shape[:3], file.affine)
    else:  # nibabel would make up an affine
        geometry = Geometry.plain(shape[:3], tuple(float(z) for z in header.get_zooms()[: len(shape[:3])]))

    def read() -> np.ndarray:
        array = np.asarray(file.dataobj)
        return array.reshape(shape)

    return Opened(geometry, read)


def open_itk(path: Path, _key: str | None) -> Opened:
    """An NRRD or MetaImage file of 2 or 3 axes."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size, spacing = reader.GetSize(), reader.GetSpacing()
    geometry = _world(size, spacing, reader.GetDirection(), reader.GetOrigin())
    return Opened(geometry, lambda: _array(reader.Execute(), len(size)))


def open_dicom_file(path: Path, _key: str | None) -> Opened:
    """One DICOM file; a single slice is a 2D image (row, column), several frames are a volume."""
    import SimpleITK

    file: Any = SimpleITK.ReadImage(str(path))
    if file.GetDimension() == 3 and file.GetSize()[2] == 1:
        width, height = file.GetSpacing()[:2]
        array = SimpleITK.GetArrayFromImage(file)[0]
        return Opened(Geometry.plain(array.shape[:2], (height, width)), lambda: array)
    return _whole(file)


def open_dicom_folder(path: Path) -> Opened:
    """The one DICOM series in a folder, its slices in the order of their positions."""
    import SimpleITK

    ids = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(path))
    if len(ids) != 1:
        what = f"{len(ids)} DICOM series are in this folder" if ids else "no DICOM series is in this folder"
        raise DataError(f"{what}; give a folder with exactly one")
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), ids[0])
    _check_steps([_position(file) for file in files])
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(files)
    return _whole(reader.Execute())


def _position(file: str) -> tuple[np.ndarray, np.ndarray]:
    """Position of a slice and the direction across it."""
    import SimpleITK

    reader: Any = SimpleITK.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    if not reader.HasMetaDataKey(_POSITION):
        raise DataError(f"slice {Path(file).name} says no position (0020,0032); only slices with one make a volume")
    return np.array(reader.GetOrigin()), np.reshape(reader.GetDirection(), (3, 3))[:, 2]


def _check_steps(slices: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Raises `DataError` for missing, doubled and tilted slices, which ITK would stack as if they were even."""
    if len(slices) == 1:
        return
    steps = np.diff([position for position, _ in slices], axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    mean = float(lengths.mean())
    if lengths.min() <= (1 - _UNEVEN) * mean or lengths.max() > (1 + _UNEVEN) * mean:
        raise DataError(
            f"its {len(slices)} slices lie {lengths.min():.4g} to {lengths.max():.4g} mm apart; restore missing ones, "
            "take doubled ones out, or resample the series to NIfTI"
        )
    across = np.abs(steps @ slices[0][1]) / lengths
    if across.min() < _STRAIGHT:
        raise DataError("its slices are tilted against their stack (gantry tilt); resample the series to NIfTI")


def _whole(file: Any) -> Opened:
    size = file.GetSize()
    geometry = _world(size, file.GetSpacing(), file.GetDirection(), file.GetOrigin())
    return Opened(geometry, lambda: _array(file, len(size)))


def _array(file: Any, ndim: int) -> np.ndarray:
    """ITK's array (z, y, x, channels) with the space axes in the order x, y, z."""
    import SimpleITK

    array = SimpleITK.GetArrayFromImage(file)
    return np.asarray(array.transpose(*range(ndim)[::-1], *range(ndim, array.ndim)))


def _world(
    size: tuple[int, ...], spacing: tuple[float, ...], direction: tuple[float, ...], origin: tuple[float, ...]
) -> Geometry:
    n = len(size)
    if n not in (2, 3):
        raise DataError(f"an image of size {size} is not supported; save one volume a file")
    affine = np.eye(4)
    affine[:n, :n] = np.array(direction).reshape(n, n) * spacing
    affine[:n, 3] = origin
    affine[:3] = _RAS @ affine[:3]
    return Geometry.from_affine(size, affine)
