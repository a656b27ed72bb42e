"""The rounds of an experiment file of CoreCLR, fractions of the pool, as numbers of slices."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from frugalseg.errors import SettingsError


@dataclass(frozen=True)
class Budget:
    """What a campaign buys: first, and in each of the rounds behind. `fraction` of the pool is labelled in the end."""

    start: int
    then: tuple[int, ...]
    fraction: float
    starts_at_random: bool
    said: str

    @property
    def total(self) -> int:
        """All slices together."""
        return self.start + sum(self.then)


def budget_of(rounds: Any, slices: int, *, where: str) -> Budget:
    """The budget of a list of [fraction, pseudo fraction, "random"?, skip training?], to the slice as published.

    Raises `SettingsError` for what is no such list, for pseudo-labelled units, and for a round that buys nothing.
    """
    parts = [_round(entry, number, where) for number, entry in enumerate(rounds, 1)] if isinstance(rounds, list) else []
    if not parts:
        raise SettingsError(f"{where}: 'policy.rounds' must list one [fraction, 0] a round, at least one")
    fractions = [fraction for fraction, _ in parts]
    if any(is_random for _, is_random in parts[1:]):
        raise SettingsError(f"{where}: 'policy.rounds': only the first round may be random in a campaign")
    counts = [int(sum(fractions[: k + 1]) * slices) for k in range(len(fractions))]
    bought = [b - a for a, b in pairwise([0, *counts])]
    if counts[-1] > slices:
        raise SettingsError(f"{where}: 'policy.rounds' buys {sum(fractions):g} of the pool, of which 1 is all")
    for number, (n, fraction) in enumerate(zip(bought, fractions, strict=True), 1):
        if n < 1:
            raise SettingsError(
                f"{where}: round {number} of 'policy.rounds': {fraction:g} of {slices} slices are none; "
                "is --slices right?"
            )
    words = f"of {slices} slices: {', '.join(map(str, counts))} as published"
    return Budget(bought[0], tuple(bought[1:]), sum(fractions), parts[0][1], words)


def _round(entry: Any, number: int, where: str) -> tuple[float, bool]:
    """The fraction, and whether the round is random."""
    numbers = entry[:2] if isinstance(entry, list) else []
    is_number = [isinstance(x, int | float) and not isinstance(x, bool) for x in numbers]
    if not numbers or not all(is_number) or not 0 < numbers[0] <= 1:
        raise SettingsError(f"{where}: round {number} of 'policy.rounds' is {entry!r}, not [fraction from 0 to 1, 0]")
    if any(numbers[1:]):
        raise SettingsError(f"{where}: round {number} of 'policy.rounds' buys pseudo-labels, which a campaign does not")
    return float(numbers[0]), "random" in entry[2:]
