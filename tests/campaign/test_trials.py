import pytest

from frugalseg.campaign import trials as module
from frugalseg.campaign.trials import Trials, check_unchanged
from frugalseg.errors import SettingsError
from frugalseg.files import held


def test_every_pair_is_taken_once_seed_by_seed(tmp_path):
    trials = Trials(tmp_path, ("a", "b"), (0, 1))
    taken = []
    for arm, seed in trials.left():
        taken.append((arm, seed))
        trials.finish(arm, seed, {"n": len(taken)})
    assert taken == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert trials.finished() == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert trials.found("a", 1)["n"] == 3
    assert list(trials.left()) == []


def test_the_code_of_each_arm_is_known(tmp_path, monkeypatch):
    trials = Trials(tmp_path, ("a", "b", "c"), (0, 1))
    monkeypatch.setattr(module, "code_commit", lambda: "now")
    assert trials.commit() == "now"
    for seed in (0, 1):
        monkeypatch.setattr(module, "code_commit", lambda: "old")
        trials.finish("a", seed, {})
    assert trials.commit() == "old"
    monkeypatch.setattr(module, "code_commit", lambda: None)
    trials.finish("b", 0, {})
    monkeypatch.setattr(module, "code_commit", lambda: "new")
    trials.finish("b", 1, {})
    trials.finish("c", 0, {})
    assert trials.commit() == "old: a; unknown: b; new: b, c"


def test_a_pair_is_held_while_it_is_worked_on(tmp_path):
    trials = Trials(tmp_path, ("a", "b"), (0,))
    work = trials.left()
    assert next(work) == ("a", 0)
    assert list(trials.left()) == [("b", 0)]
    work.close()
    assert next(trials.left()) == ("a", 0)


def test_some_arms_only(tmp_path):
    assert list(Trials(tmp_path, ("a", "b"), (0, 1)).left(("b",))) == [("b", 0), ("b", 1)]


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    with held(tmp_path / "x") as mine, held(tmp_path / "x") as yours:
        assert (mine, yours) == (True, False)
    with held(tmp_path / "x", wait=True) as mine:
        assert mine


@pytest.mark.parametrize(
    ("kept", "given", "names"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "b"),
        ({"a": 1}, {"a": 1, "c": None}, "c"),
        ({"a": 1, "d": 0}, {"a": 1}, "d"),
    ],
)
def test_what_changed_is_named(tmp_path, kept, given, names):
    check_unchanged(tmp_path, given, given)
    with pytest.raises(SettingsError, match=f"was made with other settings of {names}; choose another -o"):
        check_unchanged(tmp_path, kept, given)
