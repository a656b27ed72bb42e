"""What becomes of a key: the changes to the campaign, and the words of the table."""

from collections.abc import Callable
from typing import Any

import yaml

from frugalseg.campaign.coreclr.experiment import Experiment

Changes = dict[str, Any]

Became = tuple[Changes, str]

Rule = Callable[[Any, Experiment], Became]
"""The value of a key and its experiment -> what becomes of it."""


def mapped(changes: Changes, more: str = "") -> Became:
    """Changes to the campaign, in words too."""
    words = ", ".join(f"{key}: {short(value)}" for key, value in changes.items())
    return changes, f"{words}; {more}" if more else words


def option(experiment: Experiment, changes: Changes, more: str = "") -> Became:
    """Changes to the settings of the strategy, wherever it chooses."""
    words = mapped({f"options.{key}": value for key, value in changes.items()}, more)[1]
    return {f"{part}.options.{key}": value for part in experiment.chooses_in for key, value in changes.items()}, words


def meaningless(why: str) -> Became:
    """No change, and why."""
    return {}, f"has no meaning here: {why}"


def short(value: Any) -> str:
    """A value on one line, cut off where it is long."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
    return text if len(text) <= 60 else text[:57] + "..."
