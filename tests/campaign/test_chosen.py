"""What rounds keep of a choice, and which of it a campaign's page shows."""

import json

import pytest
from campaign_worlds import simulation

from choosing_worlds import choose_by_place
from frugalseg.annotator import Oracle
from frugalseg.bench.bench import Course
from frugalseg.campaign.chosen import choices_of, chosen, kept_reasons
from frugalseg.campaign.outcome import bought
from frugalseg.campaign.rounds import choose, draw
from frugalseg.campaign.settings import Purchase
from frugalseg.data.unit import Unit
from frugalseg.report.records import Chosen
from frugalseg.strategies.reasons import Choice, Reason

ONE = {"arms": {"why": {"start.strategy": "coreclr"}, "chance": {}}, "compare": [], "rounds": 0}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    choose_by_place(monkeypatch)
    return simulation(tmp_path).workspace("sparse", 0)


def buy(workspace, **words):
    choose(workspace, Purchase(strategy="coreclr", units=3, **words), seed=0)
    return choices_of(workspace, workspace.rounds()[-1])


def test_reasons_are_kept_with_the_round(workspace):
    found = buy(workspace, unit="slice", axis=2)
    assert [choice.unit for choice in found] == workspace.selected(0)
    assert [choice.reason.nearest for choice in found[:2]] == [None, found[0].unit]
    again = type(workspace).open(workspace.folder)
    assert choices_of(again, again.rounds()[0]) == found


def test_planes_keep_their_reasons_where_they_were_drawn_elsewhere(workspace):
    before = buy(workspace)
    oracle = Oracle(workspace.pool.truth)
    [*draw(workspace, oracle, [choice.unit for choice in before])]
    after = choices_of(workspace, workspace.rounds()[0])
    assert [choice.reason for choice in after] == [choice.reason for choice in before]


def test_a_round_without_reasons_keeps_none(workspace):
    choose(workspace, Purchase(units=2), seed=0)
    (turn,) = workspace.rounds()
    assert "reasons" not in turn.settings
    assert kept_reasons([Choice(Unit("a"))]) == {}
    assert [choice.reason for choice in choices_of(workspace, turn)] == [None, None]


def test_single_units_may_lack_a_reason():
    kept = kept_reasons([Choice(Unit("a")), Choice(Unit("b"), Reason(None, None, False, None, 1.0))])
    assert json.loads(json.dumps(kept))["reasons"][0] is None


def test_as_many_pictures_as_asked_for(workspace):
    buy(workspace, unit="slice")
    counts = [len(next(chosen(workspace, arm="a", seed=0, pictured=n)).pictures) for n in (0, 2, 9)]
    assert counts == [0, 2, 3]
    (one,) = chosen(workspace, arm="a", seed=0, pictured=2)
    assert [panel.title for panel in one.pictures] == list(one.units[:2])


def test_a_campaign_pictures_the_first_seed_of_arms_that_say_why(tmp_path, monkeypatch):
    choose_by_place(monkeypatch)
    campaign = simulation(tmp_path, **ONE)
    for arm, seed in (("why", 0), ("why", 1), ("chance", 0)):
        choose(campaign.workspace(arm, seed), campaign.settings.arm(arm).purchase(0), seed=seed)
        campaign.trials.finish(arm, seed, {"rounds": 1})
    found = {(one.arm, one.seed): (len(one.reasons), len(one.pictures)) for one in bought(campaign)}
    assert found == {("why", 0): (2, 2), ("why", 1): (2, 0), ("chance", 0): (0, 0)}


def test_a_bench_reads_what_it_kept_with_and_without_reasons():
    old = {"arm": "a", "seed": 0, "round": 1, "units": ["x"]}
    new = {**old, "reasons": ["near"], "pictures": []}
    read = Course.read({"points": [], "advice": [], "chosen": [old, new]})
    assert read.chosen == (Chosen("a", 0, 1, ("x",)), Chosen("a", 0, 1, ("x",), ("near",)))
