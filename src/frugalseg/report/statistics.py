"""What a number over seeds is worth: mean, spread, and whether two arms differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalseg.errors import DataError


@dataclass(frozen=True)
class Summary:
    """A metric over seeds. `std` is the sample standard deviation (n - 1), and 0 for one seed."""

    mean: float
    std: float
    per_seed: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.per_seed)


@dataclass(frozen=True)
class Difference:
    """The mean of a - b over the same seeds and its 95 % interval, which is None for a single seed."""

    difference: float
    interval: tuple[float, float] | None

    @property
    def is_noise(self) -> bool:
        """True unless the interval excludes 0; a single seed shows nothing."""
        return self.interval is None or self.interval[0] <= 0 <= self.interval[1]


def summarise(values: Sequence[float]) -> Summary:
    """Mean and spread of one value a seed; raises `DataError` for none, and for what is not finite."""
    numbers = _finite(values)
    std = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    return Summary(float(numbers.mean()), std, tuple(float(v) for v in numbers))


def paired_difference(a: Sequence[float], b: Sequence[float], *, confidence: float = 0.95) -> Difference:
    """How much larger `a` is than `b`, seed by seed, with Student's t interval of the paired differences.

    Both hold one value for each seed, in the same order. The interval assumes roughly normal differences and is wide
    for few seeds (4.3 standard errors to each side for three), as it should be. Raises `DataError` for other lengths.
    """
    from scipy.stats import t

    if len(a) != len(b):
        raise DataError(f"arms are compared seed by seed, but one has {len(a)} values and the other {len(b)}")
    gaps = _finite(a) - _finite(b)
    mean = float(gaps.mean())
    if len(gaps) < 2:
        return Difference(mean, None)
    reach = float(t.ppf(0.5 + confidence / 2, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)))
    return Difference(mean, (mean - reach, mean + reach))


def _finite(values: Sequence[float]) -> np.ndarray:
    numbers = np.asarray(values, np.float64)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise DataError(f"a summary over seeds needs finite numbers, at least one, not {list(values)}")
    return numbers
