"""The bench of strategies on tiny phantoms, end to end."""

import json
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from frugalseg.bench import BENCHES
from frugalseg.bench.coreclr import (
    CORECLR,
    HEADLINE,
    OTHERS,
    CoreClrSettings,
    campaign_of,
    depends,
    refuse_open_strokes,
)
from frugalseg.bench.outcome import write_outcome
from frugalseg.bench.run import BenchRun, Wanted
from frugalseg.cli.bench import run_bench
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.spec import open_data, parse_data_spec
from frugalseg.errors import SettingsError, WeightsError
from frugalseg.files import write_json
from frugalseg.learn.hardware import Hardware
from frugalseg.report.results import read_results
from frugalseg.strategies import STRATEGIES
from view_worlds import BrightInBox

DATA = "phantom=anatomy,n=5,shape=16x16x16"
TINY = {
    "percent": 2,
    "batches": 2,
    "test": 2,
    "train.fit.steps": 2,
    "train.labelled": 1,
    "train.augment": {"turn_probability": 0},
    "advice": {"cases": 1},
}


BENCH = replace(CORECLR, presets={"quick": replace(CORECLR.presets["quick"], seeds=2, others=1)})
"""With two seeds, one for the arms beside the headline."""


def opened(out, *only, seeds=None, **changes):
    wanted = Wanted(preset="quick", data=DATA, only=only or ("random", "strided", "round-robin"), seeds=seeds)
    hardware = Hardware(device="cpu", threads=1)
    return BenchRun.open(BENCH, out, wanted=wanted, changes={**TINY, **changes}, hardware=hardware)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three arms, of which one has fewer seeds, stopped once in the middle."""
    out = tmp_path_factory.mktemp("bench")
    list(islice(opened(out).run(), 12))
    bench = opened(out)
    for _ in bench.run():
        pass
    return bench


def test_arms_beside_the_headline_have_fewer_seeds_where_no_number_was_given(finished):
    assert Counter(arm for arm, _ in finished.trials.finished()) == {"random": 2, "strided": 2, "round-robin": 1}
    assert finished.unfinished() == 0
    assert opened(finished.trials.out, seeds=2).unfinished() == 1
    quick = CORECLR.presets["quick"]
    assert (quick.seeds, quick.fewer(HEADLINE), set(quick.fewer(OTHERS).values())) == (10, {}, {3})


def test_results_follow_the_schema_and_hold_budgets(finished):
    found = write_outcome(finished, command="frugalseg bench coreclr")
    assert read_results(finished.trials.out / "results.json") == found
    arm = found.arms["strided"]
    assert {"aubc", "dice", "dice_at_1", "dice_at_2", "strokes", "annotation_seconds", "choice_seconds"} <= set(arm)
    assert (len(arm["aubc"].per_seed), len(found.arms["round-robin"]["aubc"].per_seed)) == (2, 1)
    start = {name: a["dice_at_1"].per_seed[:1] for name, a in found.arms.items()}
    assert len(set(start.values())) == 1  # the same first batch, and the same model of it
    pairs = {(p.a, p.b): p for p in found.paired}
    assert pairs.keys() == {("strided", "random"), ("round-robin", "random")}
    assert pairs["strided", "random"].metric == "aubc"
    assert pairs["strided", "random"].interval is not None
    assert pairs["round-robin", "random"].interval is None  # one common seed


def test_the_page_says_who_differs_and_shows_what_was_bought(finished):
    write_outcome(finished, command="x")
    page = (finished.trials.out / "report.html").read_text(encoding="utf-8")
    for words in ("What each budget bought", "from random", "Who wins how often", "When to stop", "What was chosen"):
        assert words in page
    assert "strided, seed 1" in page


def test_a_stopped_bench_finds_what_one_without_a_stop_finds(finished, tmp_path):
    whole = opened(tmp_path, "strided", seeds=1)
    for _ in whole.run():
        pass
    points = [bench.measured("strided", 0).course.points for bench in (whole, finished)]
    assert [p.groups for p in points[0]] == [p.groups for p in points[1]]
    assert whole.measured("strided", 0).course.chosen == finished.measured("strided", 0).course.chosen
    assert list(opened(tmp_path, "strided", seeds=1).run()) == []


def test_another_setting_is_refused_but_for_the_advice(finished):
    with pytest.raises(SettingsError, match="other settings of percent"):
        opened(finished.trials.out, percent=9)
    assert opened(finished.trials.out, **{"advice": None}).unfinished() == 0


@pytest.fixture
def without_weights(monkeypatch):
    """A machine on which no weights lie."""

    def absent(*_, **__):
        raise WeightsError("they are absent; run `frugalseg models get lite-medsam`")

    monkeypatch.setattr("frugalseg.generalists.registry.build_generalist", absent)


def test_without_weights_the_frozen_arm_is_left_out_and_all_others_are_measured(
    tmp_path, monkeypatch, capsys, without_weights
):
    small = replace(CORECLR.presets["quick"], data=DATA, seeds=1, arms=("coreclr-frozen", "random"))
    monkeypatch.setitem(BENCHES, "coreclr", replace(CORECLR, presets={"quick": small}))
    changes = [f"{key}={json.dumps(value)}" for key, value in TINY.items()]
    run_bench("coreclr", Wanted(), tmp_path, changes=changes, hardware=Hardware(device="cpu", threads=1))
    said = capsys.readouterr().out
    assert "left out: coreclr-frozen, " in said
    assert "frugalseg models get lite-medsam" in said
    assert "arms random; seeds [0]" in said
    assert read_results(tmp_path / "results.json").arms.keys() == {"random"}


def test_the_frozen_arm_is_an_error_without_weights_where_it_was_asked_for(tmp_path, without_weights):
    with pytest.raises(WeightsError, match="frugalseg models get lite-medsam"):
        opened(tmp_path, "random", "coreclr-frozen")


def test_without_weights_results_of_the_frozen_arm_are_compared_by_all_else(tmp_path, monkeypatch, without_weights):
    with monkeypatch.context() as there:
        there.setattr("frugalseg.generalists.registry.build_generalist", lambda *_, **__: BrightInBox(fingerprint="f1"))
        words = opened(tmp_path, "coreclr-frozen").words_of("coreclr-frozen")
    assert words["weights"] == "f1"
    write_json(tmp_path / "coreclr-frozen" / "seed-0" / "settings.json", words)
    opened(tmp_path, "random")
    with pytest.raises(SettingsError, match="percent"):
        opened(tmp_path, "random", percent=7)


def test_jobs_lie_where_their_campaigns_do(finished):
    assert (finished.trials.folder("random", 0) / "workspace" / "frugalseg.db").is_file()
    kept = json.loads((finished.trials.folder("random", 0) / "settings.json").read_text(encoding="utf-8"))
    assert "advice" not in kept


def campaign(data=DATA, **changes):
    pool = open_data(parse_data_spec(data), labels_are="truth")
    return campaign_of("entropy", 3, pool=pool, data=data, settings=CoreClrSettings(**changes))


def test_a_batch_is_a_percentage_of_the_training_slices():
    settings = campaign(percent=10, batches=4, test=1)
    assert settings.start.units == settings.then.units == 6  # of 4 x 16 slices
    assert (settings.rounds, settings.start.strategy, settings.then.strategy) == (3, "random", "entropy")
    assert (settings.start.unit, settings.start.axis, settings.oracle.style) == ("slice", 2, "scribbles")
    assert campaign(percent=0.1).start.units == 1


@pytest.mark.parametrize(("shape", "n"), [("16x16x16", 8), ("128x72x16", 7), ("128x128x16", 4)])
def test_a_step_sees_more_slices_where_they_are_small(shape, n):
    data = f"phantom=anatomy,n=3,shape={shape}"
    assert campaign(data, axis=2, test=1).train.labelled == n
    assert campaign(data, axis=2, test=1, train={"labelled": 2}).train.labelled == 2


def test_strokes_are_learnt_by_dice_unless_something_else_is_said():
    def options(**train):
        return campaign(train=train).train.options

    assert options(method="supervised") == {"dice": 0.9}
    assert options(method="supervised", options={"dice": 0.5}) == {"dice": 0.5}
    assert options(method="scribble") == {}
    words = depends("random", CoreClrSettings(train={"method": "supervised"}))
    assert words["options"]["dice"] == 0.9


def test_slices_are_brought_to_one_size_and_seen_whole():
    plan = campaign("phantom=anatomy,n=3,shape=40x20x16", side=32, axis=2).plan
    assert (plan["side"], plan["patch"], plan["axis"]) == (32, [32, 16], 2)
    assert campaign("phantom=anatomy,n=3,shape=20x18x16").plan["side"] == 24


def test_images_are_bought_whole_and_count_as_one_slice():
    settings = campaign("phantom=shapes,n=30,shape=32x32", percent=10, test=10)
    assert (settings.start.units, settings.plan["axis"], settings.plan["patch"]) == (2, None, [32, 32])


def test_every_arm_is_a_strategy():
    assert set((*HEADLINE, *OTHERS)) <= set(STRATEGIES)
    assert {a for a, _, _ in CORECLR.compare} | {b for _, b, _ in CORECLR.compare} == set((*HEADLINE, *OTHERS))
    assert len(set(CORECLR.compare)) == len(CORECLR.compare)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "randon"}, r"'start'.*did you mean 'random'"),
        ({"batches": 1}, "'batches' = 1"),
        ({"x": 1}, "key 'x'"),
    ],
)
def test_wrong_words_are_explained(tmp_path, changes, message):
    with pytest.raises(SettingsError, match=message):
        opened(tmp_path, **changes)


def test_other_data_to_test_on_are_refused(tmp_path):
    wanted = Wanted(preset="smoke", data=DATA, test_data=DATA)
    with pytest.raises(SettingsError, match="leave out --test-data"):
        BenchRun.open(CORECLR, tmp_path, wanted=wanted, changes=TINY, hardware=Hardware(device="cpu"))


@pytest.mark.parametrize(("margin", "is_open"), [(2, False), (-4, True)])
def test_strokes_that_do_not_go_around_the_objects_are_not_taken_to_enclose_them(margin, is_open):
    pool = open_data(parse_data_spec("phantom=shapes,n=4,shape=48x48"), labels_are="truth")
    for case in pool.cases:
        truth = pool.truth.semantic(case.id)
        rows, columns = np.nonzero(truth.array)
        around = np.full(truth.array.shape, UNKNOWN, np.uint8)
        low, high = (np.array([f(rows), f(columns)]) for f in (np.min, np.max))
        corners = np.clip([low - margin, high + margin], 0, 47)
        around[np.ix_(corners[:, 0], corners[:, 1])] = 0
        pool.truth.strokes.put(case.id, "hand", SemanticLabel(around, truth.classes))
    if is_open:
        with pytest.raises(SettingsError, match=r"% of the objects lie outside .*train\.enclosed=false"):
            refuse_open_strokes(pool, None)
    else:
        refuse_open_strokes(pool, None)
