"""ClaSP PE: predictive entropy, shared out over the predicted classes, with noise that dies down.

Source: ClaSP PE (TMLR 2026, arXiv 2601.13677): 66 % of the budget is stratified by predicted class, scores get
log-scale power noise (PowerBALD, Kirsch et al. 2023) that decays over the rounds. Written after a summary, not after
the text: that a unit's score for a class is the entropy of the voxels predicted as it, that the background is one of
the classes in turn, and how fast the noise decays, are ours.
"""

import numpy as np
from pydantic import Field

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.settings import Settings
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.scores import by_unit, entropy_map, voxels

GROWTH = 10**0.5
"""From round to round the power grows by this factor, from 1: 1, 3.2, 10, 32, 100; ours."""


class ClaspPESettings(Settings):
    """How the budget is shared out and how fast chance loses its say."""

    stratified: float = Field(0.66, ge=0, le=1)  # share of the budget that is bought class by class
    growth: float = Field(GROWTH, ge=1)  # of the power, from round to round


class ClaspPE:
    """Mean entropy of the unit's voxels, to a power and by chance; two thirds of the budget by classes in turn.

    The entropy of the common class would use up the budget, and the most uncertain units resemble each other. A unit
    is drawn in proportion to score^power, which is the order of log(score) + Gumbel noise / power. Before the first
    model it is plain random.
    """

    def __init__(self, settings: ClaspPESettings | None = None) -> None:
        self.settings = settings or ClaspPESettings()

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, those of the classes first."""
        if view.probabilities is None:
            return before_first_model("clasp-pe", view, budget, rng)
        units = view.units()
        if not units:
            return []
        parts = class_entropies(view, units)
        noise = rng.gumbel(size=(len(units), 1 + parts.shape[1])) / power(view.round, self.settings.growth)
        total = np.log(parts.sum(1) + 1e-12) + noise[:, -1]
        parts = np.log(np.maximum(parts, 1e-300)) + np.where(parts > 0, noise[:, :-1], -np.inf)
        picks = _in_turn(
            parts[:, rng.permutation(parts.shape[1])], round(self.settings.stratified * min(budget, len(units)))
        )
        total[picks] = -np.inf
        rest = np.argsort(-total, kind="stable")[: len(units) - len(picks)]
        return [units[i] for i in [*picks, *rest][:budget]]


def power(round_number: int, growth: float = GROWTH) -> float:
    """The power of the scores: 1 in round 1, the first that has a model, then growing, so that the noise decays."""
    return float(growth ** max(0, round_number - 1))


def class_entropies(view: PoolView, units: list[Unit]) -> np.ndarray:
    """Of each unit's mean entropy the parts that lie in the voxels predicted as each class, (units, C)."""
    probabilities = view.probabilities
    if probabilities is None:
        raise ValueError("there is no model to ask")

    def of_case(case: str) -> np.ndarray:
        p = probabilities(case)
        classes = np.arange(len(p)).reshape(-1, *[1] * (p.ndim - 1))
        return np.asarray(np.where(p.argmax(0) == classes, entropy_map(p), 0))

    return by_unit(units, of_case, lambda array, unit: voxels(array, unit).mean(1, dtype=np.float64))


def _in_turn(scores: np.ndarray, n: int) -> list[int]:
    """At most n rows: columns take turns, each takes its highest row that is left; none when all of its are -inf."""
    picks: list[int] = []
    scores = scores.copy()
    while len(picks) < n and np.isfinite(scores).any():
        for column in scores.T:
            best = int(column.argmax())
            if len(picks) < n and np.isfinite(column[best]):
                picks.append(best)
                scores[best] = -np.inf
    return picks
