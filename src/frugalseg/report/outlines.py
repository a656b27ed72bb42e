"""Outlines of labels over an image: one colour a class or object, dimmed where nobody has looked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.report.anatomy import Plane
from frugalseg.report.palette import INK, PAPER, class_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Outline

Label = SemanticLabel | InstanceLabel


def drawn(label: Label) -> np.ndarray:
    """Boolean array: every class or object but the background, where somebody has looked."""
    return np.asarray((label.array > 0) & label.known)


def draw_label(axes: "Axes", plane: Plane, label: Label) -> None:
    """Draws the outline of each class or object with a faint filling, and dims what nobody has looked at."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import PathPatch

    seen = plane.of(label.known)
    values = np.where(seen, plane.of(label.array), 0).astype(np.int32)
    if not seen.all():
        veil = np.zeros((*seen.shape, 4))
        veil[~seen] = to_rgba(PAPER, 0.6)
        axes.imshow(veil, aspect=plane.aspect, interpolation="nearest")
    for value, outline in _outlines(values):
        colour = class_colour(value)
        axes.add_patch(PathPatch(outline, facecolor=to_rgba(colour, 0.16), edgecolor=colour, linewidth=1.3))


def draw_mask(axes: "Axes", mask: np.ndarray, colour: str, *, filling: float = 0.0) -> None:
    """Draws the outline of a mask (H, W), filled as faintly as `filling` says, in pixel coordinates."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import PathPatch

    for _, outline in _outlines(mask.astype(np.int32)):
        axes.add_patch(PathPatch(outline, facecolor=to_rgba(colour, filling), edgecolor=colour, linewidth=1.2))


def draw_legend(figure: "Figure", labels: Sequence[Label]) -> None:
    """Names the classes below the picture; objects need no names."""
    from matplotlib.patches import Patch

    names = next((label.classes[1:] for label in labels if isinstance(label, SemanticLabel)), ())
    if not names:
        return
    handles = [Patch(color=class_colour(k), label=name) for k, name in enumerate(names, 1)]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        frameon=False,
        borderaxespad=0.3,
        labelcolor=INK,
        fontsize=8.5,
        handlelength=0.9,
        handleheight=0.9,
    )


def _outlines(values: np.ndarray) -> list[tuple[int, "Outline"]]:
    """Each value present with the closed outline of its pixels, holes included, in pixel coordinates (x, y)."""
    from matplotlib.path import Path as Outline
    from scipy.ndimage import find_objects
    from skimage.measure import find_contours

    found = []
    for value, box in enumerate(find_objects(values), 1):
        if box is None:
            continue
        mask = np.pad(values[box] == value, 1).astype(float)
        corner = np.array([box[1].start - 1, box[0].start - 1])
        # Holes run the other way round than rims, so they stay empty when the path is filled.
        loops = [Outline(contour[:, ::-1] + corner, closed=True) for contour in find_contours(mask, 0.5)]
        found.append((value, Outline.make_compound_path(*loops)))
    return found
