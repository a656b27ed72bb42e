"""What the demo does with and without the weights of a generalist."""

from importlib.resources import files
from pathlib import Path

import pytest

from frugalseg.campaign.settings import read_campaign
from frugalseg.cli import simulation
from frugalseg.errors import WeightsError

DEMO = Path(str(files("frugalseg") / "demo.yaml"))


@pytest.fixture
def started(monkeypatch):
    """The arms that are run, as `--only` says them."""
    seen = []
    monkeypatch.setattr(simulation, "run_campaign", lambda *args, only, **rest: seen.append(only))
    return seen


def test_with_the_weights_every_arm_is_run(started, monkeypatch, tmp_path):
    monkeypatch.setattr(simulation, "fetch", lambda name: None)
    simulation.run_demo(tmp_path)
    assert started == [""]


@pytest.mark.parametrize("error", [WeightsError("there is no network"), OSError("no space left on device")])
def test_without_them_the_arms_that_ask_are_left_out_and_the_reason_is_said(
    started, monkeypatch, tmp_path, capsys, error
):
    def fail(name):
        raise error

    monkeypatch.setattr(simulation, "fetch", fail)
    simulation.run_demo(tmp_path)
    assert started == ["sparse-only,mean-teacher,dense-bound"]
    said = capsys.readouterr().out
    assert "left out: gm-abs" in said
    assert str(error) in said.replace("\n", " ")


def test_the_demo_shows_the_whole_idea_beside_its_bounds():
    campaign = read_campaign(DEMO)
    assert list(campaign.arms) == ["sparse-only", "mean-teacher", "gm-abs", "dense-bound"]
    assert campaign.arm("gm-abs").train.method == "gmabs"
