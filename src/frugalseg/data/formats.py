"""Reading files: what a file is, its first bytes say; the suffix decides only where they do not.

Arrays of volumes come in nibabel's index order, whatever wrote them: axis n belongs to column n of the RAS affine.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from frugalseg.data.formats_arrays import open_hdf5, open_npy, open_npz
from frugalseg.data.formats_pictures import open_picture, open_tiff
from frugalseg.data.formats_volumes import (
    Opened,
    open_dicom_file,
    open_dicom_folder,
    open_metaimage,
    open_nifti,
    open_nrrd,
)
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.errors import DataError

Open = Callable[[Path, str | None], Opened]
"""File and key (of the array in a file with several) -> what it holds; nothing is decoded yet where possible."""

READERS: Mapping[str, Open] = {
    "NIfTI": open_nifti,
    "NRRD": open_nrrd,
    "MetaImage": open_metaimage,
    "DICOM": open_dicom_file,
    "TIFF": open_tiff,
    "PNG": open_picture,
    "JPEG": open_picture,
    "npy": open_npy,
    "npz": open_npz,
    "HDF5": open_hdf5,
}

SUFFIXES: Mapping[str, str] = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".dcm": "DICOM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".npy": "npy",
    ".npz": "npz",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
}

_FIRST_BYTES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"NRRD00", "NRRD"),
)

_NIFTI_SIZES = {
    (348).to_bytes(4, "little"),
    (348).to_bytes(4, "big"),
    (540).to_bytes(4, "little"),
    (540).to_bytes(4, "big"),
}


def read_image(path: Path, *, key: str | None = None) -> Image:
    """The image in a file, or in a folder that holds one DICOM series; `key` names the array where there are several.

    Raises `DataError` that names the file when it is absent, of unknown kind, cut off, or holds NaN.
    """
    with _naming(path):
        opened = _open(path, key)
        return Image(opened.read(), opened.geometry)


def read_geometry(path: Path, *, key: str | None = None) -> Geometry:
    """Shape, spacing and affine of an image; of most formats only the header is read. Raises `DataError`."""
    with _naming(path):
        return _open(path, key).geometry


def read_values(path: Path, *, key: str | None = None) -> tuple[np.ndarray, Geometry]:
    """The stored numbers of a label, one channel (a palette's indices, not its colours), and where they lie.

    Raises `DataError`, also for a label with several channels.
    """
    with _naming(path):
        opened = _open(path, key)
        array = opened.read() if opened.read_indices is None else opened.read_indices()
        geometry = opened.geometry
        if array.ndim > geometry.ndim:
            if not (array == array[..., :1]).all():
                raise DataError(f"a label has one channel, but this file has {array.shape[-1]} different ones")
            array = array[..., 0]
        return array, geometry


def image_files(folder: Path) -> Iterator[Path]:
    """The files of a known suffix in a folder, by name; hidden files and sub-folders are passed over.

    A folder of DICOM slices is one image. Raises `DataError` when there is nothing to read.
    """
    files = sorted(f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    found = [folder] if is_series(folder) else [f for f in files if suffix_of(f) in SUFFIXES]
    if not found:
        raise DataError(f"{folder}: no image in this folder; known are {', '.join(SUFFIXES)}")
    yield from found


def is_series(folder: Path) -> bool:
    """True for a folder with DICOM slices, which are often named by numbers, and no image of another kind."""
    files = [f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith(".")]
    is_other = any(SUFFIXES.get(suffix_of(f), "DICOM") != "DICOM" for f in files)
    return not is_other and any(kind_of(f) == "DICOM" for f in files)


def suffix_of(path: Path) -> str:
    """The suffix in small letters; ``.nii.gz`` is one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def stem_of(path: Path) -> str:
    """The file's name without its suffix."""
    return path.name[: len(path.name) - len(suffix_of(path))]


def kind_of(path: Path) -> str | None:
    """Which of `READERS` a file is for, by its first bytes, then by its suffix; None when neither says."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as packed:
                head = packed.read(512)
        except (OSError, EOFError, zlib.error):
            return SUFFIXES.get(suffix_of(path))
    for first, kind in _FIRST_BYTES:
        if head.startswith(first):
            return kind
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[:4] in _NIFTI_SIZES:
        return "NIfTI"
    if b"NDims" in head and b"ObjectType" in head:
        return "MetaImage"
    return SUFFIXES.get(suffix_of(path))


def _open(path: Path, key: str | None) -> Opened:
    if path.is_dir():
        return open_dicom_folder(path)
    if not path.exists():
        raise DataError("there is no such file")
    if path.stat().st_size == 0:
        raise DataError("the file is empty; copy it again")
    kind = kind_of(path)
    if kind is None:
        raise DataError(f"neither its content nor its suffix is known; known are {', '.join(SUFFIXES)}")
    return READERS[kind](path, key)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the readers name the file and say what to do."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{path}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything on damaged files: struct.error, zlib.error, RuntimeError, ...
        words = " ".join(str(error).split()).rpartition("ERROR: ")[2][:200] or type(error).__name__
        raise DataError(f"{path}: cannot be read, it is cut off or damaged ({words}); copy it again") from error
