"""Which unit to label next: one strategy a file, one line in the registry.

A strategy sees a `PoolView`: images, what was drawn, what the current model says. It cannot reach a label that nobody
has drawn, and it never trains a specialist.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from frugalseg.data.pool import Pool, PoolView, Predict
from frugalseg.data.unit import Unit, UnitKind
from frugalseg.errors import SettingsError, lookup
from frugalseg.seeds import stream
from frugalseg.strategies.entropy import Entropy
from frugalseg.strategies.foreground_random import ForegroundRandom
from frugalseg.strategies.placement import place_planes
from frugalseg.strategies.random import Random
from frugalseg.strategies.round_robin import RoundRobin
from frugalseg.strategies.strategy import Strategy
from frugalseg.strategies.strided import Strided

if TYPE_CHECKING:
    from frugalseg.specialist.model import Model

STRATEGIES: Mapping[str, Strategy] = {
    "random": Random(),
    "strided": Strided(),
    "round-robin": RoundRobin(),
    "foreground-random": ForegroundRandom(),
    "entropy": Entropy(),
}


def choose_units(
    view: PoolView, strategy: str, budget: int, *, placement: str = "middle-third", seed: int = 0, round_number: int = 0
) -> list[Unit]:
    """At most `budget` units, the most wanted first, with three planes placed. Raises `SettingsError`.

    Round and seed give the random stream, so the same round asks for the same units again.
    """
    if budget < 1:
        raise SettingsError(f"a budget of {budget} units buys nothing; ask for one at least")
    rng = stream(seed, "select", round_number)
    units = lookup(STRATEGIES, strategy, "strategy").rank(view, budget, rng)
    return [u if u.is_placed else place_planes(u, view, placement, rng=rng) for u in units]


def select(
    pool: Pool,
    strategy: str = "random",
    *,
    budget: int,
    unit: UnitKind = "planes",
    axis: int = 0,
    seed: int = 0,
    model: "Model | None" = None,
) -> list[Unit]:
    """The units of a pool to label next; `model` is the current specialist, if there is one.

    For 2D images the unit is the whole image, whatever is asked for. Raises `SettingsError` for an unknown strategy.
    """
    predict: Predict | None = None if model is None else lambda case: model.probabilities(pool[case].image())
    view = PoolView(pool.cases, pool.label, unit, axis, predict)
    return choose_units(view, strategy, budget, seed=seed)
