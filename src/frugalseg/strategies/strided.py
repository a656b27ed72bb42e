"""Strided: evenly spaced slices in each case and evenly spaced cases, beside what was drawn already."""

from collections.abc import Sequence

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.offers import Offer, offers

GOLDEN = (5**0.5 - 1) / 2
"""Step of the offset from case to case: its multiples modulo 1 fill the interval evenly (Weyl)."""


class Strided:
    """The budget is shared equally by the cases, least drawn first; each buys at equal distances.

    Neighbouring slices show nearly the same, so distance is a cheap kind of diversity. Only the offset is random; it
    is another one in each case, so that different cases show different slices.
    """

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units in the pool's order."""
        offered = offers(view)
        offset = float(rng.random())
        shares = _shares(offered, budget, offset)
        spaced = [
            _spaced(offer, share, view.axis, (offset + number * GOLDEN) % 1)
            for number, (offer, share) in enumerate(zip(offered, shares, strict=True))
        ]
        return [unit for units in spaced for unit in units]


def evenly(n: int, wanted: int, offset: float) -> list[int]:
    """`wanted` of the numbers 0..n-1 at equal distances; the offset in [0, 1) moves all of them."""
    return [min(int((i + offset) * n / wanted), n - 1) for i in range(wanted)]


def _shares(offered: Sequence[Offer], budget: int, offset: float) -> list[int]:
    """How many units each case gives: always one more from those that would have least, while the budget lasts."""
    shares = [0] * len(offered)
    left = min(budget, sum(len(offer.units) for offer in offered))
    while left:
        total = {i: o.n_drawn + shares[i] for i, o in enumerate(offered) if shares[i] < len(o.units)}
        fewest = min(total.values())
        least = [i for i, n in total.items() if n == fewest]
        chosen = least if len(least) <= left else [least[i] for i in evenly(len(least), left, offset)]
        for i in chosen:
            shares[i] += 1
        left -= len(chosen)
    return shares


def _spaced(offer: Offer, wanted: int, axis: int, offset: float) -> list[Unit]:
    """So many units of a case: equal distances in an untouched one, else always the slice farthest from all drawn."""
    if len(offer.units) == 1:
        return list(offer.units[:wanted])
    n = offer.case.geometry.shape[axis]
    if len(offer.units) == n:
        return [offer.units[i] for i in evenly(n, wanted, offset)]
    free = np.array([unit.index[0] for unit in offer.units])
    drawn = np.setdiff1d(np.arange(n), free)
    distance = np.minimum(2 * free + 1, 2 * (n - 1 - free) + 1)  # to the ends: half a distance is enough there
    distance = np.minimum(distance, np.abs(free[:, None] - drawn[None, :]).min(1))
    chosen = []
    for _ in range(wanted):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(free - free[chosen[-1]]))
    return [offer.units[i] for i in sorted(chosen)]
