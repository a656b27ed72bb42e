"""TypiClust: from each cluster that nobody has labelled the most typical unit. Made for the smallest budgets."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.distances import Points
from frugalseg.strategies.features import Describe, Described, features
from frugalseg.strategies.k_means import k_means

MOST_CLUSTERS = 500
"""Clusters at most (TypiClust's code)."""

SMALLEST = 5
"""A cluster that is no larger comes after all others (TypiClust's code drops it)."""

NEIGHBOURS = 20
"""Nearest neighbours of which typicality is made, or half of the cluster where that is less (TypiClust)."""

AT_ONCE = 256
"""Points whose distances to their whole cluster are in memory together."""


class TypiClust:
    """As many clusters as there will be labels; those with fewest labels first, then the largest; one unit from each.

    A cluster's most typical unit has the smallest mean distance to its nearest neighbours among the cluster's
    unlabelled units. Source: Hacohen et al. 2022, algorithm 1, K-means variant; its self-supervised features are what
    `describe` gives (by default those of the current model, or thumbnails before the first). The `typiclust` of the
    registry has those that CoreCLR learns from the pool.
    """

    def __init__(self, describe: Describe = features) -> None:
        self.describe = describe

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; ties are broken by the pool's order."""
        pool = Described.of(view, self.describe)
        k = min(len(pool.labelled) + budget, MOST_CLUSTERS, len(pool.units))
        cluster = k_means(Points(pool.features), k, rng=rng)
        picks = _in_turn(pool.features, cluster, pool.is_free)
        return pool.named(pick for pick, _ in zip(picks, range(budget), strict=False))


def typicality(features: Float[np.ndarray, "M d"]) -> Float[np.ndarray, " M"]:
    """1 / (mean distance to the nearest neighbours + 1e-5), of which there are 20, or half of the points if fewer."""
    points = Points(features)
    k = max(1, min(NEIGHBOURS, len(points) // 2))
    mean = np.zeros(len(points))
    for start in range(0, len(points), AT_ONCE):
        some = points.rows(range(start, min(start + AT_ONCE, len(points))))
        squared = np.concatenate([block for _, block in points.squared(some)])  # M x AT_ONCE
        nearest = np.partition(squared, min(k, len(points) - 1), axis=0)[: k + 1]  # one of them the point itself
        mean[start : start + AT_ONCE] = np.sqrt(nearest).sum(0) / k
    return np.asarray(1 / (mean + 1e-5))


def _in_turn(features: np.ndarray, cluster: Int[np.ndarray, " N"], is_free: Bool[np.ndarray, " N"]) -> Iterator[int]:
    """All free points: the clusters take turns, large ones until they are empty, then small ones."""
    free = is_free.copy()
    for clusters in _ordered(cluster, is_free):
        while any((free & (cluster == c)).any() for c in clusters):
            for c in clusters:
                members = np.flatnonzero(free & (cluster == c))
                if len(members):
                    pick = int(members[typicality(features[members]).argmax()])
                    free[pick] = False
                    yield pick


def _ordered(cluster: np.ndarray, is_free: np.ndarray) -> tuple[list[int], list[int]]:
    """Large and small clusters, each with those of fewest labelled points first, then the largest, then the first."""
    size = np.bincount(cluster)
    labelled = np.bincount(cluster[~is_free], minlength=len(size))
    order = [int(c) for c in np.lexsort((-size, labelled)) if size[c]]
    return [c for c in order if size[c] > SMALLEST], [c for c in order if size[c] <= SMALLEST]
