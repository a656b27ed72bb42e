"""Pictures and stacks of pictures: TIFF, PNG, JPEG."""

import html
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.formats_volumes import Opened
from frugalseg.data.geometry import Geometry
from frugalseg.errors import DataError

_MM = {
    "mm": 1.0,
    "millimeter": 1.0,
    "micron": 1e-3,
    "um": 1e-3,
    "µm": 1e-3,
    "μm": 1e-3,
    "\\u00b5m": 1e-3,
    "nm": 1e-6,
    "cm": 10.0,
}
_MM_OF_UNIT = {2: 25.4, 3: 10.0}  # TIFF's ResolutionUnit: inch, centimetre
_ALPHA = (1, 2)  # TIFF's ExtraSamples: alpha, multiplied into the colours or not
_PALETTE = 3  # TIFF's PhotometricInterpretation
_DEEP_COLOURS = ((16, 2), (16, 4), (16, 6))  # bits and colour type of PNG that Pillow would cut to 8 bits
_GREY_STEPS = {(2, 0): 85, (4, 0): 17}  # how far apart Pillow spreads the values of grey PNG with few bits


def open_tiff(path: Path, _key: str | None) -> Opened:
    """A TIFF of one image: a picture, one with channels, or a stack whose planes are the first axis.

    A palette is read as colours, and as indices where a label is wanted; only a channel that is alpha is left out.
    Spacing comes from OME's, ImageJ's and tifffile's own metadata; a bare resolution is a printer's and says nothing.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        _check_last_page(file)
        if len(file.series) != 1:
            shapes = ", ".join(str(s.shape) for s in file.series[:4])
            raise DataError(f"it holds {len(file.series)} images of different kinds ({shapes}); save each as a file")
        series = file.series[0]
        page = series.keyframe
        has_alpha = bool(page.extrasamples) and int(page.extrasamples[-1]) in _ALPHA
        palette = page.colormap if page.photometric == _PALETTE else None
        kept = "ZYX" if file.is_shaped else "YX"  # of ImageJ and OME, every picture is a stack of one plane
        sizes = {a: n for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in kept}
        planes = [a for a in sizes if a not in "YXSC"]
        channels = [a for a in sizes if a in "SC"]
        if len(planes) > 1 or len(channels) > 1:
            raise DataError(f"axes {series.axes} of shape {series.shape} are not supported; save one stack a file")
        order = [*planes, "Y", "X", *channels]
        geometry = Geometry.plain(tuple(sizes[a] for a in order if a not in "SC"), _spacing(file, bool(planes)))

    def read_indices() -> np.ndarray:
        array = tifffile.imread(path, series=0)
        array = array.reshape(list(sizes.values()))
        array = array.transpose([list(sizes).index(a) for a in order])
        if not (channels and has_alpha):
            return array
        return array[..., :-1] if array.shape[-1] > 2 else array[..., 0]

    def read() -> np.ndarray:
        array = read_indices()
        return array if palette is None else _grey_if_grey((palette >> 8).astype(np.uint8).T[array])

    return Opened(geometry, read, None if palette is None else read_indices)


def _check_last_page(file: Any) -> None:
    """Raises `DataError` when the last page found names another one: tifffile would read a shorter stack."""
    tiff, handle = file.tiff, file.filehandle
    handle.seek(file.pages[-1].offset)
    n_tags = struct.unpack(tiff.tagnoformat, handle.read(tiff.tagnosize))[0]
    handle.seek(n_tags * tiff.tagsize, 1)
    following = handle.read(tiff.offsetsize)
    if len(following) < tiff.offsetsize or struct.unpack(tiff.offsetformat, following)[0]:
        raise DataError(f"it is cut off: pages are missing behind the first {len(file.pages)}; copy it again")


def _grey_if_grey(colours: np.ndarray) -> np.ndarray:
    return colours[..., 0] if bool((colours == colours[..., :1]).all()) else colours


def _spacing(file: Any, has_planes: bool) -> tuple[float, ...] | None:
    if file.is_ome:
        sizes = tuple(_ome_size(file.ome_metadata, axis) for axis in "ZYX")
        return sizes if has_planes else sizes[1:]
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


def _ome_size(text: str, axis: str) -> float:
    """The physical size of a pixel along an axis in mm; 1 where it is not said. OME means micrometres by default."""
    size = re.search(rf'PhysicalSize{axis}="([^"]+)"', text)
    unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', text)
    scale = _MM.get(html.unescape(unit[1]).lower() if unit else "um")
    return float(size[1]) * scale if size and scale else 1.0


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
    bits, colour = _bits_and_colour(path)
    step = _GREY_STEPS.get((bits, colour), 1)

    def read() -> np.ndarray:
        with Picture.open(path) as picture:
            if mode in ("1", "LA", "La"):
                return np.asarray(picture.convert("L"))
            if (bits, colour) in _DEEP_COLOURS:
                return _deep_colours(path)
            if mode in ("L", "RGB") or mode.startswith("I"):
                return np.asarray(picture)
            colours = np.asarray(picture.convert("RGBA" if mode == "P" else "RGB"))[..., :3]
            return _grey_if_grey(colours) if mode == "P" else colours

    def read_indices() -> np.ndarray:
        with Picture.open(path) as picture:
            return np.asarray(picture) // step

    return Opened(Geometry.plain((height, width)), read, read_indices if mode == "P" or step > 1 else None)


def _bits_and_colour(path: Path) -> tuple[int, int]:
    """Bit depth and colour type in the header of a PNG; (8, -1) for JPEG."""
    with path.open("rb") as file:
        head = file.read(26)
    return (head[24], head[25]) if head.startswith(b"\x89PNG") and len(head) == 26 else (8, -1)


def _deep_colours(path: Path) -> np.ndarray:
    import imagecodecs

    array = np.asarray(imagecodecs.png_decode(path.read_bytes()))
    return array[..., 0] if array.shape[-1] == 2 else array[..., :3]
