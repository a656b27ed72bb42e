"""Greedy k-centre: always the point farthest from all centres so far.

Its covering radius is at most twice the best possible. The order is the rank: whoever stops early has the greedy
choice of that size. Time O(n N d), memory one distance for each point.

Source: Gonzalez 1985; as the core-set of active learning Sener & Savarese 2018.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from frugalseg.strategies.distances import CENTRES, Points

Distance = Callable[[Sequence[int] | np.ndarray], np.ndarray]
"""Indices of some points -> the distance of each of the N points to the nearest of them; 0 or more."""

TIE = 1e-5
"""Scores that differ by a smaller part than this are equal, and the first point is taken: rounding decides nothing."""


@dataclass(frozen=True, eq=False)
class Cover:
    """Points in the order in which they were picked, and the largest distance of any point to its centre after each."""

    order: Int[np.ndarray, " n"]
    radius: Float[np.ndarray, " n"]


def k_centre(
    features: Float[np.ndarray, "N d"],
    n: int,
    *,
    labelled: Sequence[int] | np.ndarray = (),
    weight: Float[np.ndarray, " N"] | None = None,
    cap: float | None = None,
    first: int = 0,
) -> Cover:
    """The next n centres among points with Euclidean features (fp16 or fp32, also memory-mapped); see `k_centre_by`."""
    points = Points(features)
    return k_centre_by(points.to_nearest, len(points), n=n, labelled=labelled, weight=weight, cap=cap, first=first)


def k_centre_by(
    distance: Distance,
    n_points: int,
    *,
    n: int,
    labelled: Sequence[int] | np.ndarray = (),
    weight: Float[np.ndarray, " N"] | None = None,
    cap: float | None = None,
    first: int = 0,
) -> Cover:
    """The next n centres by any distance; fewer only where fewer points are left.

    `labelled` points are centres from the beginning and are not picked again. A `weight` multiplies each point's
    distance to its centre (see `uncertain`). With a `cap` in (0, 1] no distance counts more than that quantile of the
    distances of the points still free, so that the farthest are equal and an outlier draws no more than they.
    `first` is picked first where nothing is labelled. Of equal points the first in order is picked.
    """
    check_points(n_points, [*labelled, first], weight)
    if cap is not None and not 0 < cap <= 1:
        raise ValueError(f"cap={cap}: a quantile lies above 0 and at most at 1")
    centres = np.asarray(labelled, np.int64)
    free = np.ones(n_points, bool)
    free[centres] = False
    gap = _gap(distance, centres, n_points)
    order: list[int] = []
    radius: list[float] = []
    for _ in range(min(n, int(free.sum()))):
        pick = _farthest(gap, free, weight, cap) if order or len(centres) else first
        gap = np.minimum(gap, distance([pick]))
        gap[pick], free[pick] = 0, False
        order.append(pick)
        radius.append(float(gap.max()))
    return Cover(np.array(order, np.int64), np.array(radius, np.float64))


def uncertain(uncertainty: Float[np.ndarray, " N"], *, beta: float = 1.0, eps: float = 0.05) -> Float[np.ndarray, " N"]:
    """The weight (eps + u)^beta of points with uncertainty u in [0, 1]: a labelled point keeps the score 0. Ours."""
    return np.asarray((eps + uncertainty) ** beta)


def check_points(n_points: int, centres: Sequence[int] | np.ndarray, weight: np.ndarray | None) -> None:
    """Raises `ValueError` unless the centres are points and there is one weight, not below 0, for each point."""
    if any(not 0 <= i < n_points for i in centres):
        raise ValueError(f"the first and all labelled points must be indices of the {n_points} points")
    if weight is not None and (weight.shape != (n_points,) or not (weight >= 0).all()):
        raise ValueError(f"weight must hold {n_points} numbers, none below 0, one for each point")


def _gap(distance: Distance, centres: np.ndarray, n_points: int) -> np.ndarray:
    """The distance of each point to the nearest centre; infinite where there is none."""
    gap = np.full(n_points, np.inf, np.float32)
    for start in range(0, len(centres), CENTRES):
        gap = np.minimum(gap, distance(centres[start : start + CENTRES]))
    gap[centres] = 0
    return gap


def _farthest(gap: np.ndarray, free: Bool[np.ndarray, " N"], weight: np.ndarray | None, cap: float | None) -> int:
    score = gap if cap is None else np.minimum(gap, np.quantile(gap[free], cap))
    score = np.where(free, score if weight is None else score * weight, -np.inf)
    return int(np.argmax(score >= score.max() * (1 - TIE)))
