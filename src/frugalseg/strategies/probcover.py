"""ProbCover: the units whose neighbourhoods cover most of the pool."""

from typing import Self

import numpy as np
from pydantic import Field

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.settings import Settings
from frugalseg.strategies.distances import CENTRES, Points
from frugalseg.strategies.embedding.contrastive import ContrastSettings, GroupContrastive
from frugalseg.strategies.features import Describe, Described, described_by, features
from frugalseg.strategies.k_centre import k_centre
from frugalseg.strategies.k_means import k_means

PURITY = 0.95
"""Share of the points whose ball holds points of one cluster only (ProbCover, sec. 4.3)."""

PROBES = 2000
"""Points at most by which the radius is found."""


class ProbCoverSettings(Settings):
    """How large the balls are, and the features in which they lie, CoreCLR's."""

    purity: float = Field(PURITY, gt=0, le=1)
    most_clusters: int = Field(500, ge=2)  # by which purity is measured; ours
    encoder: ContrastSettings = ContrastSettings()


class ProbCover:
    """Always the unit in whose ball lie most units that no ball covers yet; the farthest when all are covered.

    The radius of the balls is the largest with which 95 % of them (`purity`) are pure: all of one k-means cluster.
    Source: Yehuda et al. 2022. There are as many clusters as there are classes in the paper; a pool of scans has no
    such number, so there are as many as there will be labels (ours). `describe` as in TypiClust.
    """

    def __init__(self, describe: Describe = features, settings: ProbCoverSettings | None = None) -> None:
        self.describe = describe
        self.settings = settings or ProbCoverSettings()

    @classmethod
    def self_supervised(cls, settings: ProbCoverSettings) -> Self:
        """With the features that the settings' encoder learns from the pool, without labels."""
        return cls(described_by(GroupContrastive(settings.encoder)), settings)

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units in the order of the greedy choice; ties are broken by the pool's order."""
        pool = Described.of(view, self.describe)
        points = Points(pool.features)
        k = min(max(2, len(pool.labelled) + budget), self.settings.most_clusters)
        radius = pure_radius(points, k_means(points, k, rng=rng), rng=rng, purity=self.settings.purity)
        picks = cover(points, budget, radius=radius, labelled=pool.labelled)
        done = np.array([*pool.labelled, *picks], np.int64)
        rest = k_centre(pool.features, budget - len(picks), labelled=done).order
        return pool.named([*picks, *rest])


def pure_radius(points: Points, cluster: np.ndarray, *, rng: np.random.Generator, purity: float = PURITY) -> float:
    """The largest radius with which such a share of the balls hold one cluster only: judged by 2,000 random points.

    A ball is pure when the nearest point of another cluster lies outside, so it is a quantile of those distances.
    """
    probes = np.sort(rng.choice(len(points), min(PROBES, len(points)), replace=False))
    nearest = np.full(len(probes), np.inf, np.float32)
    for where, squared in points.squared(points.rows(probes)):
        other = cluster[where, None] != cluster[probes]
        nearest = np.minimum(nearest, np.where(other, squared, np.inf).min(0))
    return float(np.sqrt(np.quantile(nearest, 1 - purity, method="lower")))


def cover(points: Points, n: int, *, radius: float, labelled: np.ndarray) -> list[int]:
    """At most n points, greedily by how many uncovered ones lie nearer than the radius; fewer when all are covered.

    How many those are is kept for each point and lowered by what gets covered, so that no neighbourhood is stored:
    each point's distances are computed twice, whatever n.
    """
    covered = np.zeros(len(points), bool)
    if len(labelled):
        covered = points.to_nearest(labelled) < radius
    covered[labelled] = True
    gain = _neighbours(points, np.flatnonzero(~covered), radius)
    free = np.ones(len(points), bool)
    free[labelled] = False
    picks: list[int] = []
    while len(picks) < n and (gain * free).any():
        pick = int((gain * free).argmax())
        new = ~covered & (points.to_nearest([pick]) < radius)
        new[pick] = not covered[pick]
        gain -= _neighbours(points, np.flatnonzero(new), radius)
        covered |= new
        free[pick] = False
        picks.append(pick)
    return picks


def _neighbours(points: Points, of: np.ndarray, radius: float) -> np.ndarray:
    """How many of some points lie nearer to each point than the radius, each counting for itself."""
    count = np.zeros(len(points), np.int64)
    for start in range(0, len(of), CENTRES):
        some = of[start : start + CENTRES]
        for where, squared in points.squared(points.rows(some)):
            near = np.sqrt(squared) < radius
            near[np.arange(where.start, where.start + len(near))[:, None] == some] = True
            count[where] += near.sum(1)
    return count
