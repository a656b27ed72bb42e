"""Pictures and stacks of pictures: TIFF, PNG, JPEG."""

from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.formats_volumes import Opened
from frugalseg.data.geometry import Geometry
from frugalseg.errors import DataError

_MM = {"mm": 1.0, "millimeter": 1.0, "micron": 1e-3, "um": 1e-3, "µm": 1e-3, "\\u00b5m": 1e-3, "nm": 1e-6, "cm": 10.0}
_MM_OF_UNIT = {2: 25.4, 3: 10.0}  # TIFF's ResolutionUnit: inch, centimetre


def open_tiff(path: Path, _key: str | None) -> Opened:
    """The first series of a TIFF: a picture, one with channels, or a stack whose planes are the first axis.

    Spacing is taken from ImageJ's and tifffile's own metadata; a bare resolution is a printer's and says nothing.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        sizes = {a: n for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"}
        planes = [a for a in sizes if a not in "YXSC"]
        channels = [a for a in sizes if a in "SC"]
        if len(planes) > 1 or len(channels) > 1:
            raise DataError(f"axes {series.axes} of shape {series.shape} are not supported; save one stack a file")
        order = [*planes, "Y", "X", *channels]
        geometry = Geometry.plain(tuple(sizes[a] for a in order if a not in "SC"), _spacing(file, bool(planes)))

    def read() -> np.ndarray:
        array = tifffile.imread(path, series=0)
        array = array.reshape(list(sizes.values()))
        array = array.transpose([list(sizes).index(a) for a in order])
        return array[..., :3] if channels and array.shape[-1] == 4 else array

    return Opened(geometry, read)


def _spacing(file: Any, has_planes: bool) -> tuple[float, ...] | None:
    about: dict[str, Any] = dict(file.imagej_metadata or {})
    if file.is_shaped and not about:
        about = dict((file.shaped_metadata or ({},))[0])
    unit = _MM.get(str(about.get("unit", "")).lower())
    if unit is None:
        return None
    tags = file.pages[0].tags
    pixel = [_distance(tags, f"{axis}Resolution") for axis in "YX"]
    if None in pixel:
        return None
    scale = _MM_OF_UNIT.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 1, unit)
    depth = np.atleast_1d(about.get("spacing", 1.0))
    first = [float(depth[0]) * unit] if has_planes and depth.size else [1.0] if has_planes else []
    return (*first, *(float(p) * scale for p in pixel if p is not None))


def _distance(tags: Any, name: str) -> float | None:
    if name not in tags:
        return None
    count, length = tags[name].value
    return length / count if count and length else None


def open_picture(path: Path, _key: str | None) -> Opened:
    """A PNG or JPEG: grey, 16-bit grey, or colours; an alpha channel is left out.

    A palette is read as colours (grey where all of its colours are), and as indices where a label is wanted.
    """
    from PIL import Image as Picture

    with Picture.open(path) as picture:
        width, height = picture.size
        mode = picture.mode

    def read() -> np.ndarray:
        with Picture.open(path) as picture:
            if mode in ("1", "LA", "La"):
                return np.asarray(picture.convert("L"))
            if mode in ("L", "RGB") or mode.startswith("I"):
                return np.asarray(picture)
            colours = np.asarray(picture.convert("RGB"))
            is_grey = mode == "P" and bool((colours == colours[..., :1]).all())
            return colours[..., 0] if is_grey else colours

    def read_indices() -> np.ndarray:
        with Picture.open(path) as picture:
            return np.asarray(picture)

    return Opened(Geometry.plain((height, width)), read, read_indices if mode == "P" else None)
