"""The view of a pool with the current models, which is all that a strategy gets to see."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frugalseg.data.pool import Members, Pool, PoolView
from frugalseg.data.unit import Unit, UnitKind

if TYPE_CHECKING:
    from frugalseg.specialist.model import Model

DRAWS = 10
"""Of the dropout of a single model, as members; ours (40 in CoreCLR's experiments)."""


def view_of(
    pool: Pool,
    models: Sequence["Model"],
    *,
    unit: UnitKind,
    axis: int = 0,
    bought: frozenset[Unit] = frozenset(),
    cache: Path | None = None,
) -> PoolView:
    """A pool as the current models see it: several that differ in their seed only, one, or none yet.

    Several are the members, and their mean is the prediction. Of a single one with dropout the members are draws of
    it, while the prediction is made without. Features are the last one's. Each call predicts anew; nothing is kept.
    Windows lie as usual, whatever a protocol prescribes for measuring. The pool's truth cannot be reached from the
    view.
    """
    pool, models = pool.without_truth(), [model.with_usual_windows() for model in models]
    if not models:
        return PoolView(pool.cases, pool.label, unit, axis, bought=bought, cache=cache)

    def probabilities(case: str) -> np.ndarray:
        image = pool[case].image()
        total = models[0].probabilities(image)
        for model in models[1:]:
            total = total + model.probabilities(image)
        return np.asarray(total / len(models), np.float32)

    def features(case: str) -> np.ndarray:
        return models[-1].features(pool[case].image())

    members = _members(pool, models)
    return PoolView(pool.cases, pool.label, unit, axis, probabilities, features, members, bought, cache=cache)


def _members(pool: Pool, models: Sequence["Model"]) -> Members | None:
    from frugalseg.specialist.dropout import has_dropout

    def of_seeds(case: str) -> Iterator[np.ndarray]:
        image = pool[case].image()
        return (model.probabilities(image) for model in models)

    def of_draws(case: str) -> Iterator[np.ndarray]:
        return models[0].samples(pool[case].image(), n=DRAWS)

    if len(models) > 1:
        return of_seeds
    return of_draws if has_dropout(models[0].network) else None
