"""Where three planes of a case go. Nothing here knows the truth.

The published option, planes through the middle of the object's true bounding box, is the oracle's (`truth-centre`).
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.errors import lookup
from frugalseg.strategies.scores import entropy_map

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
    return _fullest(foreground) if foreground.any() else middle_third(shape, view, case, rng)


def entropy(shape: tuple[int, ...], view: PoolView, case: str, rng: np.random.Generator) -> list[int]:
    """For each axis the plane of highest entropy; the middle third where all are equal or there is no model yet."""
    if view.probabilities is None:
        return middle_third(shape, view, case, rng)
    unsure = entropy_map(view.probabilities(case))
    return _fullest(unsure) if np.ptp(unsure) > 0 else middle_third(shape, view, case, rng)


def _fullest(values: np.ndarray) -> list[int]:
    """For each axis the plane with the largest sum, the first of equal ones."""
    others = [tuple(d for d in range(3) if d != axis) for axis in range(3)]
    return [int(values.sum(axis=axes, dtype=np.float64).argmax()) for axes in others]


PLACEMENTS: Mapping[str, Place] = {
    "centre": centre,
    "middle-third": middle_third,
    "predicted": predicted,
    "largest-predicted": predicted,  # the same by its longer name
    "entropy": entropy,
}


def _quarters(n: int, _rng: np.random.Generator) -> list[int]:
    return sorted({round(share * (n - 1)) for share in (0.25, 0.5, 0.75)})


def _thirds(n: int, rng: np.random.Generator) -> list[int]:
    edges = [round(k * n / 3) for k in range(4)]
    return [int(rng.integers(a, b)) for a, b in pairwise(edges) if b > a]


PARALLEL: Mapping[str, Callable[[int, np.random.Generator], list[int]]] = {
    "parallel": _quarters,
    "parallel-thirds": _thirds,
}
"""In the place of a placement of orthogonal planes: three slices across one axis, for stacks of thick slices.

Number of slices, random numbers -> indices: at a quarter, the middle and three quarters, or one anywhere in each third,
so that of several stacks some show the ends.
"""


def place(unit: Unit, view: PoolView, placement: str, *, rng: np.random.Generator) -> list[Unit]:
    """Three planes with their positions: one unit of orthogonal ones, or three slices across the view's axis.

    Raises `SettingsError` for an unknown placement.
    """
    if placement not in PARALLEL:
        return [place_planes(unit, view, placement, rng=rng)]
    n = next(case.geometry.shape for case in view.cases if case.id == unit.case)[view.axis]
    return [Unit(unit.case, "slice", view.axis, (index,)) for index in PARALLEL[placement](n, rng)]


def place_planes(unit: Unit, view: PoolView, placement: str, *, rng: np.random.Generator) -> Unit:
    """The same three planes with their positions. Raises `SettingsError` for an unknown placement."""
    place = lookup(PLACEMENTS, placement, "placement")
    shape = next(case.geometry.shape for case in view.cases if case.id == unit.case)
    i, j, k = place(shape, view, unit.case, rng)
    return unit.placed((i, j, k))
