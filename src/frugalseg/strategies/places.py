"""Every unit of a pool with what is needed to compare units: its pictures, and whether somebody has drawn on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.embedding.pictures import Picture, pictures_of


@dataclass(frozen=True, eq=False)
class Places:
    """The units of a pool in their order, bought or not; unit i shows the pictures rows[i].

    Slices and 2D images are one picture each; a whole volume, or three planes that nobody has placed yet, are all the
    slices of their case. `is_free` units can be bought; on `is_drawn` ones somebody has drawn something: on all others,
    and on volumes of which a part is drawn.
    """

    units: tuple[Unit, ...]
    pictures: tuple[Picture, ...]
    rows: tuple[slice, ...]
    is_free: Bool[np.ndarray, " N"]
    is_drawn: Bool[np.ndarray, " N"]

    @property
    def drawn(self) -> np.ndarray:
        """The numbers of the units that somebody has drawn."""
        return np.flatnonzero(self.is_drawn)

    @property
    def groups(self) -> np.ndarray:
        """A number for the group (patient) of each unit."""
        return np.asarray(np.unique([p.group for p in self.firsts], return_inverse=True)[1])

    @property
    def firsts(self) -> list[Picture]:
        """The first picture of each unit."""
        return [self.pictures[rows.start] for rows in self.rows]

    @property
    def positions(self) -> np.ndarray:
        """Where in its volume each unit lies, 0 to 1; a whole volume counts as its middle."""
        return np.array([np.mean([p.position for p in self.pictures[rows]]) for rows in self.rows])

    def means(self, of_pictures: np.ndarray) -> Float32[np.ndarray, "N ..."]:
        """The mean over each unit's pictures of an array with one row a picture; the array itself where that is one."""
        if all(rows.stop - rows.start == 1 for rows in self.rows):
            return of_pictures
        return np.stack([np.asarray(of_pictures[rows], np.float32).mean(0) for rows in self.rows])


def places_of(view: PoolView) -> Places:
    """The places of a pool, by what has been drawn up to now."""
    pictures = pictures_of(view)
    starts = {p.case: k - p.index for k, p in enumerate(pictures)}
    listed = view.all_units()
    rows = tuple(_rows(unit, starts[unit.case], pictures) for unit, _ in listed)
    is_free = [free for _, free in listed]
    is_drawn = [not free or (unit.kind == "image" and view.known(unit.case) is not None) for unit, free in listed]
    return Places(tuple(u for u, _ in listed), pictures, rows, np.array(is_free, bool), np.array(is_drawn, bool))


def _rows(unit: Unit, start: int, pictures: Sequence[Picture]) -> slice:
    if unit.kind == "slice":
        return slice(start + unit.index[0], start + unit.index[0] + 1)
    return slice(start, start + pictures[start].n)
