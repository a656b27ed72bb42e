"""Why a unit was chosen, for whoever has to draw it: what of the known pool lay nearest to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from frugalseg.data.unit import Unit
from frugalseg.strategies.multi_feature import AT_ONCE, Term
from frugalseg.strategies.places import Places


@dataclass(frozen=True)
class Reason:
    """A chosen unit beside the nearest of those that are drawn, or were chosen before it.

    `nearest` and `distance` are None for the first unit of an empty pool. `position` is the place of a slice in its
    volume, 0 to 1, None for whole images. `radius` is the largest distance that is left once this unit is drawn.
    """

    nearest: Unit | None
    distance: float | None
    nearest_is_drawn: bool
    position: float | None
    radius: float

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Reason":
        """From the JSON of its fields."""
        near = kept["nearest"]
        return cls(**{**kept, "nearest": near and Unit(**{**near, "index": tuple(near["index"])})})

    @property
    def words(self) -> str:
        """The reason in one line."""
        known = "nothing was drawn or chosen before it"
        if self.nearest is not None:
            how = "drawn" if self.nearest_is_drawn else "chosen"
            known = f"nearest {how}: {self.nearest}, distance {self.distance:.3g}"
        place = [] if self.position is None else [f"position {self.position:.2f}"]
        return "; ".join([known, *place, f"then none is farther than {self.radius:.3g}"])


@dataclass(frozen=True)
class Choice:
    """A unit to label next, and why: None where its strategy does not say."""

    unit: Unit
    reason: Reason | None = None

    def at(self, unit: Unit) -> "Choice":
        """The same choice once its planes are placed."""
        return replace(self, unit=unit)


def reasons(places: Places, term: Term, order: Sequence[int]) -> list[Reason]:
    """The reasons of units, given by their numbers in the order of the choice, by a distance between all units."""
    chosen, n_drawn = np.asarray(order, np.int64), len(places.drawn)
    centres = np.concatenate([places.drawn, chosen])
    distances, radius = _measured(term, centres, chosen, n=len(places.units))
    distances[chosen[:, None] == centres] = np.inf  # a volume drawn in part is not near to itself
    positions = places.positions
    found = []
    for rank, number in enumerate(chosen):
        known = distances[rank, : n_drawn + rank]
        k = int(known.argmin()) if np.isfinite(known).any() else None
        reason = Reason(
            nearest=None if k is None else places.units[centres[k]],
            distance=None if k is None else float(known[k]),
            nearest_is_drawn=k is not None and k < n_drawn,
            position=float(positions[number]) if places.units[number].kind == "slice" else None,
            radius=radius[n_drawn + rank],
        )
        found.append(reason)
    return found


def _measured(term: Term, centres: np.ndarray, chosen: np.ndarray, *, n: int) -> tuple[np.ndarray, list[float]]:
    """The distances of the chosen to all centres, and the largest gap of all n units after each centre."""
    gap = np.full(n, np.inf, np.float32)
    to_chosen = np.empty((len(chosen), len(centres)), np.float32)
    radius = []
    for start in range(0, len(centres), AT_ONCE):
        columns = term.columns(centres[start : start + AT_ONCE])
        to_chosen[:, start : start + AT_ONCE] = columns[chosen]
        for k, column in enumerate(columns.T, start):
            gap = np.minimum(gap, column)
            gap[centres[k]] = 0
            radius.append(float(gap.max()))
    return to_chosen, radius
