"""All arms of a seed begin with the same batch and the same training, which is done once."""

import json
from dataclasses import replace
from itertools import islice

import pytest
from campaign_worlds import simulation

from frugalseg import methods
from frugalseg.campaign.outcome import curve, write_outcome
from frugalseg.campaign.rounds import TrainingRound
from frugalseg.campaign.simulate import Simulation
from frugalseg.campaign.watching import advised, dice_of_classes
from frugalseg.files import write_json
from frugalseg.methods import METHODS
from frugalseg.training import GENERALIST_LABELS, Training

ARMS = {
    "arms": {"random": {"then.strategy": "random"}, "entropy": {"then.strategy": "entropy"}},
    "compare": [["entropy", "random"]],
    "rounds": 2,
    "split": {"test": 2, "validation": 1},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two strategies, two seeds, run to the end, and how many trainings that took."""
    trained, steps = [], Training.steps

    def counted(self):
        trained.append(self.seed)
        return steps(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "steps", counted)
        campaign = simulation(tmp_path_factory.mktemp("arms"), **ARMS)
        for _ in campaign.run():
            pass
    return campaign, trained


def of(campaign: Simulation, arm, seed=0):
    return campaign.workspace(arm, seed)


def test_all_arms_of_a_seed_draw_the_same_first_batch(finished):
    campaign, _ = finished
    for seed in (0, 1):
        assert of(campaign, "random", seed).selected(0) == of(campaign, "entropy", seed).selected(0)
    assert of(campaign, "random", 0).selected(0) != of(campaign, "random", 1).selected(0)


def test_a_training_of_other_code_is_another_one(tmp_path, monkeypatch):
    campaign = simulation(tmp_path, **{**ARMS, "rounds": 0, "seeds": [0]})
    for arm, commit in (("random", "before"), ("entropy", "after")):
        monkeypatch.setattr("frugalseg.campaign.first_round.code_commit", lambda commit=commit: commit)
        for _ in campaign.run((arm,)):
            pass
    assert len([*(campaign.cache / "first-round").glob("*/model.safetensors")]) == 2


def test_all_arms_train_with_the_same_seeds(finished):
    campaign, _ = finished
    seeds = {arm: [[run.seed for run in of(campaign, arm, s).runs()] for s in (0, 1)] for arm in ("random", "entropy")}
    assert seeds["random"] == seeds["entropy"] == [[0, 0, 0], [1, 1, 1]]


def test_the_first_round_is_trained_once_for_all_arms(finished):
    campaign, trained = finished
    assert len(trained) == 2 * (1 + 2 * 2)  # of each seed one first round, and two further rounds of two arms
    first, second = (of(campaign, arm).runs(0)[0] for arm in ("random", "entropy"))
    assert (first.metrics, first.fingerprint, first.seconds) == (second.metrics, second.fingerprint, second.seconds)


def test_what_taught_the_first_round_is_there_for_all_arms(tmp_path, monkeypatch):
    finish = TrainingRound.finish

    def taught(self, *args, **more):
        if not more.get("model"):  # trained here, not taken over
            write_json(self.workspace.run_folder(self.run) / GENERALIST_LABELS / "records" / "a.json", {"step": 3})
        return finish(self, *args, **more)

    monkeypatch.setattr(TrainingRound, "finish", taught)
    campaign = simulation(tmp_path, **{**ARMS, "seeds": [0], "rounds": 0})
    for _ in campaign.run():
        pass
    for arm in ("random", "entropy"):
        workspace = of(campaign, arm)
        file = workspace.run_folder(workspace.runs()[0]) / GENERALIST_LABELS / "records" / "a.json"
        assert json.loads(file.read_text(encoding="utf-8")) == {"step": 3}


def test_a_first_round_of_other_defaults_is_another_training(tmp_path, monkeypatch):
    settings = {**ARMS, "seeds": [0], "rounds": 0}
    for _ in simulation(tmp_path, **settings).run(("random",)):
        pass

    class Changed(METHODS["supervised"].settings):
        added: float = 1.0

    monkeypatch.setattr(methods, "METHODS", {**METHODS, "supervised": replace(METHODS["supervised"], settings=Changed)})
    for _ in simulation(tmp_path, **settings).run(("entropy",)):
        pass
    assert len([*(tmp_path / "cache" / "first-round").iterdir()]) == 2


def test_an_arm_alone_finds_what_it_finds_beside_others(finished, tmp_path):
    campaign, _ = finished
    alone = simulation(tmp_path, **{**ARMS, "seeds": [0]})
    for _ in alone.run(("entropy",)):
        pass
    runs = [of(c, "entropy").runs() for c in (campaign, alone)]
    assert [run.fingerprint for run in runs[0]] == [run.fingerprint for run in runs[1]]
    assert [run.metrics for run in runs[0]] == [run.metrics for run in runs[1]]


def test_a_first_round_that_was_stopped_is_taken_over_by_another_arm(tmp_path):
    settings = {**ARMS, "seeds": [0], "rounds": 0}
    work = simulation(tmp_path, **settings).run(("random",))
    list(islice(work, 5))  # in the middle of the first training
    work.close()
    for _ in simulation(tmp_path, **settings).run():
        pass
    campaign = simulation(tmp_path, **settings)
    assert campaign.finished() == [("random", 0), ("entropy", 0)]
    assert len({of(campaign, arm).runs()[0].fingerprint for arm in ("random", "entropy")}) == 1


def test_other_labels_of_the_first_batch_are_another_training(tmp_path):
    campaign = simulation(
        tmp_path, **{**ARMS, "seeds": [0], "rounds": 0, "arms": {"a": {}, "b": {"start.units": 3}}, "compare": []}
    )
    for _ in campaign.run():
        pass
    assert len({of(campaign, arm).runs()[0].fingerprint for arm in ("a", "b")}) == 2


def test_points_tell_cost_in_slices_strokes_and_seconds_and_each_patients_value(finished):
    campaign, _ = finished
    points = list(curve(of(campaign, "random"), arm="random", seed=0))
    assert [p.units for p in points] == [6, 9, 12]  # three planes a unit
    assert [p.strokes for p in points] == [0, 0, 0]  # outlined
    assert points[0].seconds < points[1].seconds
    assert set(points[0].groups) == {campaign.pool[case].group for case in campaign.split.test}
    values = [v for group in points[0].groups.values() for v in group]
    assert points[0].metrics["dice"] == pytest.approx(sum(values) / len(values))
    assert points[0].metrics["choice_seconds"] >= 0


def test_strokes_are_counted_where_strokes_were_drawn(tmp_path):
    changes = {"arms": {"a": {}}, "compare": [], "seeds": [0], "rounds": 0, "oracle.style": "scribbles"}
    campaign = simulation(tmp_path, **changes)
    for _ in campaign.run():
        pass
    (point,) = curve(of(campaign, "a"), arm="a", seed=0)
    assert point.strokes >= point.units


def test_results_hold_the_budgets_and_their_paired_difference(finished):
    campaign, _ = finished
    found = write_outcome(campaign, command="x")
    assert {"aubc", "dice_at_6", "dice_at_9", "dice_at_12", "strokes"} <= set(found.arms["entropy"])
    start = [found.arms[arm]["dice_at_6"].per_seed for arm in ("random", "entropy")]
    assert start[0] == start[1]
    assert [(p.a, p.b, p.metric) for p in found.paired] == [
        ("entropy", "random", "dice"),
        ("entropy", "random", "aubc"),
    ]
    assert found.paired[1].interval is not None
    page = (campaign.out / "report.html").read_text(encoding="utf-8")
    assert "What each budget bought" in page
    assert "When to stop" in page


def test_advice_never_asks_the_test_cases(finished, monkeypatch):
    campaign, _ = finished
    workspace, asked = of(campaign, "random"), []
    kept = [workspace.run_folder(run) / "watched.json" for run in workspace.runs()]
    before = [json.loads(file.read_text(encoding="utf-8")) for file in kept]
    for file in kept:
        file.unlink()
    read = type(campaign.pool.truth).read
    monkeypatch.setattr(type(campaign.pool.truth), "read", lambda s, c, r=None: (asked.append(c), read(s, c, r))[1])
    advice = list(advised(workspace, campaign.settings.advice, arm="random", seed=0, cache=campaign.cache))
    assert set(asked) == set(campaign.split.validation)
    assert [json.loads(file.read_text(encoding="utf-8")) for file in kept] == before
    assert [a.gain is None for a in advice] == [True, True, False]
    assert advice[0].basis == "validation cases"
    assert advice[0].agreement is None
    assert 0 <= advice[1].agreement <= 1
    assert advice[0].radius == 1 >= advice[1].radius >= advice[2].radius


def test_without_validation_cases_each_batch_measures_the_model_before_it(tmp_path):
    campaign = simulation(tmp_path, **{**ARMS, "split": {"test": 2}, "seeds": [0]})
    for _ in campaign.run(("random",)):
        pass
    workspace = of(campaign, "random")
    advice = list(advised(workspace, campaign.settings.advice, arm="random", seed=0))
    assert {a.basis for a in advice} == {"each batch before it was learnt"}
    last = json.loads((workspace.run_folder(workspace.runs()[-1]) / "watched.json").read_text(encoding="utf-8"))
    assert [unit.split(":")[0] for unit in last["batch"]] == [u.case for u in workspace.selected(2)]
    assert all(a.gain is None for a in advice)  # two measured models are no curve


def test_nobody_watches_where_nobody_asks(tmp_path):
    campaign = simulation(tmp_path, **{**ARMS, "advice": None, "seeds": [0], "rounds": 1})
    stages = {progress.stage for progress in campaign.run(("random",))}
    assert "watching" not in stages
    assert not list(campaign.out.glob("**/watched.json"))


@pytest.mark.parametrize(
    ("said", "meant", "dice"),
    [([0, 0], [0, 0], 1.0), ([1, 0], [1, 0], 1.0), ([1, 1], [0, 1], 2 / 3), ([1, 2], [1, 1], 1 / 3)],
)
def test_the_dice_of_what_occurs(said, meant, dice):
    import numpy as np

    assert dice_of_classes(np.array(said, np.uint8), np.array(meant, np.uint8)) == pytest.approx(dice)
