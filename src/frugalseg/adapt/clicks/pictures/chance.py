"""Random choices in the words of this room."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")


def pick(options: Sequence[Option], rng: np.random.Generator) -> Option:
    """One of the options, each as likely as the others."""
    return options[int(rng.integers(len(options)))]


def pick_weighted(options: Mapping[Option, float], rng: np.random.Generator) -> Option:
    """One of the options, as likely as its weight says; weights need no sum."""
    weights = np.cumsum(list(options.values()))
    return list(options)[int(np.searchsorted(weights, rng.uniform(0, weights[-1]), side="right"))]


def happens(probability: float, rng: np.random.Generator) -> bool:
    """True with this probability."""
    return bool(rng.random() < probability)


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """A number whose logarithm is uniform: as many between 1 and 2 as between 10 and 20."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def signed(low: float, high: float, rng: np.random.Generator) -> float:
    """A number of a size between the two and of either sign."""
    return float(rng.uniform(low, high) * (1 if rng.random() < 0.5 else -1))
