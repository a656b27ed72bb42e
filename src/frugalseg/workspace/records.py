"""What a workspace answers: plain frozen records, free of the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from frugalseg.data.unit import Unit


@dataclass(frozen=True)
class Round:
    """One turn of the loop. `settings` are those of its strategy."""

    number: int
    strategy: str
    is_closed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """One act of annotation as it was kept: what, by whom, at which cost, when (UTC, ISO 8601).

    `slices` are those a person went through: 1 for a slice or 2D image, 3 for planes, those of the volume drawn whole.
    `round` was the latest one at that time, None before the first.
    """

    unit: Unit
    rater: str
    slices: int
    seconds: float
    when: str
    round: int | None


@dataclass(frozen=True)
class Run:
    """One training. `model` is relative to the workspace, and None until the run is done."""

    id: int
    round: int | None
    method: str
    settings: Mapping[str, Any]
    seed: int
    is_done: bool = False
    model: str | None = None
    fingerprint: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
