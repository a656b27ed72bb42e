"""Pictures of labels that a generalist gives: what the teacher saw and asked, what was said, what is true."""

from collections.abc import Mapping, Sequence

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.prompt.slices import Asked
from frugalseg.prompt.views import Place
from frugalseg.report.anatomy import Plane, bare_plane
from frugalseg.report.answers import draw_prompts
from frugalseg.report.figures import plain_style, to_png
from frugalseg.report.outlines import draw_label, draw_legend
from frugalseg.report.palette import INK, PAPER
from frugalseg.report.pictures import brightness, cell
from frugalseg.report.records import Panel

SLICES = 4
"""Slices in a picture."""

_WIDE_IN, _HEAD_IN, _FOOT_IN, _DPI = 2.2, 0.3, 0.3, 110
_TALLEST = 1.3


def taught_panel(
    image: Image,
    predicted: SemanticLabel,
    said: SemanticLabel,
    truth: SemanticLabel | None,
    asked: Mapping[Place, Asked],
    *,
    title: str,
) -> Panel:
    """Some slices that were asked about: the teacher's prediction with the boxes, what the generalist said, the truth.

    Boxes lie around what looks like a class by its prototype, so they may be wider than the prediction. Slices lie as
    they do in the array, across the axis with the most prompts. What nobody has said is dimmed. Raises `ValueError`
    when nothing was asked.
    """
    from matplotlib.figure import Figure

    planes = _planes(image.geometry, asked)
    columns = [("asked", predicted), ("said", said), *([("truth", truth)] if truth is not None else [])]
    shown = brightness(image)
    heights = [min(len(p.of(shown)) * p.aspect / p.of(shown).shape[1], _TALLEST) * _WIDE_IN for p in planes]
    with plain_style():
        size = (_WIDE_IN * (1 + len(columns)), _HEAD_IN + sum(heights) + _FOOT_IN)
        figure = Figure(size, dpi=_DPI, facecolor=PAPER)
        for row, (plane, height) in enumerate(zip(planes, heights, strict=True)):
            for column, (name, label) in enumerate([("image", None), *columns]):
                top = _HEAD_IN + sum(heights[:row])
                axes = cell(figure, left=column * _WIDE_IN, top=top, width=_WIDE_IN, height=height)
                axes.imshow(plane.of(shown), cmap="gray", vmin=0, vmax=1, aspect=plane.aspect)
                axes.set_axis_off()
                if label is not None:
                    draw_label(axes, plane, label)
                if name == "asked":
                    draw_prompts(axes, asked[plane.axis, plane.index].prompts)
                if row == 0:
                    axes.set_title(name, color=INK, fontsize=9, pad=4)
        draw_legend(figure, [predicted])
        alt = f"{title}: prompts of the teacher, answers of the generalist"
        return Panel(title, "what the teacher predicted and asked, what the generalist said", to_png(figure), alt)


def _planes(geometry: Geometry, asked: Mapping[Place, Asked]) -> Sequence[Plane]:
    """Planes evenly spread over the slices with prompts of one axis."""
    places = [place for place, prompts in asked.items() if len(prompts)]
    if not places:
        raise ValueError("nothing was asked, so there is nothing to show")
    counts = {axis: sum(a == axis for a, _ in places) for axis, _ in places}
    axis = max(counts, key=lambda a: (counts[a], a))
    indices = sorted(index for a, index in places if a == axis)
    chosen = np.unique(np.linspace(0, len(indices) - 1, min(SLICES + 2, len(indices))).round().astype(int))
    inner = chosen[1:-1] if len(chosen) > SLICES else chosen
    return [bare_plane(geometry, axis, indices[k]) for k in inner]
