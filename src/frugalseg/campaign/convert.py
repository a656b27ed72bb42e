"""Experiment files of CoreCLR (al-seg) as campaign files. Nothing of a file is executed: it is read as plain YAML.

Settings of the strategy become its options. What a campaign cannot say is said to have no meaning here, with the
reason. Where leaving it out would make another experiment (pseudo-labelled units, ascending ranks) the file is refused.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from frugalseg.campaign.coreclr.experiment import read_experiment
from frugalseg.campaign.coreclr.rules import became, common_settings
from frugalseg.campaign.coreclr.said import short
from frugalseg.campaign.settings import CampaignSettings
from frugalseg.files import write_bytes
from frugalseg.settings import override, parse


@dataclass(frozen=True)
class Line:
    """What became of one key of the file."""

    key: str
    value: str
    said: str
    is_mapped: bool


@dataclass(frozen=True)
class Converted:
    """The campaign as plain data, checked, and what became of each key of the file it was made of."""

    settings: dict[str, Any]
    lines: tuple[Line, ...]


def convert(file: Path, *, data: str = "", slices: int = 0) -> Converted:
    """The campaign that an experiment file means. Raises `SettingsError` that names an unknown key.

    `data` is the campaign's, by default what `frugalseg prepare` makes of the published set; `slices` is the size of
    the training pool, of which the file's rounds are fractions.
    """
    experiment = read_experiment(file, data=data, slices=slices)
    settings, lines = common_settings(experiment), []
    said = [(key, value, "") for key, value in experiment.entries()]
    said += [(key, value, " (its default)") for key, value in experiment.defaults()]
    for key, value, origin in said:
        changes, words = became(key, value, experiment)
        settings = override(settings, changes)
        lines.append(Line(key, short(value) + origin, words, bool(changes)))
    parse(CampaignSettings, settings, where=str(file))
    return Converted(settings, tuple(lines))


def write_campaign(found: Converted, path: Path) -> None:
    """Writes the campaign file whole."""
    plain = json.loads(json.dumps(found.settings))  # what start and then share is written twice, without references
    text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=120)
    write_bytes(path, text.encode())
