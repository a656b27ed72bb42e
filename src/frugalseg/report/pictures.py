"""Pictures of cases: image, truth and prediction side by side; overlays; contact sheets."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.errors import DataError
from frugalseg.files import write_bytes
from frugalseg.report.anatomy import Plane, planes_of
from frugalseg.report.figures import plain_style, to_png
from frugalseg.report.outlines import draw_label, draw_legend, drawn
from frugalseg.report.palette import INK, PAPER
from frugalseg.report.records import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Label = SemanticLabel | InstanceLabel
Column = tuple[str, Label | None]
Over = Callable[["Axes", Plane], None]

_COLUMN_IN, _DPI = {2: 3.6, 3: 2.5}, 140
_THINNEST = 0.12
_SHEET = 1700  # pixels across a contact sheet
_HEAD_IN, _FOOT_IN, _GAP_IN = 0.3, 0.32, 0.03


def case_panel(image: Image, truth: Label, prediction: Label, *, title: str, caption: str = "") -> Panel:
    """Image, truth and prediction of one case: 2D in one row, a volume in three orthogonal planes.

    The planes go through the largest area of truth or prediction, through the middle when both are empty. Volumes
    with a world affine are shown as radiologists look at them. Pixels have their true proportions; planes of a few
    thick slices that would be a thin strip are left out.
    """
    columns: list[Column] = [("image", None), ("truth", truth), ("prediction", prediction)]
    alt = f"{title}: the image, the outline of the truth and the outline of the prediction"
    return Panel(title, caption, planes_png(image, columns, _fullest(image, drawn(truth) | drawn(prediction))), alt)


def overlay_png(path: Path, image: Image, label: Label, *, title: str = "label") -> None:
    """Writes a PNG of the image beside the image with the label's outlines, through the label's largest areas."""
    write_bytes(path, planes_png(image, [("image", None), (title, label)], _fullest(image, drawn(label))))


def contact_sheet(panels: Sequence[Panel], path: Path, *, columns: int | None = None) -> None:
    """Writes the PNG panels with their titles as one PNG, by default in as many columns as fit into 1700 pixels.

    Raises `DataError` for no panel and for an SVG.
    """
    if not panels or any(panel.is_svg for panel in panels):
        raise DataError(f"{path}: a contact sheet is made of PNG panels, at least one")
    write_bytes(path, _sheet(panels, columns))


def _fullest(image: Image, extent: np.ndarray) -> list[Plane]:
    """The planes through most of a boolean array (*space), without those that would be a thin strip."""
    return not_thin(planes_of(image.geometry, extent), extent)


def not_thin(planes: list[Plane], shown: np.ndarray) -> list[Plane]:
    """The planes of an array (*space) or (*space, 3) that are more than a thin strip; all where none is."""
    return [p for p in planes if _proportion(p, shown) >= _THINNEST] or planes


def planes_png(
    image: Image, columns: Sequence[Column], planes: Sequence[Plane], *, over: Mapping[str, Over] | None = None
) -> bytes:
    """One row a plane, one column a label, in a PNG; `over` draws on the columns of these names too."""
    return shown_png(brightness(image), columns, planes, width=_COLUMN_IN[image.geometry.ndim], over=over)


def shown_png(
    shown: np.ndarray,
    columns: Sequence[Column],
    planes: Sequence[Plane],
    *,
    width: float,
    over: Mapping[str, Over] | None = None,
) -> bytes:
    """The same of what `brightness` says, in columns of this width (inches); columns without names have no head."""
    from matplotlib.figure import Figure

    labels = [label for _, label in columns if label is not None]
    heights = [min(_proportion(plane, shown), 1.3) * width for plane in planes]
    head = _HEAD_IN if any(name for name, _ in columns) else 0.0
    foot = _FOOT_IN if any(isinstance(label, SemanticLabel) for label in labels) else _GAP_IN
    with plain_style():
        figure = Figure((width * len(columns), head + sum(heights) + foot), dpi=_DPI, facecolor=PAPER)
        for row, plane in enumerate(planes):
            for column, (name, label) in enumerate(columns):
                top = head + sum(heights[:row])
                axes = cell(figure, left=column * width, top=top, width=width, height=heights[row])
                _show(axes, plane, shown, is_first=column == 0)
                if label is not None:
                    draw_label(axes, plane, label)
                if over and name in over:
                    over[name](axes, plane)
                if row == 0:
                    axes.set_title(name, color=INK, fontsize=10, pad=5)
        draw_legend(figure, labels)
        return to_png(figure)


def cell(figure: "Figure", *, left: float, top: float, width: float, height: float) -> "Axes":
    """Axes at this place, all in inches from the upper left corner."""
    across, down = figure.get_size_inches()
    bottom = down - top - height
    size = ((width - 2 * _GAP_IN) / across, (height - 2 * _GAP_IN) / down)
    return figure.add_axes(((left + _GAP_IN) / across, (bottom + _GAP_IN) / down, *size))


def _show(axes: "Axes", plane: Plane, shown: np.ndarray, *, is_first: bool) -> None:
    from matplotlib.patheffects import withStroke

    axes.imshow(plane.of(shown), cmap="gray", vmin=0, vmax=1, aspect=plane.aspect, interpolation="bilinear")
    axes.set_axis_off()
    if not is_first:
        return
    rim = [withStroke(linewidth=2.2, foreground=PAPER)]
    places = [(0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"), (0.5, 0.98, "center", "top")]
    words = [*zip(plane.edges[:3], places, strict=True), (plane.name, (0.02, 0.02, "left", "bottom"))]
    for word, (x, y, ha, va) in words:
        axes.text(x, y, word, transform=axes.transAxes, color=INK, fontsize=7.5, ha=ha, va=va, path_effects=rim)


def _proportion(plane: Plane, shown: np.ndarray) -> float:
    """Height of the plane for its width, as it lies in the body."""
    rows, columns = plane.of(shown).shape[:2]
    return float(rows * plane.aspect / columns)


def brightness(image: Image) -> np.ndarray:
    """Intensities as 0 to 1 between the 0.5th and 99.5th percentile: (*space) grey, or (*space, 3) for colours."""
    array = image.array.astype(np.float32)
    if image.channels == 1 or array.ndim == image.geometry.ndim:
        array = array.reshape(image.geometry.shape)
    else:
        array = array[..., :3] if image.channels in (3, 4) else array[..., 0]
    low, high = np.percentile(array, [0.5, 99.5])
    return np.asarray(np.clip((array - low) / max(high - low, 1e-6), 0, 1))


def _sheet(panels: Sequence[Panel], columns: int | None) -> bytes:
    from PIL import Image as Picture
    from PIL import ImageDraw, ImageFont

    gap, head, font = 24, 44, ImageFont.load_default(size=20)
    pictures = [Picture.open(BytesIO(panel.image)).convert("RGB") for panel in panels]
    width = max(p.width for p in pictures) + gap
    columns = min(columns or max(1, _SHEET // width), len(panels))
    heights = [max(p.height for p in pictures[k : k + columns]) + gap + head for k in range(0, len(panels), columns)]
    sheet = Picture.new("RGB", (columns * width + gap, sum(heights) + gap), PAPER)
    pen = ImageDraw.Draw(sheet)
    for k, (panel, picture) in enumerate(zip(panels, pictures, strict=True)):
        x, y = gap + k % columns * width, gap + sum(heights[: k // columns])
        pen.text((x, y), panel.title, fill=INK, font=font)
        sheet.paste(picture, (x, y + head))
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
