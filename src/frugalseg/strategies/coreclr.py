"""CoreCLR: the units that cover the pool best, in features that an encoder has learnt from the pool itself.

Before the first round an encoder learns from all pictures by group-based contrast; then each round takes the units
that bring all others nearest to something labelled (greedy k-median; of more than 4,096 units that many, evenly spaced
in the pool's order, count as the others), by the distance of the features alone or by the multi-feature distance. As
published it is greedy k-centre: the units farthest from everything labelled. Where nothing is labelled yet, k-centre
starts with the most typical unit, and each patient gives one unit before any gives a second: a few odd patients cannot
take the whole first budget.

Source: "Integrating Deep Metric Learning with Coreset for Active Learning in 3D Segmentation" and its code (CoreCLR).
We differ: see `embedding.contrastive` and `multi_feature`; also (a) k-median, because with a few units k-centre buys
the oddest ones, which stand for nothing else (docs/methods/coreclr.md has the numbers); (b) k-centre's start is the
most typical unit and not an unseeded random one, (c) uncertainty multiplies the distance, so that a labelled unit is
never picked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.generalists.generalist import Side
from frugalseg.settings import Settings
from frugalseg.strategies.embedding.contrastive import ContrastSettings, GroupContrastive
from frugalseg.strategies.embedding.embedder import Embedder, cache_of, unit_length
from frugalseg.strategies.embedding.frozen import FrozenGeneralist
from frugalseg.strategies.embedding.pictures import fingerprint, read_pixels
from frugalseg.strategies.k_centre import Distance, k_centre_by, uncertain
from frugalseg.strategies.k_median import k_median_by
from frugalseg.strategies.multi_feature import FeatureTerm, MultiFeatureSettings, Term, multi_feature, nearest_of
from frugalseg.strategies.places import Places, places_of
from frugalseg.strategies.reasons import Choice, reasons
from frugalseg.strategies.scores import entropy_map, score_units


class Covering(Settings):
    """How a pool is covered. A cap holds for all units but the first one of each patient."""

    cover: Literal["median", "centre"] = "median"  # centre: the farthest unit first, as published
    cap: float | None = Field(None, gt=0, le=1)  # centre: quantile of the distances above which all count the same

    @model_validator(mode="after")
    def _is_used(self) -> Self:
        if self.cap is not None and self.cover != "centre":
            raise ValueError("cap needs 'cover: centre'; k-median is not drawn by odd units")
        return self


class CoverSettings(Covering):
    """Which units a learnt encoder's features make choose."""

    encoder: ContrastSettings = ContrastSettings()
    distance: MultiFeatureSettings | None = None  # null: that of the features alone


class FrozenCoverSettings(Covering):
    """The same with the embedding of a generalist that is not trained."""

    generalist: str = "lite-medsam"
    input_size: Side = 64  # pixels of its input's side; auto: its own
    distance: MultiFeatureSettings | None = None


@dataclass(frozen=True)
class CoreClr:
    """Coverage by an embedding; with `multi` by the multi-feature distance.

    `cover` is "median" or, as published, "centre", where `cap` bounds what odd units draw. What the embedder learns is
    kept in the view's cache and depends on the view's seed; the round's random numbers are not used.
    """

    embedder: Embedder = field(default_factory=GroupContrastive)
    multi: MultiFeatureSettings | None = None
    cover: Literal["median", "centre"] = "median"
    cap: float | None = None

    @classmethod
    def learnt(cls, settings: CoverSettings) -> Self:
        """With an encoder that learns from the pool."""
        return cls(GroupContrastive(settings.encoder), settings.distance, settings.cover, settings.cap)

    @classmethod
    def frozen(cls, settings: FrozenCoverSettings) -> Self:
        """With a generalist as encoder."""
        embedder = FrozenGeneralist(settings.generalist, settings.input_size)
        return cls(embedder, settings.distance, settings.cover, settings.cap)

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, the best first; volumes drawn in part come when nothing else is left."""
        return [choice.unit for choice in self.explained(view, budget, rng)]

    def explained(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Choice]:
        """The same units, each beside what lies nearest to it by the distance that has chosen them."""
        places = places_of(view)
        with cache_of(view) as folder:
            features, term = self._distance(view, places, folder)
            order = self._order(view, places, features, term, budget)
            rest = np.flatnonzero(places.is_free & places.is_drawn)
            order = [*order, *map(int, rest)][:budget]
            why = reasons(places, term, order)
        return [Choice(places.units[i], reason) for i, reason in zip(order, why, strict=True)]

    def _distance(self, view: PoolView, places: Places, folder: Path) -> tuple[np.ndarray, Term]:
        of_pictures = self.embedder.embed(view, places.pictures, folder)
        features = unit_length(places.means(of_pictures))
        if self.multi is None:
            return features, FeatureTerm(features)
        side = self.multi.side
        name = f"pictures-{fingerprint(view, places.pictures, side)}.npy"
        pixels = read_pixels(view, places.pictures, side, folder / name)
        return features, multi_feature(view, places, features, pixels, self.multi)

    def _order(self, view: PoolView, places: Places, features: np.ndarray, term: Term, budget: int) -> list[int]:
        drawn, weight = places.drawn, self._weight(view, places)
        if self.cover == "median":
            picks = k_median_by(term.columns, len(places.units), n=budget, labelled=drawn, weight=weight)
            return [int(i) for i in picks]
        distance, n = nearest_of(term), len(places.units)
        first = int((features @ features.mean(0)).argmax())
        started: list[int] = []
        if not len(drawn):
            apart = _apart(distance, places.groups, first)
            n_first = min(budget, len(np.unique(places.groups)))
            started = k_centre_by(apart, n, n=n_first, first=first).order.tolist()
        centres = [*drawn, *started]
        more = budget - len(started)
        rest = k_centre_by(distance, n, n=more, labelled=centres, weight=weight, cap=self.cap, first=first)
        return [*started, *rest.order.tolist()]

    def _weight(self, view: PoolView, places: Places) -> np.ndarray | None:
        if self.multi is None or not self.multi.uncertainty or view.probabilities is None:
            return None
        return uncertain(score_units(view, places.units, entropy_map), beta=self.multi.uncertainty)


def _apart(distance: Distance, groups: np.ndarray, first: int) -> Distance:
    """The distance in which all of another group are farther away than anything of the own one.

    By the triangle inequality no two units are farther apart than twice the farthest from any third.
    """
    more = 2 * float(distance([first]).max()) + 1

    def apart(indices: Sequence[int] | np.ndarray) -> np.ndarray:
        parts = [distance([i]) + more * (groups != groups[i]) for i in indices]
        return np.asarray(np.min(parts, axis=0))

    return apart
