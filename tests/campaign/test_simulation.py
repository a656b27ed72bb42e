import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_worlds import simulation, tiny
from safetensors.torch import load_file

from frugalseg.campaign.outcome import write_outcome
from frugalseg.campaign.simulate import Simulation
from frugalseg.cli import main
from frugalseg.data.label import SemanticLabel
from frugalseg.errors import SettingsError
from frugalseg.report.results import read_results

WORLDS = Path(__file__).parent / "campaign_worlds.py"


def run(out, *arms, **changes):
    """A simulation gone through to its end."""
    campaign = simulation(out, **changes)
    for _ in campaign.run(arms):
        pass
    return campaign


def weights(campaign: Simulation, arm: str) -> list[str]:
    """A hash of the weights of each model of an arm."""
    models = sorted((campaign.folder(arm, 0) / "workspace" / "models").iterdir())
    return [
        hashlib.sha256(b"".join(v.numpy().tobytes() for _, v in sorted(load_file(m).items()))).hexdigest()
        for m in models
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """All arms and seeds, run once for the tests of this file."""
    return run(tmp_path_factory.mktemp("campaign"))


def test_results_have_every_arm_and_seed(finished):
    found = write_outcome(finished, command="frugalseg run tiny.yaml")
    assert set(found.arms) == {"sparse", "teacher", "dense"}
    assert all(len(arm["dice"].per_seed) == 2 for arm in found.arms.values())
    assert read_results(finished.out / "results.json") == found
    assert [(p.a, p.b, p.metric) for p in found.paired] == [("teacher", "sparse", m) for m in ("dice", "aubc")]
    assert "<svg" in (finished.out / "report.html").read_text(encoding="utf-8")


def test_arms_of_a_seed_begin_with_the_same_units(finished):
    first = [finished.workspace(arm, 0).selected(0) for arm in ("sparse", "teacher")]
    assert first[0] == first[1]
    assert finished.workspace("sparse", 1).selected(0) != first[0]


def test_each_round_buys_its_budget_and_costs_more(finished):
    workspace = finished.workspace("sparse", 0)
    assert [len(workspace.selected(n)) for n in (0, 1)] == [2, 1]
    assert 0 < workspace.seconds_spent(up_to_round=0) < workspace.seconds_spent(up_to_round=1)


def test_the_dense_arm_knows_every_voxel_of_every_training_case(finished):
    workspace = finished.workspace("dense", 0)
    assert workspace.pool.labelled() == sorted(finished.split.train)
    assert all(workspace.pool.label(case).is_dense for case in finished.split.train)


def test_no_test_case_is_ever_drawn(finished):
    for arm, seed in finished.finished():
        assert not set(finished.workspace(arm, seed).pool.labelled()) & set(finished.split.test)


def test_a_finished_campaign_does_nothing_more(finished):
    assert list(finished.run()) == []


def test_the_same_campaign_ends_with_the_same_bits(finished, tmp_path):
    again = run(tmp_path, "teacher", seeds=[0])
    assert weights(again, "teacher") == weights(finished, "teacher")


def test_a_seed_added_later_joins_the_results(tmp_path):
    run(tmp_path, "sparse", seeds=[0], rounds=0)
    both = run(tmp_path, "sparse", seeds=[0, 1], rounds=0)
    assert both.finished() == [("sparse", 0), ("sparse", 1)]


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    run(tmp_path, "sparse", seeds=[0], rounds=0)
    (tmp_path / "sparse" / "seed-0" / "finished.json").unlink()
    with pytest.raises(SettingsError, match=r"other settings of train; choose another -o"):
        run(tmp_path, "sparse", seeds=[0], rounds=0, **{"train.fit.lr": 0.5})


def test_an_arm_held_by_another_process_is_left_to_it(tmp_path):
    one, two = simulation(tmp_path, seeds=[0]), simulation(tmp_path, seeds=[0])
    first = one.run(("sparse",))
    next(first)
    assert list(two.run(("sparse",))) == []
    first.close()
    assert next(two.run(("sparse",))).arm == "sparse"


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["0 drawing 1", "0 training 2", "0 measuring 1", "1 training 3"])
def test_a_killed_campaign_ends_with_the_same_bits(finished, tmp_path, stop):
    with subprocess.Popen([sys.executable, WORLDS, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == stop:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    again = run(tmp_path, "teacher", seeds=[0])
    assert weights(again, "teacher") == weights(finished, "teacher")
    runs = [again.workspace("teacher", 0).runs(), finished.workspace("teacher", 0).runs()]
    assert runs[0][-1].metrics == runs[1][-1].metrics


def test_strategies_rank_the_same_when_the_hidden_truth_is_scrambled(finished, tmp_path, monkeypatch):
    """What is bought in round 1 follows from round 0 alone: other labels of cases nobody has drawn change nothing."""
    campaign = simulation(tmp_path, seeds=[0])
    drawn = {unit.case for unit in finished.workspace("sparse", 0).selected(0)}
    honest = type(campaign.pool.truth).read

    def scrambled(self, case, rater=None):
        label = honest(self, case, rater)
        known = case in drawn or case in campaign.split.test
        return label if known else SemanticLabel(label.array[::-1].copy(), label.classes)

    monkeypatch.setattr(type(campaign.pool.truth), "read", scrambled)
    for _ in campaign.run(("sparse",)):
        pass
    assert campaign.workspace("sparse", 0).selected(1) == finished.workspace("sparse", 0).selected(1)


def test_compared_arms_must_exist():
    with pytest.raises(SettingsError, match="unknown arm in 'compare'"):
        tiny(compare=[["teacher", "spars"]])


def test_the_report_can_be_written_again_from_the_folder(finished, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["frugalseg", "report", str(finished.out)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert "report.html" in capsys.readouterr().out
    assert read_results(finished.out / "results.json").arms.keys() == {"sparse", "teacher", "dense"}


def test_results_are_plain_json(finished):
    write_outcome(finished, command="frugalseg run tiny.yaml")
    data = json.loads((finished.out / "results.json").read_text(encoding="utf-8"))
    assert set(data) >= {"bench", "preset", "data", "seeds", "arms", "paired", "command", "environment"}
    assert set(data["arms"]["sparse"]["dice"]) == {"mean", "std", "per_seed"}
