"""Scores of units from what the current model predicts: one case at a time, one number a unit."""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit

VoxelScore = Callable[[np.ndarray], np.ndarray]
"""Probabilities (C, *space) -> a score of each voxel (*space)."""


def score_units(view: PoolView, units: Sequence[Unit], voxel_score: VoxelScore) -> np.ndarray:
    """The mean score over each unit's voxels, in the order of the units, which must be grouped by case.

    Each case is predicted once and forgotten. Raises `ValueError` when the view has no model.
    """
    if view.probabilities is None:
        raise ValueError("there is no model to ask")
    scores: list[float] = []
    for case, group in groupby(units, key=lambda unit: unit.case):
        voxels = voxel_score(view.probabilities(case))
        scores += [_mean(voxels, unit) for unit in group]
    return np.array(scores)


def entropy_map(probabilities: np.ndarray) -> np.ndarray:
    """The entropy of the classes in each voxel, as a part of its largest value ln C: 0 sure, 1 knows nothing."""
    p = np.clip(probabilities, 1e-8, 1)
    return np.asarray(-(p * np.log(p)).sum(0) / np.log(len(p)))


def _mean(voxels: np.ndarray, unit: Unit) -> float:
    if not unit.is_placed:
        return float(voxels.mean())
    parts = [voxels[region] for region in unit.regions(voxels.shape)]
    return float(sum(part.sum() for part in parts) / sum(part.size for part in parts))
