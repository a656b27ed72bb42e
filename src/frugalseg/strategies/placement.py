"""Where three orthogonal planes go. Nothing here knows the truth.

The published option, planes through the middle of the object's true bounding box, is the oracle's (`truth-centre`).
"""

from collections.abc import Callable, Mapping

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.errors import lookup

Place = Callable[[tuple[int, ...], PoolView, str, np.random.Generator], list[int]]
"""Shape, view, case id, random numbers -> one index for each axis."""


def centre(shape: tuple[int, ...], _view: PoolView, _case: str, _rng: np.random.Generator) -> list[int]:
    """The middle of the image."""
    return [n // 2 for n in shape]


def middle_third(shape: tuple[int, ...], _view: PoolView, _case: str, rng: np.random.Generator) -> list[int]:
    """Anywhere in the middle third of each axis, so that different cases show different planes."""
    return [int(rng.integers(n // 3, n - n // 3)) for n in shape]


def predicted(shape: tuple[int, ...], view: PoolView, case: str, rng: np.random.Generator) -> list[int]:
    """For each axis the plane with most predicted foreground; the middle third where nothing is predicted."""
    if view.probabilities is None:
        return middle_third(shape, view, case, rng)
    foreground = view.probabilities(case).argmax(0) > 0
    if not foreground.any():
        return middle_third(shape, view, case, rng)
    others = [tuple(d for d in range(3) if d != axis) for axis in range(3)]
    return [int(foreground.sum(axis=axes).argmax()) for axes in others]


PLACEMENTS: Mapping[str, Place] = {"centre": centre, "middle-third": middle_third, "predicted": predicted}


def place_planes(unit: Unit, view: PoolView, placement: str, *, rng: np.random.Generator) -> Unit:
    """The same three planes with their positions. Raises `SettingsError` for an unknown placement."""
    place = lookup(PLACEMENTS, placement, "placement")
    shape = next(case.geometry.shape for case in view.cases if case.id == unit.case)
    i, j, k = place(shape, view, unit.case, rng)
    return unit.placed((i, j, k))
