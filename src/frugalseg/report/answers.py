"""Pictures of answers: the object that was meant, what was said about it, and the masks that came."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel
from frugalseg.files import write_bytes
from frugalseg.generalists.prompts import BACKGROUND, OBJECT, Prompts
from frugalseg.report.anatomy import planes_of
from frugalseg.report.figures import plain_style, to_png
from frugalseg.report.outlines import draw_label, draw_mask
from frugalseg.report.palette import CLASSES, INK, PAPER
from frugalseg.report.pictures import brightness, cell
from frugalseg.report.records import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEANT, ANSWERED, SAID = CLASSES[1], CLASSES[0], CLASSES[2]
"""Colours of the truth, of the answer and of the prompts."""

_SIDE_IN, _WIDE_IN, _HEAD_IN, _DPI = 1.8, 5.0, 0.24, 100
_TALLEST = 1.6


@dataclass(frozen=True, eq=False)
class Answer:
    """A mask (H, W) and the one prompt that it answers."""

    title: str
    mask: np.ndarray
    prompts: Prompts


def answer_panel(image: Image, meant: np.ndarray, answers: Sequence[Answer], *, title: str) -> Panel:
    """A 2D image, then each answer on it: the outline of what was meant in blue, of the answer in orange, filled.

    Yellow: clicks on the object are dots, clicks beside it crosses, boxes dashed.
    """
    from matplotlib.figure import Figure

    shown = brightness(image)
    rows, columns = meant.shape
    aspect = image.geometry.spacing[0] / image.geometry.spacing[1]
    height = min(rows * aspect / columns, _TALLEST) * _SIDE_IN
    with plain_style():
        figure = Figure((_SIDE_IN * (1 + len(answers)), _HEAD_IN + height), dpi=_DPI, facecolor=PAPER)
        for k, answer in enumerate([None, *answers]):
            axes = cell(figure, left=k * _SIDE_IN, top=_HEAD_IN, width=_SIDE_IN, height=height)
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="bilinear")
            axes.set_axis_off()
            if answer is not None:
                draw_mask(axes, answer.mask, ANSWERED, filling=0.25)
                draw_mask(axes, meant, MEANT)
                draw_prompts(axes, answer.prompts)
            axes.set_title("image" if answer is None else answer.title, color=INK, fontsize=8, pad=3)
        return Panel(title, "", to_png(figure), f"{title}: the image, then each answer over what was meant")


def answers_png(path: Path, image: Image, label: InstanceLabel, prompts: Sequence[Prompts]) -> None:
    """Writes a PNG of a 2D image beside the image with the outlines of its objects and what was said about them."""
    from matplotlib.figure import Figure

    (plane,) = planes_of(image.geometry, label.array > 0)
    shown = brightness(image)
    height = min(image.geometry.shape[0] * plane.aspect / image.geometry.shape[1], _TALLEST) * _WIDE_IN
    with plain_style():
        figure = Figure((2 * _WIDE_IN, _HEAD_IN + height), dpi=_DPI, facecolor=PAPER)
        for k, title in enumerate(("image", "objects")):
            axes = cell(figure, left=k * _WIDE_IN, top=_HEAD_IN, width=_WIDE_IN, height=height)
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1, aspect=plane.aspect, interpolation="bilinear")
            axes.set_axis_off()
            axes.set_title(title, color=INK, fontsize=10, pad=4)
            if k:
                draw_label(axes, plane, label)
                for said in prompts:
                    draw_prompts(axes, said)
        write_bytes(path, to_png(figure))


def draw_prompts(axes: "Axes", prompts: Prompts) -> None:
    """Draws clicks and boxes in pixel coordinates."""
    from matplotlib.patches import Rectangle

    for r0, c0, r1, c1 in [] if prompts.boxes is None else prompts.boxes.tolist():
        corner, size = (c0 - 0.5, r0 - 0.5), (c1 - c0 + 1, r1 - r0 + 1)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=SAID, linewidth=1.1, linestyle="--"))
    limits = axes.get_xlim(), axes.get_ylim()
    for value, mark in ((OBJECT, "o"), (BACKGROUND, "X")):
        points = prompts.points[prompts.labels == value]
        axes.plot(points[:, 1], points[:, 0], mark, color=SAID, markeredgecolor=PAPER, markersize=5, linestyle="none")
    axes.set(xlim=limits[0], ylim=limits[1])
