"""How much interaction a good mask takes, and how well a model knows which of its masks are good."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from frugalseg.errors import DataError


def clicks_to_reach(ious: Sequence[float] | np.ndarray, threshold: float, *, most: int = 20) -> int:
    """The number of clicks of a session until its IoU is at least the threshold (NoC; lower is better).

    `ious` is the IoU after the 1st, 2nd, ... click. A session that never gets there counts as `most`, as one that
    gets there with the last click, which is the convention since RITM; clicks after `most` do not count. Raises
    `DataError` for a session without clicks.
    """
    values = np.asarray(ious, float)
    if values.ndim != 1 or not len(values):
        raise DataError(f"a session is the IoU after each of its clicks, one or more, not shape {values.shape}")
    reached = np.flatnonzero(values[:most] >= threshold)
    return int(reached[0]) + 1 if len(reached) else most


def rank_agreement(scores: Sequence[float] | np.ndarray, ious: Sequence[float] | np.ndarray) -> float:
    """Spearman's rank correlation between the scores of masks and their IoU, from -1 to 1; equals share their rank.

    NaN where it is not defined: fewer than two masks, or all scores or all IoUs equal. Raises `DataError` when the
    two differ in length or hold NaN.
    """
    given, real = np.asarray(scores, float), np.asarray(ious, float)
    if given.ndim != 1 or given.shape != real.shape:
        raise DataError(f"every mask needs a score and an IoU, but there are {given.shape} and {real.shape}")
    if np.isnan(given).any() or np.isnan(real).any():
        raise DataError("a score or an IoU is NaN, so masks cannot be ranked")
    if len(given) < 2:
        return float("nan")
    a, b = rankdata(given), rankdata(real)
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float(np.clip((a * b).sum() / spread, -1, 1)) if spread else float("nan")


@dataclass(frozen=True)
class Summary:
    """A sample in three numbers; `worst_decile` is the mean of its lowest tenth, at least of one value."""

    mean: float
    median: float
    worst_decile: float


def summary(ious: Sequence[float] | np.ndarray) -> Summary:
    """Mean, median and worst decile; raises `DataError` for an empty sample."""
    ordered = np.sort(np.asarray(ious, float).ravel())
    if not len(ordered):
        raise DataError("there is no IoU to summarise")
    worst = ordered[: max(1, round(len(ordered) / 10))]
    return Summary(float(ordered.mean()), float(np.median(ordered)), float(worst.mean()))
