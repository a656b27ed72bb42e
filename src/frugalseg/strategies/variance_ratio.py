"""Variance ratio: the units on which the members vote for different classes."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.members import rank_by_members, variance_ratio


class VarianceRatio:
    """1 - votes of the modal class / members, mean over the unit's voxels, highest first.

    Source: Freeman 1965; with ensembles Beluch et al. 2018. Before the first model it is plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; raises `SettingsError` where one model gives one opinion."""
        return rank_by_members("variance-ratio", variance_ratio, view, budget=budget, rng=rng)
