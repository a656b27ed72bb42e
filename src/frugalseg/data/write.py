"""Writing labels and images as files. The suffix decides the format; a file is whole or absent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.errors import DataError
from frugalseg.files import atomic_path

_LPS = np.diag([-1.0, -1.0, 1.0])


def write_label(path: Path, label: SemanticLabel | InstanceLabel, geometry: Geometry) -> None:
    """Writes a label where the image lies: .nii, .nii.gz, .nrrd, .mha, .png, .tif, .tiff or .npy.

    Classes are uint8 with 255 where nobody has looked. Instances are int32 with -1 there; PNG and TIFF keep them as
    uint16, which holds ids up to 65535 and no unknown. NIfTI, NRRD and MHA keep the affine, TIFF the spacing, PNG and
    npy neither. Raises `DataError` for what a format cannot hold.
    """
    if label.array.shape != geometry.shape:
        raise DataError(f"{path}: a label of shape {label.array.shape} does not lie on an image of {geometry.shape}")
    array = label.array
    if isinstance(label, InstanceLabel) and _suffix(path) in (".png", ".tif", ".tiff"):
        low, high = (int(array.min()), int(array.max()))
        if low < 0 or high > np.iinfo(np.uint16).max:
            reason = "voxels where nobody has looked" if low < 0 else f"the id {high}, above 65535"
            raise DataError(f"{path}: 16 bits cannot hold {reason}; write .nii.gz or .npy, which keep 32 bits")
        array = array.astype(np.uint16)
    _write(path, array, geometry)


def write_image(path: Path, image: Image) -> None:
    """Writes an image in one of the formats of `write_label`, channels last (a fourth axis in a NIfTI volume).

    The values stay as they are: bool becomes uint8, float16 float32, and 64-bit integers become int32 when they fit.
    Raises `DataError` for what a format cannot hold (PNG: 2D, uint8 with 1, 3 or 4 channels, or uint16 with one).
    """
    _write(path, _storable(path, image.array), image.geometry)


def _write(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    suffix = _suffix(path)
    if suffix not in _WRITERS:
        raise DataError(f"{path}: cannot write a file of this kind; give it one of the suffixes {', '.join(_WRITERS)}")
    with atomic_path(path) as part:
        _WRITERS[suffix](part, array, geometry)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def _storable(path: Path, array: np.ndarray) -> np.ndarray:
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype in (np.int64, np.uint64):
        limits = np.iinfo(np.int32)
        if array.min() < limits.min or array.max() > limits.max:
            raise DataError(f"{path}: values up to {array.max()} do not fit 32 bits; convert the image to float first")
        return array.astype(np.int32)
    return array


def _write_nifti(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    import nibabel as nib

    if array.ndim > geometry.ndim and geometry.ndim == 2:
        raise DataError(f"{path}: NIfTI holds no 2D image with several channels; write .tif or .png")
    affine = None if geometry.affine is None else geometry.matrix
    file: Any = nib.Nifti1Image(array, affine)
    file.header.set_xyzt_units("mm")
    if affine is None:
        file.header.set_zooms([*geometry.spacing, *([1.0] * (array.ndim - geometry.ndim))])
    else:
        file.set_sform(affine, code="scanner")
        file.set_qform(affine, code="unknown" if _is_sheared(affine[:3, :3]) else "scanner")
    nib.save(file, path)


def _write_itk(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    import SimpleITK

    n = geometry.ndim
    has_channels = array.ndim > n
    axes = [*range(n)[::-1], *([n] if has_channels else [])]
    file: Any = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.transpose(axes)), isVector=has_channels)
    file.SetSpacing(geometry.spacing)
    if geometry.affine is not None:
        axes_lps = (_LPS @ geometry.matrix[:3, :3])[:n, :n]
        if _is_sheared(axes_lps) or not np.allclose(np.linalg.norm(axes_lps, axis=0), geometry.spacing, rtol=1e-3):
            raise DataError(f"{path}: its format cannot hold an affine whose axes are not perpendicular; write .nii.gz")
        file.SetDirection((axes_lps / geometry.spacing).ravel().tolist())
        file.SetOrigin((_LPS @ geometry.matrix[:3, 3])[:n].tolist())
    SimpleITK.WriteImage(file, str(path), useCompression=True)


def _is_sheared(axes: np.ndarray) -> bool:
    """True when the columns are not perpendicular to each other."""
    unit = axes / np.linalg.norm(axes, axis=0)
    return not np.allclose(unit.T @ unit, np.eye(len(unit)), atol=1e-4)


def _write_png(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    from PIL import Image as Picture

    channels = array.shape[-1] if array.ndim > geometry.ndim else 1
    allowed = {np.dtype(np.uint8): (1, 3, 4), np.dtype(np.uint16): (1,)}
    if geometry.ndim != 2 or channels not in allowed.get(array.dtype, ()):
        raise DataError(
            f"{path}: PNG holds 2D images of uint8 with 1, 3 or 4 channels or uint16 with one, not {array.dtype} of "
            f"shape {array.shape}; write .tif" + (" or .nii.gz" if geometry.ndim == 3 else "")
        )
    Picture.fromarray(array if channels > 1 else array.reshape(geometry.shape)).save(path)


def _write_tiff(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    import tifffile

    channels = array.shape[-1] if array.ndim > geometry.ndim else 0
    *depth, height, width = geometry.spacing
    tifffile.imwrite(
        path,
        array,
        photometric="rgb" if channels == 3 else "minisblack",
        planarconfig="contig" if channels else None,
        compression="zlib",
        resolution=(10 / width, 10 / height),
        resolutionunit="CENTIMETER",
        metadata={"axes": "ZYX"[-geometry.ndim :] + ("S" if channels else ""), "unit": "mm", "spacing": [*depth]},
    )


def _write_npy(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    np.save(path, array, allow_pickle=False)


_WRITERS: dict[str, Callable[[Path, np.ndarray, Geometry], None]] = {
    ".nii": _write_nifti,
    ".nii.gz": _write_nifti,
    ".nrrd": _write_itk,
    ".mha": _write_itk,
    ".png": _write_png,
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".npy": _write_npy,
}
