"""Entropy: the units about which the current model is least sure."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.scores import entropy_map, highest, score_units


class Entropy:
    """Mean entropy of the predicted classes over the unit's voxels, highest first (uncertainty sampling).

    Planes that are not placed yet count the whole case. Before the first model it is plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; ties are broken by the pool's order."""
        if view.probabilities is None:
            return before_first_model("entropy", view, budget, rng)
        units = view.units()
        return highest(units, score_units(view, units, entropy_map), budget)
