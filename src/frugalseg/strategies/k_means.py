"""Clusters by k-means, bit for bit the same in every run: scikit-learn's threads add up as they happen to finish."""

import numpy as np
from jaxtyping import Float32, Int

from frugalseg.strategies.distances import Points

STARTS = 3
"""Independent beginnings, of which the tightest result is kept; ours."""

ITERATIONS = 50
"""At most, for each beginning; ours."""


def k_means(points: Points, k: int, *, rng: np.random.Generator) -> Int[np.ndarray, " N"]:
    """The cluster 0..k-1 of each point; some are empty where fewer than k points differ.

    Begins as greedy k-means++ (Arthur & Vassilvitskii 2007), goes on as Lloyd until no point changes its cluster.
    """
    found = [_lloyd(points, _spread(points, k, rng)) for _ in range(STARTS)]
    return min(found, key=lambda result: result[1])[0]


def _spread(points: Points, k: int, rng: np.random.Generator) -> Float32[np.ndarray, "k d"]:
    """Points as centres: of some drawn with a chance that grows with the squared distance, always the most useful."""
    chosen = [int(rng.integers(len(points)))]
    gap = points.nearest(points.rows(chosen))[1]
    while len(chosen) < min(k, len(points)) and gap.any():
        mass = np.cumsum(gap, dtype=np.float64)
        drawn = np.searchsorted(mass, rng.random(2 + int(np.log(k))) * mass[-1], side="right")
        drawn = np.minimum(drawn, len(points) - 1)
        closer = [np.minimum(d, gap[where, None]) for where, d in points.squared(points.rows(drawn))]
        left = np.concatenate(closer)  # N x candidates
        best = int(left.sum(0, dtype=np.float64).argmin())
        chosen.append(int(drawn[best]))
        gap = left[:, best]
    return points.rows(chosen)


def _lloyd(points: Points, centres: np.ndarray) -> tuple[np.ndarray, float]:
    """The clusters around the centres after they have moved, and the sum of squared distances."""
    cluster, squared = points.nearest(centres)
    for _ in range(ITERATIONS):
        centres = _means(points, cluster, centres)
        before = cluster
        cluster, squared = points.nearest(centres)
        if (cluster == before).all():
            break
    return cluster, float(squared.sum(dtype=np.float64))


def _means(points: Points, cluster: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of each cluster's points; where a cluster is empty, its centre stays."""
    from scipy.sparse import csr_array

    total = np.zeros(centres.shape, np.float64)
    for where, block in points.blocks():
        n = len(block)
        members = csr_array((np.ones(n), (cluster[where], np.arange(n))), shape=(len(centres), n))
        total += members @ block.astype(np.float64)
    count = np.bincount(cluster, minlength=len(centres))[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), centres).astype(np.float32)
