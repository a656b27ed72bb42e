"""The rounds of an experiment file of CoreCLR, fractions of the pool, as numbers of slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frugalseg.errors import SettingsError


@dataclass(frozen=True)
class Budget:
    """What a campaign buys: first, how many rounds follow, and in each of them.

    `fraction` of the pool is labelled in the end. `said` are the words on what a campaign cannot say.
    """

    start: int
    rounds: int
    then: int
    fraction: float
    starts_at_random: bool
    said: str


def budget_of(rounds: Any, slices: int, *, where: str) -> Budget:
    """The budget of a list of [fraction, pseudo fraction, "random"?, skip training?].

    All rounds behind the start buy the same in a campaign: those with the fraction of the second one are kept, and
    their sizes, which differ by one where the fraction is no whole number of slices, are evened out. Raises
    `SettingsError` for what is no such list, and for pseudo-labelled units.
    """
    parts = [_round(entry, number, where) for number, entry in enumerate(rounds, 1)] if isinstance(rounds, list) else []
    if not parts:
        raise SettingsError(f"{where}: 'policy.rounds' must list one [fraction, 0] a round, at least one")
    fractions = [fraction for fraction, _ in parts]
    if any(is_random for _, is_random in parts[1:]):
        raise SettingsError(f"{where}: 'policy.rounds': only the first round may be random in a campaign")
    n = 1 + sum(1 for _ in _alike(fractions[1:]))
    counts = [int(sum(fractions[: k + 1]) * slices) for k in range(len(fractions))]
    start, bought = counts[0], counts[n - 1] - counts[0]
    then = int(bought / (n - 1) + 0.5) if n > 1 else 1
    if start < 1 or then < 1:
        raise SettingsError(
            f"{where}: 'policy.rounds': {fractions[0]:g} of {slices} slices are none; is --slices right?"
        )
    words = [f"of {slices} slices: {', '.join(map(str, counts[:n]))} as published"]
    if n < len(fractions):
        left = ", ".join(f"{f:g}" for f in fractions[n:])
        words.append(f"rounds {n + 1} to {len(fractions)} ({left}) have no meaning here: all after the start buy alike")
    return Budget(start, n - 1, then, sum(fractions[:n]), parts[0][1], "; ".join(words))


def _alike(fractions: Sequence[float]) -> Sequence[float]:
    """The leading fractions that are equal."""
    same = [f for f in fractions if f == fractions[0]]
    return fractions[: next((k for k, f in enumerate(fractions) if f != fractions[0]), len(same))]


def _round(entry: Any, number: int, where: str) -> tuple[float, bool]:
    """The fraction, and whether the round is random."""
    numbers = entry[:2] if isinstance(entry, list) else []
    is_number = [isinstance(x, int | float) and not isinstance(x, bool) for x in numbers]
    if not numbers or not all(is_number) or not 0 < numbers[0] <= 1:
        raise SettingsError(f"{where}: round {number} of 'policy.rounds' is {entry!r}, not [fraction from 0 to 1, 0]")
    if any(numbers[1:]):
        raise SettingsError(f"{where}: round {number} of 'policy.rounds' buys pseudo-labels, which a campaign does not")
    return float(numbers[0]), "random" in entry[2:]
