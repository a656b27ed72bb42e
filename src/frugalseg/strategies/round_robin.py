"""Round-robin: each case gives one unit before any gives a second; cases with least drawn come first."""

from collections import Counter

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.offers import offers


class RoundRobin:
    """Cases take turns in random order and give a random unit each; within a turn, so do their groups.

    A case of which n units were drawn waits until the others have given n.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, turn by turn."""
        offered = offers(view)
        given: Counter[tuple[int, str]] = Counter()  # units of a group in a turn so far
        waiting: list[tuple[int, int, int, Unit]] = []
        for number, k in enumerate(rng.permutation(len(offered))):
            offer = offered[k]
            for turn, i in enumerate(rng.permutation(len(offer.units)), offer.n_drawn):
                waiting.append((turn, given[turn, offer.case.group], number, offer.units[i]))
                given[turn, offer.case.group] += 1
        return [unit for *_, unit in sorted(waiting, key=lambda place: place[:3])[:budget]]
