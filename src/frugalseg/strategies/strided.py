"""Strided: evenly spaced over the pool in its order, so over cases and, within a case, over its slices."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit


class Strided:
    """Every n-th unit of the list (case, slice) from a random offset.

    Neighbouring slices show nearly the same; distance is a cheap kind of diversity.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units in the pool's order."""
        units = view.units()
        n = min(budget, len(units))
        offset = rng.random()
        return [units[int((i + offset) * len(units) / n)] for i in range(n)]
