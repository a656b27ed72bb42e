"""Least confidence: the units whose least sure voxels the model is least sure of."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.scores import highest, score_units

SHARE = 0.25
"""Of a unit's voxels, the least confident ones, that are looked at (GM-ABS's baseline)."""


class LeastConfidence:
    """1 - largest class probability, mean over the least confident quarter of the unit's voxels, highest first.

    Source: Lewis & Gale 1994; the quarter as in the code of GM-ABS. Before the first model it is plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; ties are broken by the pool's order."""
        if view.probabilities is None:
            return before_first_model("least-confidence", view, budget, rng)
        units = view.units()
        return highest(units, score_units(view, units, lambda p: 1 - p.max(0), summary=mean_of_highest), budget)


def mean_of_highest(values: np.ndarray) -> float:
    """The mean over the highest quarter of the values, over one value at least."""
    n = max(1, round(SHARE * len(values)))
    return float(np.partition(values, len(values) - n)[-n:].mean())
