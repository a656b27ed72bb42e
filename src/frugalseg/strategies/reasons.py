"""Why a unit was chosen, for whoever has to draw it: what of the known pool lies nearest to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalseg.data.unit import Unit
from frugalseg.strategies.multi_feature import AT_ONCE, Term
from frugalseg.strategies.places import Places


@dataclass(frozen=True)
class Reason:
    """A chosen unit beside the nearest of those that are labelled, or were chosen before it.

    `nearest` and `distance` are None for the first unit of an empty pool. `position` is the place of a slice in its
    volume, 0 to 1, None for whole images. `radius` is the largest distance that is left once this unit is labelled.
    """

    unit: Unit
    rank: int
    nearest: Unit | None
    distance: float | None
    nearest_is_drawn: bool
    position: float | None
    radius: float


def reasons(places: Places, term: Term, units: Sequence[Unit]) -> list[Reason]:
    """The reasons of units in the order in which they were chosen, by a distance between all units."""
    numbers = {_unplaced(unit): i for i, unit in enumerate(places.units)}
    chosen = np.array([numbers[_unplaced(unit)] for unit in units], np.int64)
    drawn = np.setdiff1d(places.drawn, chosen)
    centres = np.concatenate([drawn, chosen])
    gap = np.full(len(places.units), np.inf, np.float32)
    to_chosen = np.empty((len(chosen), len(centres)), np.float32)
    radius = []
    for start in range(0, len(centres), AT_ONCE):
        columns = term.columns(centres[start : start + AT_ONCE])
        to_chosen[:, start : start + AT_ONCE] = columns[chosen]
        for k, column in enumerate(columns.T, start):
            gap = np.minimum(gap, column)
            gap[centres[k]] = 0
            radius.append(float(gap.max()))
    return [
        _reason(places, chosen[rank], rank, to_chosen[rank, : len(drawn) + rank], centres, len(drawn), radius)
        for rank in range(len(chosen))
    ]


def _reason(
    places: Places,
    number: int,
    rank: int,
    distances: np.ndarray,
    centres: np.ndarray,
    n_drawn: int,
    radius: list[float],
) -> Reason:
    unit = places.units[number]
    nearest = int(distances.argmin()) if len(distances) else None
    return Reason(
        unit=unit,
        rank=rank,
        nearest=None if nearest is None else places.units[centres[nearest]],
        distance=None if nearest is None else float(distances[nearest]),
        nearest_is_drawn=nearest is not None and nearest < n_drawn,
        position=float(places.positions[number]) if unit.kind == "slice" else None,
        radius=radius[n_drawn + rank],
    )


def _unplaced(unit: Unit) -> Unit:
    """Planes wherever they are."""
    return Unit(unit.case, "planes") if unit.kind == "planes" else unit
