import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from bench_worlds import TOY, Measurement, opened

from frugalseg.bench.outcome import write_outcome
from frugalseg.errors import DataError, SettingsError
from frugalseg.report.results import read_results

WORLDS = Path(__file__).parent / "bench_worlds.py"


def run(out, *args, **wanted):
    """The toy bench gone through to its end."""
    bench = opened(out, *args, **wanted)
    for _ in bench.run():
        pass
    return bench


def times_measured(out):
    files = out.glob("*/seed-*/measured")
    return Counter(file.parent.parent.name for file in files for _ in file.read_text(encoding="utf-8").splitlines())


def test_every_arm_is_measured_with_every_seed(tmp_path):
    bench = run(tmp_path)
    assert bench.trials.finished() == [(arm, seed) for arm in ("plain", "good") for seed in (0, 1, 2)]
    assert bench.measured("good", 1).metrics["score"] == pytest.approx(0.61)
    assert bench.unfinished() == 0


def test_results_follow_the_schema(tmp_path):
    found = write_outcome(run(tmp_path), command="frugalseg bench toy")
    assert read_results(tmp_path / "results.json") == found
    assert (found.bench, found.preset, found.seeds, found.command) == ("toy", "quick", (0, 1, 2), "frugalseg bench toy")
    assert (found.data.name, found.data.cases, found.environment.device) == ("shapes", 3, "cpu")
    assert found.arms["plain"]["score"].per_seed == pytest.approx((0.5, 0.51, 0.52))
    assert set(found.arms["plain"]) == {"score", "cases", "seconds"}


def test_differences_are_told_where_both_arms_have_the_metric(tmp_path):
    (pair,) = write_outcome(run(tmp_path), command="x").paired
    assert (pair.a, pair.b, pair.metric, pair.difference) == ("good", "plain", "score", pytest.approx(0.1))


def test_the_page_shows_the_arms_and_one_sheet_of_each(tmp_path):
    write_outcome(run(tmp_path), command="frugalseg bench toy")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("toy on shapes", "Nothing is compared.", "Toys.", "gain: 0.1"))
    assert page.count("data:image/png") == 2
    assert (tmp_path / "pictures" / "good.png").read_bytes()[:4] == b"\x89PNG"


def test_the_preset_says_how_much_and_its_words_can_be_changed(tmp_path):
    small = opened(tmp_path / "a", preset="smoke")
    assert (small.settings.steps, small.trials.seeds, small.chosen) == (1, (0,), ("plain",))
    larger = opened(tmp_path / "b", TOY, {"steps": 5}, preset="smoke", seeds=2, only=("good",))
    assert (larger.settings.steps, larger.trials.seeds, larger.chosen) == (5, (0, 1), ("good",))
    assert len(opened(tmp_path / "c", data="phantom=shapes,n=7,shape=32x32").data.pool) == 7


def test_what_is_finished_is_never_measured_again(tmp_path):
    run(tmp_path, only=("plain",), seeds=1)
    run(tmp_path, seeds=2)
    assert times_measured(tmp_path) == {"plain": 2, "good": 2}
    assert list(opened(tmp_path, seeds=2).run()) == []


def test_a_changed_setting_is_refused_by_name(tmp_path):
    run(tmp_path, seeds=1)
    with pytest.raises(SettingsError, match=r"plain/seed-0 was made with other settings of gain; choose another -o"):
        opened(tmp_path, TOY, {"gain": 0.2}, seeds=1)


def test_other_data_are_refused(tmp_path):
    run(tmp_path, seeds=1)
    with pytest.raises(SettingsError, match="other settings of data;"):
        opened(tmp_path, data="phantom=shapes,n=3,shape=40x40")
    with pytest.raises(SettingsError, match="other settings of test data;"):
        opened(tmp_path, test_data="phantom=shapes,n=3,shape=32x32")


def test_a_setting_that_an_arm_does_not_depend_on_may_change(tmp_path):
    run(tmp_path, seeds=1)
    more = run(tmp_path, TOY, {"extra": ["third"]}, seeds=1)
    assert more.trials.finished() == [("plain", 0), ("good", 0), ("third", 0)]
    assert times_measured(tmp_path) == {"plain": 1, "good": 1, "third": 1}


def test_test_data_are_named_in_the_results(tmp_path):
    bench = run(tmp_path, seeds=1, test_data="phantom=bubbles,n=2,shape=32x32")
    record = bench.data.record()
    assert (record.name, record.cases) == ("shapes, tested on bubbles", 5)


def test_a_job_held_by_another_process_is_left_to_it(tmp_path):
    first = opened(tmp_path, only=("plain",), seeds=1).run()
    next(first)
    other = opened(tmp_path, only=("plain",), seeds=1)
    assert list(other.run()) == []
    assert other.unfinished() == 1
    first.close()
    assert next(opened(tmp_path, only=("plain",), seeds=1).run()).arm == "plain"


def test_several_processes_share_the_work(tmp_path):
    processes = [subprocess.Popen([sys.executable, WORLDS, tmp_path], stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    run(tmp_path)
    assert times_measured(tmp_path) == {"plain": 3, "good": 3}


def test_a_killed_bench_goes_on_and_finds_the_same(tmp_path):
    with subprocess.Popen([sys.executable, WORLDS, tmp_path / "a"], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == "good 1 2":
                process.send_signal(signal.SIGKILL)
                break
    again, whole = run(tmp_path / "a"), run(tmp_path / "b")
    assert (again.trials.folder("plain", 0) / "measured").read_text(encoding="utf-8") == "once\n"
    scores = [[b.measured(*pair).metrics["score"] for pair in b.trials.finished()] for b in (again, whole)]
    assert scores[0] == scores[1]


def test_a_result_that_is_no_number_is_refused(tmp_path):
    def broken(job):
        yield from ()
        return Measurement({"score": float("nan")})

    with pytest.raises(DataError, match="bench toy, plain, seed 0: score is not finite"):
        run(tmp_path, replace(TOY, measure=broken))
    assert not (tmp_path / "plain" / "seed-0" / "finished.json").exists()


def test_settings_are_kept_beside_every_result(tmp_path):
    run(tmp_path, seeds=1)
    kept = json.loads((tmp_path / "good" / "seed-0" / "settings.json").read_text(encoding="utf-8"))
    assert (kept["bench"], kept["gain"], kept["data"]["layout"]) == ("toy", 0.1, "phantom")


def test_nothing_finished_is_no_outcome(tmp_path):
    with pytest.raises(DataError, match="nothing of the bench has finished yet"):
        write_outcome(opened(tmp_path), command="x")


@pytest.mark.parametrize(
    ("changes", "wanted", "message"),
    [
        ({"gian": 1}, {}, r"settings of toy: unknown key 'gian' \(did you mean 'gain'\?\)"),
        ({"gain": -1}, {}, "'gain' = -1"),
        ({}, {"only": ("god",)}, r"unknown arm of toy 'god' \(did you mean 'good'\?\)"),
        ({}, {"preset": "full"}, "unknown preset of toy 'full'"),
        ({}, {"data": "folder"}, "write LAYOUT=DIR"),
    ],
)
def test_wrong_words_are_explained(tmp_path, changes, wanted, message):
    with pytest.raises(SettingsError, match=message):
        opened(tmp_path, TOY, changes, **wanted)
    assert list(tmp_path.iterdir()) == []
