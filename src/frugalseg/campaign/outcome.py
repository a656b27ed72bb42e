"""What came of a campaign: its `results.json`, its curves, its pictures, its page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from frugalseg.campaign.rounds import case_scores
from frugalseg.campaign.settings import CampaignSettings
from frugalseg.campaign.simulate import Simulation
from frugalseg.files import fingerprint_json
from frugalseg.report.page import write_report
from frugalseg.report.pictures import case_panel
from frugalseg.report.records import Chosen, CurvePoint, Panel, Report
from frugalseg.report.results import Arm, Data, Paired, Results, environment, write_results
from frugalseg.report.statistics import paired_difference, summarise
from frugalseg.specialist.model import Model
from frugalseg.workspace import Run, Workspace

SHOWN = ("dice", "hd95_mm", "asd_mm")
"""Metrics of the report's curves and the printed table; the rest stands in results.json."""


def curve(workspace: Workspace, *, arm: str, seed: int) -> list[CurvePoint]:
    """One point for each finished run: what annotation had cost by then, and what the model reached."""
    return [
        CurvePoint(
            arm=arm,
            seed=seed,
            round=run.round or 0,
            seconds=workspace.seconds_spent(up_to_round=run.round),
            units=len(workspace.drawn(up_to_round=run.round)),
            metrics=run.metrics,
        )
        for run in workspace.runs()
        if run.is_done and run.metrics
    ]


def chosen(workspace: Workspace, *, arm: str, seed: int) -> Iterator[Chosen]:
    """What each round of the workspace bought."""
    for number in range(len(workspace.rounds())):
        units = tuple(str(unit) for unit in workspace.selected(number))
        yield Chosen(arm=arm, seed=seed, round=number, units=units)
