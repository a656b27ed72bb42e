import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from frugalseg.errors import DataError
from frugalseg.report import results as module
from frugalseg.report.records import Comparison
from frugalseg.report.results import Data, Measured, Paired, Results, environment, read_results, write_results
from frugalseg.report.statistics import paired_difference


def make_results(**changes: object) -> Results:
    parts: dict[str, object] = {
        "bench": "gmabs",
        "preset": "quick",
        "data": Data(name="phantoms", cases=40, fingerprint="0123456789abcdef"),
        "seeds": (0, 1),
        "arms": {"a": {"dice": Measured.of([0.5, 0.75])}, "b": {"dice": Measured.of([0.25, 0.5])}},
        "paired": (Paired.of(Comparison("a", "b", "dice", paired_difference([0.5, 0.75], [0.25, 0.5]))),),
        "command": "frugalseg bench gmabs",
        "environment": environment("cpu"),
    }
    return Results(**{**parts, **changes})


def test_the_file_has_the_keys_that_others_rely_on(tmp_path):
    write_results(tmp_path / "results.json", make_results())
    data = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert list(data) == ["bench", "preset", "data", "seeds", "arms", "paired", "command", "environment"]
    assert data["arms"]["a"]["dice"] == {
        "mean": 0.625,
        "std": pytest.approx(0.176777, abs=1e-6),
        "per_seed": [0.5, 0.75],
    }
    assert data["paired"] == [{"a": "a", "b": "b", "metric": "dice", "difference": 0.25, "interval": [0.25, 0.25]}]
    assert {"torch", "device", "threads", "commit"} <= set(data["environment"])


def test_what_was_written_is_read_again(tmp_path):
    write_results(tmp_path / "results.json", make_results())
    assert read_results(tmp_path / "results.json") == make_results()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_no_result(value):
    with pytest.raises(ValidationError, match="finite number"):
        Measured(mean=value, std=0.0, per_seed=(0.5,))
    with pytest.raises(ValidationError, match="finite number"):
        Measured(mean=0.5, std=0.0, per_seed=(0.5, value))


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        make_results(note="x")


def test_a_difference_between_unknown_arms_is_refused():
    pair = Paired(a="a", b="c", metric="dice", difference=0.0)
    with pytest.raises(ValidationError, match=r"\['c'\], which is no arm"):
        make_results(paired=(pair,))


def test_more_values_than_seeds_are_refused():
    with pytest.raises(ValidationError, match="more values of dice than there are seeds"):
        make_results(seeds=(0,))


@pytest.mark.parametrize(("text", "message"), [(None, "no such results file"), ("{", "JSON"), ("{}", "bench: Field")])
def test_a_file_that_holds_no_results_is_named(tmp_path, text, message):
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_results(path)


def test_the_environment_names_torch_and_its_threads():
    found = environment("cuda:0")
    assert (found.torch, found.device, found.threads) == (torch.__version__, "cuda:0", torch.get_num_threads())
    assert environment().device == "cpu"


def test_the_environment_can_be_told_without_git(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    module.code_commit.cache_clear()
    assert environment("cpu").commit is None
    module.code_commit.cache_clear()


def test_a_package_in_somebody_elses_checkout_does_not_name_his_commit(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "results.py"))
    module.code_commit.cache_clear()
    assert environment("cpu").commit is None
    module.code_commit.cache_clear()
