"""Greedy k-median: always the point that takes most off the distances of all points to their nearest centres.

K-centre seeks who is farthest and finds the outliers first; k-median seeks who stands for many. What a further centre
saves can only become less while others are picked. So the greedy choice saves at least 1 - 1/e of what the best one
could (Nemhauser, Wolsey & Fisher 1978), and what a point would have saved earlier bounds what it saves now: for each
pick only the few points whose bound reaches the best are looked at again (lazy greedy, Minoux 1978).

The order is the rank: whoever stops early has the greedy choice of that size. In pools of more than `WITNESSES` (4,096)
points only so many of them, evenly spread over the pool's order, count as those that are to be near a centre, and the
bound above is one of their distances; any point can be picked. Time O(N W d) once, for W witnesses.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from frugalseg.strategies.k_centre import TIE, check_points
from frugalseg.strategies.multi_feature import ALL, AT_ONCE, Rows

Columns = Callable[[np.ndarray, Rows], np.ndarray]
"""Indices of k points, rows -> the distances (n, k) of n points to each of the k; 0 or more, the same in both ways."""

WITNESSES = 4096
"""Points at most whose distances count."""


def k_median_by(
    columns: Columns,
    n_points: int,
    *,
    n: int,
    labelled: Sequence[int] | np.ndarray = (),
    weight: Float[np.ndarray, " N"] | None = None,
) -> Int[np.ndarray, " n"]:
    """The next n centres; fewer only where fewer points are left.

    `labelled` points are centres from the beginning and are not picked again; where there is none, the first pick is
    the point with the smallest mean distance to all. A `weight` multiplies what each point saves. Of equal points the
    first in order is picked. Among more than `WITNESSES` points "all" are that many, evenly spaced in their order.
    """
    check_points(n_points, labelled, weight)
    centres = np.asarray(labelled, np.int64)
    free = np.ones(n_points, bool)
    free[centres] = False
    saving = _Saving(columns, n_points, centres)
    scale = np.ones(n_points) if weight is None else np.asarray(weight, np.float64)
    bound = saving.of_all()
    order: list[int] = []
    for _ in range(min(n, int(free.sum()))):
        pick = _best(saving, bound, free, scale)
        saving.add(pick)
        free[pick] = False
        order.append(pick)
    return np.array(order, np.int64)


class _Saving:
    """What points would save as the next centre: by how much the witnesses' distances would fall, in total."""

    def __init__(self, columns: Columns, n_points: int, centres: np.ndarray) -> None:
        self.columns, self.n_points = columns, n_points
        evenly = np.linspace(0, n_points - 1, min(n_points, WITNESSES))
        self.witnesses = np.unique(np.rint(evenly).astype(np.int64))
        self.gap = np.full(len(self.witnesses), np.inf)
        for start in range(0, len(centres), AT_ONCE):
            near = columns(centres[start : start + AT_ONCE], self.witnesses).min(1)
            self.gap = np.minimum(self.gap, near)
        self.gap[np.isin(self.witnesses, centres)] = 0

    def of_all(self) -> Float[np.ndarray, " N"]:
        """What each point would save. Without any centre: less than a distance that is larger than all others."""
        total = np.zeros(self.n_points)
        farthest = 0.0
        is_open = not np.isfinite(self.gap).all()
        for start in range(0, len(self.witnesses), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            distances = np.asarray(self.columns(self.witnesses[part], ALL), np.float64)
            if is_open:
                total -= distances.sum(1)
                farthest = max(farthest, float(distances.max()))
            else:
                total += np.maximum(self.gap[part] - distances, 0).sum(1)
        if is_open:
            self.gap[:] = farthest
            total += farthest * len(self.witnesses)
        return total

    def of(self, points: np.ndarray) -> Float[np.ndarray, " k"]:
        """What these points would save now."""
        distances = np.asarray(self.columns(points, self.witnesses), np.float64)
        return np.asarray(np.maximum(self.gap[:, None] - distances, 0).sum(0))

    def add(self, centre: int) -> None:
        """Makes a point a centre."""
        self.gap = np.minimum(self.gap, self.columns(np.array([centre]), self.witnesses)[:, 0])
        self.gap[self.witnesses == centre] = 0


def _best(saving: _Saving, bound: np.ndarray, free: Bool[np.ndarray, " N"], scale: np.ndarray) -> int:
    """The free point that saves most now; lowers the bounds of those that had to be looked at."""
    fresh = np.zeros(len(bound), bool)
    while True:
        score = np.where(free, bound * scale, -np.inf)
        best = score[fresh].max() if fresh.any() else -np.inf
        doubtful = np.flatnonzero(free & ~fresh & (score >= best * (1 - TIE)))
        if not len(doubtful):
            return int(np.argmax(fresh & (score >= best * (1 - TIE))))
        highest = doubtful[np.argsort(-score[doubtful], kind="stable")[:AT_ONCE]]
        bound[highest] = saving.of(highest)
        fresh[highest] = True
