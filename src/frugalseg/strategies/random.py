"""Random: every unit is as likely as any other. The baseline that is hard to beat."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit


class Random:
    """Uniform without replacement."""

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units in random order."""
        units = view.units()
        return [units[i] for i in rng.permutation(len(units))[:budget]]
