"""What of a case somebody has drawn, dense or in strokes: told from where it is known and from what was bought."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from frugalseg.data.unit import Unit


def is_slice_drawn(
    known: Bool[np.ndarray, "D H W"], axis: int = 0, acts: Sequence[Unit] = ()
) -> Bool[np.ndarray, " n"]:
    """Which slices of a volume across an axis somebody has drawn; `acts` are the units of it that were bought.

    Drawn is what was bought as a slice, as one of three planes or with the whole volume, a slice that is known
    everywhere, and one with strokes that belong to no act. Planes across another axis that came with the data leave a
    line in every slice: a slice of which nothing but these is known was looked at by nobody.
    """
    whole, strokes = np.moveaxis(known, axis, 0), np.moveaxis(_beyond(known, acts), axis, 0)
    in_planes = whole.all((0, 2), keepdims=True) | whole.all((0, 1), keepdims=True)
    drawn = np.asarray((strokes & ~in_planes).any((1, 2)) | whole.all((1, 2)))
    for unit in acts:
        drawn[_bought_slices(unit, axis)] = True
    return drawn


def is_image_drawn(known: Bool[np.ndarray, "H W"], acts: Sequence[Unit] = ()) -> bool:
    """Whether somebody has drawn a 2D image, of which patches that were bought are a part only."""
    return any(unit.kind == "image" for unit in acts) or bool(known.all() or _beyond(known, acts).any())


def _beyond(known: np.ndarray, acts: Sequence[Unit]) -> np.ndarray:
    """Where something is known outside of all acts: what came with the data."""
    beyond = known.copy()
    for unit in acts:
        for region in unit.regions(known.shape) if unit.is_placed else ():
            beyond[region] = False
    return beyond


def _bought_slices(unit: Unit, axis: int) -> slice | list[int]:
    """Which slices across an axis an act has drawn."""
    if unit.kind == "image":
        return slice(None)
    if unit.kind == "planes":
        return list(unit.index[axis : axis + 1])
    return list(unit.index) if unit.axis == axis else []
