"""Foreground-random: random among the units in which the current model sees an object."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.scores import score_units


class ForegroundRandom:
    """Uniform over units with predicted foreground, then over the others when the budget is not spent.

    Most slices of a scan are empty; not buying those is most of what clever strategies gain. Before the first model
    nothing is predicted and it is plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, those with predicted foreground first, each part in random order."""
        if view.probabilities is None:
            return before_first_model("foreground-random", view, budget, rng)
        units = view.units()
        seen = score_units(view, units, lambda p: (p.argmax(0) > 0).astype(np.float32)) > 0
        order = rng.permutation(len(units))
        return [units[i] for i in [*order[seen[order]], *order[~seen[order]]][:budget]]
