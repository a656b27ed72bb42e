"""What several predictions of the same case disagree about. All are of the same image, none of it augmented."""

from collections.abc import Iterator

import numpy as np

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.errors import SettingsError
from frugalseg.strategies.random import before_first_model
from frugalseg.strategies.scores import MembersScore, entropy_map, highest, score_by_members

COMPARING = frozenset({"bald", "variance-ratio"})
"""Strategies that need several predictions of the same case."""


def one_opinion(strategy: str) -> SettingsError:
    """The error of such a strategy where there is one prediction only."""
    return SettingsError(
        f"strategy '{strategy}' compares several predictions, but there is one: give the plan a dropout "
        "(plan.dropout: 0.2), train with other seeds too (members: 3), or choose another strategy"
    )


def rank_by_members(
    strategy: str, score: MembersScore, view: PoolView, *, budget: int, rng: np.random.Generator
) -> list[Unit]:
    """The units of the highest mean score, ties by the pool's order; plain random before the first model.

    Raises `SettingsError` where there is a model but only one opinion.
    """
    if view.probabilities is None:
        return before_first_model(strategy, view, budget, rng)
    if view.members is None:
        raise one_opinion(strategy)
    units = view.units()
    return highest(units, score_by_members(view, units, score), budget)


def mutual_information(members: Iterator[np.ndarray]) -> np.ndarray:
    """H[mean of p] - mean of H[p] in each voxel, as a part of ln C: what the members do not agree on."""
    first = next(members)
    total, expected, n = first.astype(np.float64), entropy_map(first).astype(np.float64), 1
    for p in members:
        total += p
        expected += entropy_map(p)
        n += 1
    return np.asarray(entropy_map(total / n) - expected / n)


def variance_ratio(members: Iterator[np.ndarray]) -> np.ndarray:
    """1 - the part of the members that vote for the most voted class, in each voxel."""
    first = next(members)
    classes = np.arange(len(first)).reshape(-1, *[1] * (first.ndim - 1))
    votes, n = (first.argmax(0) == classes).astype(np.int32), 1
    for p in members:
        votes += p.argmax(0) == classes
        n += 1
    return np.asarray(1 - votes.max(0) / n)
