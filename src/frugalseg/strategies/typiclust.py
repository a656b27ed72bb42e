"""TypiClust: from each cluster that nobody has labelled the most typical unit. Made for the smallest budgets."""

from collections.abc import Iterator
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.settings import Settings
from frugalseg.strategies.distances import Points
from frugalseg.strategies.embedding.contrastive import ContrastSettings, GroupContrastive
from frugalseg.strategies.features import Describe, Described, described_by, features
from frugalseg.strategies.k_means import k_means

NEIGHBOURS = 20
"""Nearest neighbours of which typicality is made (TypiClust)."""

AT_ONCE = 256
"""Points whose distances to their whole cluster are in memory together."""


class TypiClustSettings(Settings):
    """The clusters and what is typical of them, by TypiClust's code, and the features in which they lie, CoreCLR's."""

    most_clusters: int = Field(500, ge=1)
    smallest: int = Field(5, ge=0)  # a cluster that is no larger comes after all others; TypiClust's code drops it
    neighbours: int = Field(NEIGHBOURS, ge=1)  # or half of the cluster where that is less
    encoder: ContrastSettings = ContrastSettings()


class TypiClust:
    """As many clusters as there will be labels; those with fewest labels first, then the largest; one unit from each.

    A cluster's most typical unit has the smallest mean distance to its nearest neighbours among the cluster's
    unlabelled units. Source: Hacohen et al. 2022, algorithm 1, K-means variant; its self-supervised features are what
    `describe` gives (by default those of the current model, or thumbnails before the first).
    """

    def __init__(self, describe: Describe = features, settings: TypiClustSettings | None = None) -> None:
        self.describe = describe
        self.settings = settings or TypiClustSettings()

    @classmethod
    def self_supervised(cls, settings: TypiClustSettings) -> Self:
        """With the features that the settings' encoder learns from the pool, without labels."""
        return cls(described_by(GroupContrastive(settings.encoder)), settings)

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; ties are broken by the pool's order."""
        pool = Described.of(view, self.describe)
        k = min(len(pool.labelled) + budget, self.settings.most_clusters, len(pool.units))
        cluster = k_means(Points(pool.features), k, rng=rng)
        picks = _in_turn(pool.features, cluster, pool.is_free, self.settings)
        return pool.named(pick for pick, _ in zip(picks, range(budget), strict=False))


def typicality(features: Float[np.ndarray, "M d"], neighbours: int = NEIGHBOURS) -> Float[np.ndarray, " M"]:
    """1 / (mean distance to the nearest neighbours + 1e-5); of these half of the points where that is less."""
    points = Points(features)
    k = max(1, min(neighbours, len(points) // 2))
    mean = np.zeros(len(points))
    for start in range(0, len(points), AT_ONCE):
        some = points.rows(range(start, min(start + AT_ONCE, len(points))))
        squared = np.concatenate([block for _, block in points.squared(some)])  # M x AT_ONCE
        nearest = np.partition(squared, min(k, len(points) - 1), axis=0)[: k + 1]  # one of them the point itself
        mean[start : start + AT_ONCE] = np.sqrt(nearest).sum(0) / k
    return np.asarray(1 / (mean + 1e-5))


def _in_turn(
    features: np.ndarray, cluster: Int[np.ndarray, " N"], is_free: Bool[np.ndarray, " N"], settings: TypiClustSettings
) -> Iterator[int]:
    """All free points: the clusters take turns, large ones until they are empty, then small ones."""
    free = is_free.copy()
    for clusters in _ordered(cluster, is_free, settings.smallest):
        while any((free & (cluster == c)).any() for c in clusters):
            for c in clusters:
                members = np.flatnonzero(free & (cluster == c))
                if len(members):
                    pick = int(members[typicality(features[members], settings.neighbours).argmax()])
                    free[pick] = False
                    yield pick


def _ordered(cluster: np.ndarray, is_free: np.ndarray, smallest: int) -> tuple[list[int], list[int]]:
    """Large and small clusters, each with those of fewest labelled points first, then the largest, then the first."""
    size = np.bincount(cluster)
    labelled = np.bincount(cluster[~is_free], minlength=len(size))
    order = [int(c) for c in np.lexsort((-size, labelled)) if size[c]]
    return [c for c in order if size[c] > smallest], [c for c in order if size[c] <= smallest]
