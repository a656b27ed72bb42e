"""Campaigns that continue one specialist through their rounds."""

import itertools
import json

import pytest
from campaign_worlds import simulation, tiny
from safetensors.torch import load_file

from frugalseg.errors import SettingsError

WARM = {
    "warm": {"first": 2, "every": 1},
    "rounds": 2,
    "train.method": "mean-teacher",
    "advice": None,
    "seeds": [0],
    "arms": {"warm": {}},
    "compare": [],
}


def gone_through(out, stages=None):
    campaign = simulation(out, **WARM)
    steps = campaign.run()
    for _ in itertools.islice(steps, stages):
        pass
    steps.close()
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


def test_rounds_that_do_not_fit_into_the_steps_are_refused():
    with pytest.raises(SettingsError, match="do not fit into 4 steps"):
        tiny(**{**WARM, "rounds": 3})


def test_a_warm_campaign_has_one_specialist():
    with pytest.raises(SettingsError, match="set members to 1"):
        tiny(**{**WARM, "members": 2})
