"""Uncertain and diverse: among the units of which the model is unsure in the largest part, those that differ."""

import math

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.distances import Points
from frugalseg.strategies.features import Describe
from frugalseg.strategies.k_means import k_means
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.thumbnails import histograms
from frugalseg.strategies.uncertainty_percentage import uncertain_parts

CANDIDATES = 0.1
"""Share of all units that are candidates (GM-ABS)."""

CHOICE = 2
"""Candidates for each unit of the budget at least; ours, so that a large budget leaves a choice."""


class UncertainDiverse:
    """The most uncertain tenth of the units in as many clusters as the budget; from each cluster the most uncertain.

    Source: GM-ABS (TMI 2025), `uncerper_div`: clusters of intensity histograms. We differ: its code takes nothing
    from a cluster of one and buys less than was paid for; here each cluster gives one, and what is left of the budget
    goes to the most uncertain candidates. Histograms have the range of the case, so that they see brightness, and
    k-means is seeded. Before the first model it is plain random.
    """

    def __init__(self, describe: Describe = histograms) -> None:
        self.describe = describe

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, those of the clusters first, each part with the most uncertain first."""
        if view.probabilities is None:
            return before_first_model("uncerper_div", view, budget, rng)
        every = view.all_units()
        units = [unit for unit, is_free in every if is_free]
        if not units:
            return []
        order = np.argsort(-uncertain_parts(view, units), kind="stable")
        candidates = order[: max(CHOICE * budget, math.ceil(CANDIDATES * len(every)))]
        by_case = np.argsort(candidates)
        described = self.describe(view, [units[i] for i in candidates[by_case]])
        cluster = np.empty(len(candidates), np.int64)
        cluster[by_case] = k_means(Points(described), budget, rng=rng)
        picks = np.sort(np.unique(cluster, return_index=True)[1])  # of each cluster the most uncertain
        rest = np.setdiff1d(np.arange(len(units)), picks)
        return [units[i] for i in order[[*picks, *rest]][:budget]]
