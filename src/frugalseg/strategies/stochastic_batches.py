"""Stochastic batches: of many random batches the one about which the model is least sure."""

import numpy as np
from pydantic import Field

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.settings import Settings
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.scores import entropy_map, highest, score_units


class StochasticBatchesSettings(Settings):
    """How many random batches are compared. With more of them it comes near to plain entropy."""

    batches: int = Field(100, ge=1)  # ours


class StochasticBatches:
    """Draws batches of the budget's size without replacement and takes the one of the highest mean entropy.

    Random batches are as diverse as the pool, which single uncertain units are not. Source: Gaillochet et al. 2023
    (arXiv 2301.07670). Before the first model it is plain random.
    """

    def __init__(self, settings: StochasticBatchesSettings | None = None) -> None:
        self.settings = settings or StochasticBatchesSettings()

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, those of the best batch with the highest entropy first."""
        if view.probabilities is None:
            return before_first_model("stochastic-batches", view, budget, rng)
        units = view.units()
        scores = score_units(view, units, entropy_map)
        size = min(budget, len(units))
        batches = [np.sort(rng.choice(len(units), size, replace=False)) for _ in range(self.settings.batches)]
        best = max(batches, key=lambda batch: float(scores[batch].sum()))
        return highest([units[i] for i in best], scores[best], size)
