"""Uncertainty percentage: the units of which the model is unsure in the largest part."""

from collections.abc import Sequence

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.learn.ramps import ramp_up
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.scores import entropy_map, highest, score_units

START, RISE = 0.35, 0.25
"""The threshold begins at the one and has risen by the other at the end of training (GM-ABS)."""

FIRST, EVERY, STEPS = 800, 200, 10_000
"""GM-ABS chooses within one training of so many steps: first at step 800, then every 200 steps."""


class UncertaintyPercentage:
    """The part of a unit's voxels whose entropy lies above a threshold that rises from round to round, highest first.

    Source: GM-ABS (TMI 2025), `uncertainty_percentage`. Before the first model it is plain random.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units; ties are broken by the pool's order."""
        if view.probabilities is None:
            return before_first_model("uncertainty-percentage", view, budget, rng)
        units = view.units()
        return highest(units, uncertain_parts(view, units), budget)


def uncertain_parts(view: PoolView, units: Sequence[Unit]) -> np.ndarray:
    """The part of each unit's voxels whose entropy, as a part of ln C, lies above the round's threshold."""
    h = threshold(view.round)
    return score_units(view, units, lambda p: (entropy_map(p) > h).astype(np.float32))


def threshold(round_number: int) -> float:
    """The largest entropy that counts as sure: 0.35 + 0.25 exp(-5 (1 - t/T)^2).

    In GM-ABS the rounds lie within one training of T = 10,000 steps. Here a training has any length and may begin anew
    in each round, so t is the step at which GM-ABS chooses for the n-th time: 800 in round 1, the first that has a
    model, then 200 more in each round.
    """
    return START + RISE * ramp_up(FIRST + EVERY * max(0, round_number - 1), STEPS)
