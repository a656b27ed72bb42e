"""Entropy: the units about which the current model is least sure."""

import logging

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.random import Random
from frugalseg.strategies.scores import entropy_map, score_units

log = logging.getLogger(__name__)


class Entropy:
    """Mean entropy of the predicted classes over the unit's voxels, highest first (uncertainty sampling).

    Planes that are not placed yet count the whole case. Before the first model it is plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; ties are broken by the pool's order."""
        if view.probabilities is None:
            log.info("entropy: there is no model yet, so the choice is plain random")
            return Random().rank(view, budget, rng)
        units = view.units()
        order = np.argsort(-score_units(view, units, entropy_map), kind="stable")
        return [units[i] for i in order[:budget]]
