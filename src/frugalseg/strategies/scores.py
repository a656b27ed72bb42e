"""Scores of units from what the current model predicts: one case at a time, one number a unit."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit

VoxelScore = Callable[[np.ndarray], np.ndarray]
"""Probabilities (C, *space) -> a score of each voxel (*space)."""

MembersScore = Callable[[Iterator[np.ndarray]], np.ndarray]
"""Probabilities (C, *space) by one member after the other -> a score of each voxel (*space)."""


def score_units(
    view: PoolView,
    units: Sequence[Unit],
    voxel_score: VoxelScore,
    *,
    summary: Callable[[np.ndarray], float] = np.mean,
) -> np.ndarray:
    """The summary, the mean by default, of the scores of each unit's voxels, in the order of the units.

    They must be grouped by case. Each case is predicted once and forgotten. Raises `ValueError` when the view has no
    model.
    """
    probabilities = view.probabilities
    if probabilities is None:
        raise ValueError("there is no model to ask")
    scores = by_unit(units, lambda case: voxel_score(probabilities(case))[None], lambda a, u: summary(voxels(a, u)[0]))
    return np.asarray(scores, np.float64)


def score_by_members(view: PoolView, units: Sequence[Unit], score: MembersScore) -> np.ndarray:
    """The mean score of each unit's voxels by what members predict. Raises `ValueError` where there are none."""
    members = view.members
    if members is None:
        raise ValueError("there are no members to ask")
    scores = by_unit(units, lambda case: score(members(case))[None], lambda a, u: voxels(a, u)[0].mean())
    return np.asarray(scores, np.float64)


def by_unit(
    units: Sequence[Unit], of_case: Callable[[str], np.ndarray], reduce: Callable[[np.ndarray, Unit], object]
) -> np.ndarray:
    """A row for each unit: what becomes of its case's array (K, *space). Each case is asked for once and forgotten."""
    rows: list[object] = []
    for case, group in groupby(units, key=lambda unit: unit.case):
        array = of_case(case)
        rows += [reduce(array, unit) for unit in group]
    return np.array(rows)


def voxels(array: np.ndarray, unit: Unit) -> np.ndarray:
    """What an array (K, *space) of its case holds in a unit, (K, n). Planes without places count the whole case."""
    if unit.kind == "image" or not unit.is_placed:
        return array.reshape(len(array), -1)
    parts = [array[(slice(None), *region)] for region in unit.regions(array.shape[1:])]
    return np.concatenate([part.reshape(len(array), -1) for part in parts], axis=1)


def entropy_map(probabilities: np.ndarray) -> np.ndarray:
    """The entropy of the classes in each voxel, as a part of its largest value ln C: 0 sure, 1 knows nothing."""
    p = np.clip(probabilities, 1e-8, 1)
    return np.asarray(-(p * np.log(p)).sum(0) / np.log(len(p)))


def highest(units: Sequence[Unit], scores: np.ndarray, n: int) -> list[Unit]:
    """The n units of the highest scores, the first of equal ones first."""
    return [units[i] for i in np.argsort(-scores, kind="stable")[:n]]
