"""Campaigns that continue one specialist through their rounds."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_worlds import simulation, tiny
from safetensors.torch import load_file

from frugalseg.errors import SettingsError
from frugalseg.generalist_labels import read_report, refreshes_in
from frugalseg.training import GENERALIST_LABELS
from view_worlds import BrightInBox

SCRIPT = Path(__file__).with_name("killed_warm.py")
BUILD = "frugalseg.generalists.registry.build_generalist"

WARM = {
    "warm": {"first": 2, "every": 1},
    "rounds": 2,
    "train.method": "mean-teacher",
    "advice": None,
    "seeds": [0],
    "arms": {"warm": {}},
    "compare": [],
}


GM_ABS = {
    **WARM,
    "train.method": "gmabs",
    "train.options": {
        "generalist": "bright",
        "labels": {"prompts": {"smallest": 1}, "views": {"least_overlap": 0, "narrowest": 8}},
    },
    "train.fit.lr": 0.05,
    "train.fit.steps": 6,
    "warm": {"first": 3, "every": 1},
    "start.units": 4,
    "then.strategy": "uncertainty",
}
"""Labels are made before step 2, in the first part, and before 3 and 5, where the two others begin or go on."""


def gone_through(out, stages=None, settings=WARM, *, close=None):
    campaign = simulation(out, **settings)
    steps = campaign.run()
    for _ in itertools.islice(steps, stages):
        pass
    (close or steps.close)()
    return campaign


def models(campaign):
    return [load_file(f) for f in sorted((campaign.folder("warm", 0) / "workspace" / "models").iterdir())]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return gone_through(tmp_path_factory.mktemp("warm"))


def test_each_round_trains_the_steps_behind_those_of_the_round_before(finished):
    workspace = finished.workspace("warm", 0)
    logs = [workspace.run_folder(run) / "log.jsonl" for run in workspace.runs()]
    steps = [[json.loads(line)["step"] for line in log.read_text(encoding="utf-8").splitlines()] for log in logs]
    assert steps == [[0, 1], [2], [3]]


def test_each_round_learns_from_more_labels(finished):
    workspace = finished.workspace("warm", 0)
    assert [len(workspace.drawn(up_to_round=n)) for n in range(3)] == [2, 3, 4]


@pytest.mark.parametrize("stages", [6, 9, 14, 20])
def test_a_warm_campaign_that_was_stopped_ends_with_the_same_bits(finished, tmp_path, stages):
    gone_through(tmp_path, stages)
    again = gone_through(tmp_path)
    assert len(models(again)) == 3
    for one, other in zip(models(finished), models(again), strict=True):
        assert all((one[name] == x).all() for name, x in other.items())


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A warm campaign that asks a generalist and chooses by what its specialist is unsure of."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BUILD, lambda name, **_: BrightInBox())
        yield gone_through(tmp_path_factory.mktemp("taught"), settings=GM_ABS)


def said_and_chosen(campaign):
    """The bytes of all labels a training reads or a guard has judged, and what every round has asked for."""
    workspace = campaign.workspace("warm", 0)
    folders = [workspace.run_folder(run) / GENERALIST_LABELS for run in workspace.runs()]
    files = [f for folder in folders for f in sorted(folder.rglob("*")) if f.suffix in (".npy", ".npz")]
    verdicts = [read_report(folder, step)["verdict"] for folder in folders for step in refreshes_in(folder)]
    chosen = [workspace.selected(turn.number) for turn in workspace.rounds()]
    return {str(f.relative_to(campaign.out)): f.read_bytes() for f in files}, verdicts, chosen


def assert_same(again, expected):
    files, *rest = said_and_chosen(again)
    expected_files, *expected_rest = said_and_chosen(expected)
    assert rest == expected_rest
    assert files.keys() == expected_files.keys()
    assert all(files[name] == data for name, data in expected_files.items())
    for one, other in zip(models(expected), models(again), strict=True):
        assert all((one[name] == x).all() for name, x in other.items())


@pytest.mark.parametrize("stages", [7, 12, 18])
def test_labels_of_a_generalist_and_the_active_set_survive_a_stop(taught, tmp_path, stages):
    gone_through(tmp_path, stages, GM_ABS)
    assert_same(gone_through(tmp_path, settings=GM_ABS), taught)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks, which this system cannot")
def test_labels_of_a_generalist_and_the_active_set_survive_kills(taught, tmp_path):
    paths = os.pathsep.join([str(SCRIPT.parents[1]), *sys.path])
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, env={**os.environ, "PYTHONPATH": paths})
    assert_same(simulation(tmp_path, **GM_ABS), taught)


def test_rounds_that_do_not_fit_into_the_steps_are_refused():
    with pytest.raises(SettingsError, match="do not fit into 4 steps"):
        tiny(**{**WARM, "rounds": 3})


def test_a_warm_campaign_has_one_specialist():
    with pytest.raises(SettingsError, match="set members to 1"):
        tiny(**{**WARM, "members": 2})
