"""Round-robin: each case gives one unit before any gives a second; cases with least drawn come first."""

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit


class RoundRobin:
    """Groups take turns, then the cases of a group, then random units of a case.

    A case on which somebody has drawn already waits until the untouched ones have had their turn.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, one from each group in turn."""
        group_of = {case.id: case.group for case in view.cases}
        units = view.units()
        queues: dict[str, list[Unit]] = {}
        for i in rng.permutation(len(units)):
            queues.setdefault(units[i].case, []).append(units[i])
        touched = {case: view.drawn(case) is not None for case in queues}
        turns: list[tuple[int, int, int, Unit]] = []
        taken: dict[str, int] = {}  # units of a group so far; cases of a group share its turns
        for turn in range(max(map(len, queues.values()), default=0)):
            for case in sorted(queues, key=lambda c: (touched[c], list(queues).index(c))):
                if turn < len(queues[case]):
                    group = group_of[case]
                    taken[group] = taken.get(group, -1) + 1
                    turns.append((turn + touched[case], taken[group], len(turns), queues[case][turn]))
        return [unit for *_, unit in sorted(turns, key=lambda t: t[:3])[:budget]]
