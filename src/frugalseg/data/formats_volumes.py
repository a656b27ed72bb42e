"""Volumes with a place in the world: NIfTI, NRRD, MetaImage, DICOM."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.errors import DataError

_RAS = np.diag([-1.0, -1.0, 1.0])
"""From the LPS axes of ITK and DICOM to RAS, and back."""

_MM = {"micron": 1e-3, "meter": 1e3}
"""NIfTI's units of length in mm; mm and unknown count as mm, as in ITK."""

_POSITION = "0020|0032"
_UNEVEN = 0.05  # largest deviation of a step between DICOM slices, as a part of the mean step; ours
_STRAIGHT = 0.9999  # smallest cosine between the stack and the direction across a slice (0.8 degrees); ours


@dataclass(frozen=True)
class Opened:
    """A file whose header was read: where its voxels lie, and how to read them, (*space) or (*space, K).

    `read_indices` reads a picture with a palette as indices instead of colours.
    """

    geometry: Geometry
    read: Callable[[], np.ndarray]
    read_indices: Callable[[], np.ndarray] | None = None


def open_nifti(path: Path, _key: str | None) -> Opened:
    """A NIfTI file, packed or not, of version 1 or 2, whatever its name is. One axis behind the third are channels.

    Axes of length 1 behind the third are left out. Lengths in micrometres or metres become millimetres.
    """
    with _nifti(path) as (file, _):
        geometry = _nifti_geometry(file)
        shape = (*file.shape[:3], *(int(n) for n in file.shape[3:] if n > 1))
        if len(shape) > 4:
            raise DataError(f"an image of shape {file.shape} is not supported; save one volume a file")

    def read() -> np.ndarray:
        with _nifti(path) as (file, stream):
            array = _nifti_array(file)
            while stream.read(1 << 20):  # only the end of a packed file says whether all of it is what was written
                pass
        return array.reshape((*shape, *array.shape[file.ndim :]))

    return Opened(geometry, read)


@contextmanager
def _nifti(path: Path) -> Iterator[tuple[Any, IO[bytes]]]:
    """The file and the unpacked stream that it is read from."""
    import nibabel as nib

    with ExitStack() as opened:
        stream: Any = opened.enter_context(path.open("rb"))
        is_packed = stream.read(2) == b"\x1f\x8b"
        if is_packed:
            stream = opened.enter_context(gzip.open(path))
        stream.seek(0)
        kind = nib.Nifti2Image if 540 in _first_number(stream.read(4)) else nib.Nifti1Image
        stream.seek(0)
        yield kind.from_stream(stream), stream


def _first_number(head: bytes) -> tuple[int, int]:
    return int.from_bytes(head, "little"), int.from_bytes(head, "big")


def _nifti_array(file: Any) -> np.ndarray:
    """The voxels: colours as a last axis, scaled ones as float32, others as they are in the file."""
    if file.get_data_dtype().fields:
        colours = np.asarray(file.dataobj)
        return np.stack([colours[name] for name in ("R", "G", "B")], axis=-1)
    if (file.dataobj.slope, file.dataobj.inter) != (1, 0):
        return np.asarray(file.get_fdata(dtype=np.float32, caching="unchanged"))
    return np.asarray(file.dataobj)


def _nifti_geometry(file: Any) -> Geometry:
    header, shape = file.header, tuple(int(n) for n in file.shape[:3])
    scale = _MM.get(header.get_xyzt_units()[0], 1.0)
    if int(header["sform_code"]) or int(header["qform_code"]):
        return Geometry.from_affine(shape, np.diag([scale, scale, scale, 1.0]) @ file.affine)
    # nibabel would make up an affine
    return Geometry.plain(shape, tuple(float(z) * scale for z in header.get_zooms()[: len(shape)]))


def open_nrrd(path: Path, _key: str | None) -> Opened:
    """An NRRD file of 2 or 3 axes, whatever its name is."""
    return _open_itk(path, "NrrdImageIO")


def open_metaimage(path: Path, _key: str | None) -> Opened:
    """A MetaImage file of 2 or 3 axes, whatever its name is."""
    return _open_itk(path, "MetaImageIO")


def _open_itk(path: Path, image_io: str) -> Opened:
    import SimpleITK

    reader: Any = SimpleITK.ImageFileReader()
    reader.SetImageIO(image_io)  # else ITK goes by the suffix
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    geometry = _world(size, reader.GetSpacing(), reader.GetDirection(), reader.GetOrigin())
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
    """The one DICOM series in a folder, its slices in the order of their positions; opening reads the headers."""
    import SimpleITK

    ids = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(path))
    if len(ids) != 1:
        what = f"{len(ids)} DICOM series are in this folder" if ids else "no DICOM series is in this folder"
        raise DataError(f"{what}; give a folder with exactly one")
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), ids[0])
    if len(files) == 1:
        return _whole(SimpleITK.ReadImage(files[0]))
    headers = [_header(file) for file in files]
    positions = np.array([header.GetOrigin() for header in headers])
    across = np.reshape(headers[0].GetDirection(), (3, 3))[:, 2]
    _check_steps(positions, across)
    spacing = (*headers[0].GetSpacing()[:2], float(np.linalg.norm(positions[-1] - positions[0])) / (len(files) - 1))
    direction = np.reshape(headers[0].GetDirection(), (3, 3)).copy()
    direction[:, 2] *= np.sign((positions[-1] - positions[0]) @ across)
    size = (*headers[0].GetSize()[:2], len(files))
    reader: Any = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(files)
    return Opened(
        _world(size, spacing, tuple(direction.ravel()), headers[0].GetOrigin()), lambda: _array(reader.Execute(), 3)
    )


def _header(file: str) -> Any:
    import SimpleITK

    reader: Any = SimpleITK.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    if not reader.HasMetaDataKey(_POSITION):
        raise DataError(f"slice {Path(file).name} says no position (0020,0032); only slices with one make a volume")
    return reader


def _check_steps(positions: np.ndarray, across: np.ndarray) -> None:
    """Raises `DataError` for missing, doubled and tilted slices, which ITK would stack as if they were even."""
    steps = np.diff(positions, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    mean = float(lengths.mean())
    if lengths.min() <= (1 - _UNEVEN) * mean or lengths.max() > (1 + _UNEVEN) * mean:
        raise DataError(
            f"its {len(positions)} slices lie {lengths.min():.4g} to {lengths.max():.4g} mm apart; restore "
            "missing ones, take doubled ones out, or resample the series to NIfTI"
        )
    if float((np.abs(steps @ across) / lengths).min()) < _STRAIGHT:
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
