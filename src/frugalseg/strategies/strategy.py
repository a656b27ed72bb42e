"""What a strategy is."""

from typing import Protocol, runtime_checkable

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.reasons import Choice


class Strategy(Protocol):
    """A rule that says which unlabelled units to label next."""

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` different units, the most wanted first; fewer only when the pool has fewer."""
        ...


@runtime_checkable
class ExplainingStrategy(Strategy, Protocol):
    """A strategy that also says why."""

    def explained(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Choice]:
        """The units of `rank`, each with its reason."""
        ...
