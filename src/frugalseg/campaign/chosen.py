"""What a round has chosen and why: noted with the round, told by `frugalseg select`, shown by reports."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from frugalseg.data.pool import Pool
from frugalseg.data.unit import Unit
from frugalseg.report.records import Chosen, Panel
from frugalseg.report.units import unit_panels
from frugalseg.strategies.reasons import Choice, Reason
from frugalseg.workspace import Round, Workspace

REASONS = "reasons"
"""Among the settings of a round: one reason for each unit, or nothing where its strategy says none."""


def kept_reasons(choices: Sequence[Choice]) -> dict[str, Any]:
    """The reasons as JSON, to be kept among the settings of a round."""
    if all(choice.reason is None for choice in choices):
        return {}
    return {REASONS: [choice.reason and asdict(choice.reason) for choice in choices]}


def choices_of(workspace: Workspace, turn: Round) -> list[Choice]:
    """What a round wanted, the most wanted first; planes stand where they were placed."""
    units = workspace.selected(turn.number)
    kept = turn.settings.get(REASONS) or [None] * len(units)
    return [Choice(unit, why and Reason.read(why)) for unit, why in zip(units, kept, strict=True)]


def chosen(
    workspace: Workspace, *, arm: str, seed: int, pictured: int = 0, without_reasons: bool = True
) -> Iterator[Chosen]:
    """What each round of the workspace bought, with pictures of at most `pictured` units a round.

    Rounds of strategies that give no reasons have pictures too unless `without_reasons` is False.
    """
    for turn in workspace.rounds():
        choices = choices_of(workspace, turn)
        reasons = tuple(choice.reason.words if choice.reason else "" for choice in choices)
        is_explained = any(reasons)
        shown = choices[: pictured if is_explained or without_reasons else 0]
        yield Chosen(
            arm=arm,
            seed=seed,
            round=turn.number,
            units=tuple(str(choice.unit) for choice in choices),
            reasons=reasons if is_explained else (),
            pictures=_pictures(workspace.pool, [choice.unit for choice in shown]),
        )


def _pictures(pool: Pool, units: Sequence[Unit]) -> tuple[Panel, ...]:
    """A picture of each unit; every case is read once."""
    found: dict[Unit, Panel] = {}
    for case in sorted({unit.case for unit in units}):
        own = [unit for unit in units if unit.case == case]
        found.update(zip(own, unit_panels(pool[case].image(), own), strict=True))
    return tuple(found[unit] for unit in units)
