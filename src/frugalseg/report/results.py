"""``results.json``: the one schema of everything that measures, and how it is written."""

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from frugalseg.files import write_json
from frugalseg.report.statistics import Difference, summarise


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Measured(_Strict):
    """One metric of one arm over the seeds; `std` is the sample standard deviation, 0 for one seed."""

    mean: float
    std: float = Field(ge=0)
    per_seed: tuple[float, ...] = Field(min_length=1)

    @classmethod
    def of(cls, values: Sequence[float]) -> "Measured":
        """From one value a seed, in the order of `Results.seeds`."""
        return cls(**vars(summarise(values)))


class Paired(_Strict):
    """a - b in one metric over the same seeds; `interval` is the 95 % one, None for a single seed."""

    a: str
    b: str
    metric: str
    difference: float
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, a: str, b: str, metric: str, difference: Difference) -> "Paired":
        """From `frugalseg.report.statistics.paired_difference`."""
        return cls(a=a, b=b, metric=metric, difference=difference.difference, interval=difference.interval)
