"""Units as points: what strategies that look for diversity measure distances between."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.embedding.embedder import Embedder, cache_of, unit_length
from frugalseg.strategies.places import places_of
from frugalseg.strategies.scores import by_unit, voxels
from frugalseg.strategies.thumbnails import thumbnails

Describe = Callable[[PoolView, Sequence[Unit]], np.ndarray]
"""View, units grouped by case -> one row of features for each unit, (units, d)."""


@dataclass(frozen=True, eq=False)
class Described:
    """All units of a pool in its order, drawn and free, with their features (units, d)."""

    units: tuple[Unit, ...]
    is_free: Bool[np.ndarray, " N"]
    features: Float[np.ndarray, "N d"]

    @classmethod
    def of(cls, view: PoolView, describe: Describe) -> "Described":
        """The units of a view."""
        every = view.all_units()
        units = tuple(unit for unit, _ in every)
        return cls(units, np.array([is_free for _, is_free in every], bool), describe(view, units))

    @property
    def free(self) -> Int[np.ndarray, " n"]:
        """Indices of the units that could be bought."""
        return np.flatnonzero(self.is_free)

    @property
    def labelled(self) -> Int[np.ndarray, " m"]:
        """Indices of the units that somebody has drawn."""
        return np.flatnonzero(~self.is_free)

    def named(self, indices: Iterable[int]) -> list[Unit]:
        """The units of these indices."""
        return [self.units[i] for i in indices]


def features(view: PoolView, units: Sequence[Unit]) -> np.ndarray:
    """The current model's features before its head, mean over each unit's voxels; thumbnails before the first model.

    Planes that are not placed yet count the whole case. Each case is asked for once, and only its means are kept.
    """
    if view.features is None:
        return thumbnails(view, units)
    rows = by_unit(units, view.features, lambda array, unit: voxels(array, unit).mean(1, dtype=np.float64))
    return np.asarray(rows, np.float32)


def described_by(embedder: Embedder) -> Describe:
    """The embedding as features of units, for strategies that take a `describe`, such as `TypiClust`."""

    def describe(view: PoolView, units: Sequence[Unit]) -> np.ndarray:
        places = places_of(view)
        with cache_of(view) as folder:
            features = unit_length(places.means(embedder.embed(view, places.pictures, folder)))
        numbers = {unit: i for i, unit in enumerate(places.units)}
        return features[[numbers[unit] for unit in units]]

    return describe
