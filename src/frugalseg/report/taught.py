"""Pictures of labels that a generalist gives: what the teacher saw and asked, what was said, what is true."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.prompt.slices import Asked
from frugalseg.prompt.views import Place
from frugalseg.report.anatomy import Plane, bare_plane
from frugalseg.report.answers import draw_prompts
from frugalseg.report.pictures import Column, planes_png
from frugalseg.report.records import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLICES = 4
"""Slices in a picture."""


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
    columns: list[Column] = [("image", None), ("asked", predicted), ("said", said)]
    if truth is not None:
        columns.append(("truth", truth))

    def boxes(axes: "Axes", plane: Plane) -> None:
        draw_prompts(axes, asked[plane.axis, plane.index].prompts)

    picture = planes_png(image, columns, _planes(image.geometry, asked), over={"asked": boxes})
    alt = f"{title}: prompts of the teacher, answers of the generalist"
    return Panel(title, "what the teacher predicted and asked, what the generalist said", picture, alt)


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
