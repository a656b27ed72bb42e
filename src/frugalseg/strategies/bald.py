"""BALD: the units on which confident members contradict each other."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.members import mutual_information, rank_by_members


class Bald:
    """Mean over the unit's voxels of H[mean of p] - mean of H[p] over the members, highest first.

    Source: Houlsby et al. 2011; with dropout draws as members Gal et al. 2017. Before the first model plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; raises `SettingsError` where one model gives one opinion."""
        return rank_by_members("bald", mutual_information, view, budget=budget, rng=rng)
