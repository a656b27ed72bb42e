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
    return [int(_by_slice(values, axis).argmax()) for axis in range(3)]


PLACEMENTS: Mapping[str, Place] = {
    "centre": centre,
    "middle-third": middle_third,
    "predicted": predicted,
    "largest-predicted": predicted,  # the same by its longer name
    "entropy": entropy,
}


Slices = Callable[[int, PoolView, str, np.random.Generator], list[int]]
"""Number of slices across the view's axis, view, case id, random numbers -> indices."""


def quarters(n: int, _view: PoolView, _case: str, _rng: np.random.Generator) -> list[int]:
    """At a quarter, the middle and three quarters: three different ones where there are as many."""
    first, middle, last = (round(share * (n - 1)) for share in (0.25, 0.5, 0.75))
    return [first, middle, max(last, middle + 1)] if n >= 3 else list(range(n))


def thirds(n: int, _view: PoolView, _case: str, rng: np.random.Generator) -> list[int]:
    """One anywhere in each third, so that of several stacks some show the ends."""
    return _fullest_of_thirds(np.zeros(n), rng)


def predicted_in_thirds(n: int, view: PoolView, case: str, rng: np.random.Generator) -> list[int]:
    """In each third the slice with most predicted foreground; any where nothing is predicted."""
    if view.probabilities is None:
        return thirds(n, view, case, rng)
    return _fullest_of_thirds(_by_slice(view.probabilities(case).argmax(0) > 0, view.axis), rng)


def entropy_in_thirds(n: int, view: PoolView, case: str, rng: np.random.Generator) -> list[int]:
    """In each third the slice of highest entropy; any where all are equal or there is no model yet."""
    if view.probabilities is None:
        return thirds(n, view, case, rng)
    return _fullest_of_thirds(_by_slice(entropy_map(view.probabilities(case)), view.axis), rng)


def _by_slice(values: np.ndarray, axis: int) -> np.ndarray:
    """The sum of each slice across an axis."""
    return np.asarray(values.sum(axis=tuple(d for d in range(values.ndim) if d != axis), dtype=np.float64))


def _fullest_of_thirds(values: np.ndarray, rng: np.random.Generator) -> list[int]:
    """In each third of a row the index of the largest value, the first of equal ones; any where all are equal."""
    edges = [round(k * len(values) / 3) for k in range(4)]
    thirds = [(a, values[a:b]) for a, b in pairwise(edges) if b > a]
    return [a + int(v.argmax() if np.ptp(v) > 0 else rng.integers(len(v))) for a, v in thirds]


PARALLEL: Mapping[str, Slices] = {
    "parallel": quarters,
    "parallel-thirds": thirds,
    "parallel-predicted": predicted_in_thirds,
    "parallel-entropy": entropy_in_thirds,
}
"""In the place of a placement of orthogonal planes: three slices across one axis, for stacks of thick slices."""


def place(unit: Unit, view: PoolView, placement: str, *, rng: np.random.Generator) -> list[Unit]:
    """Three planes with their positions: one unit of orthogonal ones, or three slices across the view's axis.

    Raises `SettingsError` for an unknown placement.
    """
    if placement not in PARALLEL:
        return [place_planes(unit, view, placement, rng=rng)]
    n = next(case.geometry.shape for case in view.cases if case.id == unit.case)[view.axis]
    return [Unit(unit.case, "slice", view.axis, (k,)) for k in PARALLEL[placement](n, view, unit.case, rng)]


def place_planes(unit: Unit, view: PoolView, placement: str, *, rng: np.random.Generator) -> Unit:
    """The same three planes with their positions. Raises `SettingsError` for an unknown placement."""
    place = lookup(PLACEMENTS, placement, "placement")
    shape = next(case.geometry.shape for case in view.cases if case.id == unit.case)
    i, j, k = place(shape, view, unit.case, rng)
    return unit.placed((i, j, k))
