"""Random: every unit is as likely as any other. The baseline that is hard to beat."""

import logging

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit

log = logging.getLogger(__name__)


class Random:
    """Uniform without replacement."""

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units in random order."""
        units = view.units()
        return [units[i] for i in rng.permutation(len(units))[:budget]]


def before_first_model(strategy: str, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
    """Plain random, which is what a strategy that needs a model does before there is one."""
    log.info("%s: there is no model yet, so the choice is plain random", strategy)
    return Random().rank(view, budget, rng)
