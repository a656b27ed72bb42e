"""What each case still has to give, for the strategies that go from case to case."""

from dataclasses import dataclass
from itertools import groupby

from frugalseg.data.case import Case
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit


@dataclass(frozen=True)
class Offer:
    """The units of a case that could still be bought, in order, and how much of it was drawn.

    `n_drawn` counts slices where slices are bought; what was drawn otherwise counts as one.
    """

    case: Case
    units: tuple[Unit, ...]
    n_drawn: int


def offers(view: PoolView) -> list[Offer]:
    """The offers of the cases that have one, in the pool's order."""
    cases = {case.id: case for case in view.cases}
    grouped = [(cases[case], tuple(units)) for case, units in groupby(view.units(), key=lambda unit: unit.case)]
    return [Offer(case, units, _n_drawn(view, case, units)) for case, units in grouped]


def _n_drawn(view: PoolView, case: Case, units: tuple[Unit, ...]) -> int:
    slices = case.geometry.shape[view.axis] - len(units) if units[0].kind == "slice" else 0
    return slices or int(view.known(case.id) is not None)
