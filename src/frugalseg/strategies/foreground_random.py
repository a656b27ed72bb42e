"""Foreground-random: random among the units in which the current model sees an object."""

import logging

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.random import Random
from frugalseg.strategies.scores import score_units

log = logging.getLogger(__name__)


class ForegroundRandom:
    """Uniform over units with predicted foreground, then over the others when the budget is not spent.

    Most slices of a scan are empty; not buying those is most of what clever strategies gain. Before the first model
    nothing is predicted and it is plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, those with predicted foreground first, each part in random order."""
        if view.probabilities is None:
            log.info("foreground-random: there is no model yet, so the choice is plain random")
            return Random().rank(view, budget, rng)
        units = view.units()
        seen = score_units(view, units, lambda p: (p.argmax(0) > 0).astype(np.float32)) > 0
        order = rng.permutation(len(units))
        return [units[i] for i in [*order[seen[order]], *order[~seen[order]]][:budget]]
