"""Thumbnails of units, for whoever has to draw them."""

from collections.abc import Sequence
from io import BytesIO
from typing import Literal

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.unit import Unit
from frugalseg.report.anatomy import Plane, planes_through
from frugalseg.report.pictures import brightness, not_thin, shown_png
from frugalseg.report.records import Panel

_WIDTH_IN = 1.4


def unit_panels(image: Image, units: Sequence[Unit]) -> list[Panel]:
    """A small picture of each of some units of one image, without any label.

    A slice as it is held up for looking, three planes among each other, of a volume or patch the planes through its
    middle.
    """
    shown = brightness(image)
    mode: Literal["L", "RGB"] = "RGB" if shown.ndim > image.geometry.ndim else "L"
    pictures = [_small(shown, _planes(image.geometry, unit), mode) for unit in units]
    return [Panel(str(unit), "", png, f"{unit}: the image") for unit, png in zip(units, pictures, strict=True)]


def _small(shown: np.ndarray, planes: list[Plane], mode: Literal["L", "RGB"]) -> bytes:
    """The planes in a PNG without an alpha channel, and where the image is grey without colours: half the bytes."""
    from PIL import Image as Picture

    buffer = BytesIO()
    png = shown_png(shown, [("", None)], not_thin(planes, shown), width=_WIDTH_IN)
    Picture.open(BytesIO(png)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def _planes(geometry: Geometry, unit: Unit) -> list[Plane]:
    planes = planes_through(geometry, _middle(unit, geometry.shape))
    return [plane for plane in planes if unit.kind != "slice" or plane.axis == unit.axis]


def _middle(unit: Unit, shape: tuple[int, ...]) -> list[int]:
    """A voxel in the middle of a unit; planes that nobody has placed are the whole volume."""
    if unit.kind == "planes" and unit.is_placed:
        return list(unit.index)
    (region,) = (unit if unit.is_placed else Unit(unit.case)).regions(shape)
    return [(part.start + part.stop) // 2 for part in region]
