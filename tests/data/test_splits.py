import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.splits import Split, check_split, read_split, split_cases, split_folds
from frugalseg.errors import DataError, SettingsError

GEOMETRY = Geometry.plain((4, 4))


class Nothing:
    def read(self):
        return Image(np.zeros((4, 4)), GEOMETRY)

    def fingerprint(self):
        return "0" * 16


def cases_in_groups(sizes):
    return [Case(f"p{g:02d}_{i}", f"p{g:02d}", GEOMETRY, Nothing()) for g, n in enumerate(sizes) for i in range(n)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 5), min_size=6, max_size=20), st.integers(0, 99), st.floats(0, 0.3), st.integers(0, 3))
def test_a_split_names_every_case_once_and_cuts_no_group(sizes, seed, validation, test):
    cases = cases_in_groups(sizes)
    split = split_cases(cases, seed=seed, validation=validation, test=test)
    assert sorted(split.train + split.validation + split.test) == [c.id for c in cases]
    check_split(split, cases)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=8, max_size=12), st.integers(0, 99), st.randoms())
def test_the_order_of_the_cases_does_not_matter(sizes, seed, random):
    cases = cases_in_groups(sizes)
    mixed = random.sample(cases, len(cases))
    assert split_cases(cases, seed=seed, test=0.3) == split_cases(mixed, seed=seed, test=0.3)
    assert split_folds(cases, seed=seed, n=4) == split_folds(mixed, seed=seed, n=4)


def test_numbers_of_cases_are_met_exactly_where_groups_allow():
    split = split_cases(cases_in_groups([1] * 20), seed=0, validation=0.1, test=5)
    assert (len(split.train), len(split.validation), len(split.test)) == (13, 2, 5)


def test_groups_come_as_near_as_they_can():
    split = split_cases(cases_in_groups([2] * 10), seed=3, test=5)
    assert len(split.test) in (4, 6)


def test_one_group_is_taken_even_when_it_is_too_large():
    assert len(split_cases(cases_in_groups([9, 9, 9]), seed=0, test=1).test) == 9


def test_the_test_cases_do_not_depend_on_the_validation_cases():
    cases = cases_in_groups([1, 2, 3] * 5)
    assert split_cases(cases, seed=1, test=0.2).test == split_cases(cases, seed=1, test=0.2, validation=4).test


def test_seeds_give_different_splits():
    cases = cases_in_groups([1] * 30)
    assert len({split_cases(cases, seed=s, test=10).test for s in range(5)}) == 5


@pytest.mark.parametrize(
    ("part", "match"), [(-1, "fraction"), (float("nan"), "fraction"), (2.5, "whole number"), (6, "leave no group")]
)
def test_impossible_numbers_are_refused(part, match):
    with pytest.raises(SettingsError, match=match):
        split_cases(cases_in_groups([1] * 6), seed=0, test=part)


def test_every_case_is_tested_in_one_fold():
    cases = cases_in_groups([3, 1, 2, 2, 4, 1, 1])
    folds = split_folds(cases, seed=0, n=3)
    assert sorted(case for fold in folds for case in fold.test) == [c.id for c in cases]
    assert [len(fold.test) for fold in folds] in ([5, 5, 4], [5, 4, 5], [4, 5, 5])
    for fold in folds:
        check_split(fold, cases)


@pytest.mark.parametrize("n", [1, 4])
def test_more_folds_than_groups_are_refused(n):
    with pytest.raises(SettingsError, match="choose between 2 and 3"):
        split_folds(cases_in_groups([5, 5, 5]), seed=0, n=n)


@pytest.mark.parametrize(
    ("split", "match"),
    [
        (Split(("p00_0",), test=("p00_1",)), "group 'p00' is cut: it has cases in train and in test"),
        (Split(("p00_0", "p0_1")), r"'p0_1', which is no case \(did you mean 'p01_1'"),
        (Split(("p00_0", "p00_0")), "case 'p00_0' more than once, in train and in train"),
        (Split(("p00_0",), validation=("p00_0",)), "more than once, in train and in validation"),
    ],
)
def test_leaks_are_found(split, match):
    with pytest.raises(DataError, match=match):
        check_split(split, cases_in_groups([2, 2]))


def test_a_split_may_leave_cases_out():
    check_split(Split(("p00_0",), test=("p01_0",)), cases_in_groups([2, 2]))


def test_lists_as_ua_mt_ships_them(tmp_path):
    (tmp_path / "train.list").write_text("A01,0\r\nA02 \n\n")
    (tmp_path / "test.txt").write_text("B01")
    assert read_split(tmp_path) == Split(("A01", "A02"), (), ("B01",))


@pytest.mark.parametrize("name", ["val", "validation"])
def test_a_json_file_with_three_lists(tmp_path, name):
    (tmp_path / "s.json").write_text(json.dumps({"train": ["a"], name: ["b"], "test": ["c"]}))
    assert read_split(tmp_path / "s.json") == Split(("a",), ("b",), ("c",))


def test_the_first_fold_of_nnunet(tmp_path):
    file = tmp_path / "splits_final.json"
    file.write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a", "b"]}]))
    assert read_split(file) == Split(("a", "b"), ("c",))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "cannot be read"),
        ("[]", "mapping with 'train'"),
        ('{"train": ["a"], "vall": []}', "mapping with 'train' and any of"),
        ('{"train": [1]}', "'train' must be a list of case ids"),
        ('{"train": [], "val": [], "validation": []}', "both 'val' and 'validation'"),
    ],
)
def test_broken_json_is_named(tmp_path, text, match):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DataError, match=match):
        read_split(tmp_path / "s.json")


def test_folders_that_say_nothing_or_too_much_are_refused(tmp_path):
    with pytest.raises(DataError, match="neither train"):
        read_split(tmp_path)
    with pytest.raises(DataError, match="there is none"):
        read_split(tmp_path / "absent")
    (tmp_path / "train.list").write_text("a")
    (tmp_path / "train.txt").write_text("b")
    with pytest.raises(DataError, match=r"train\.list and train\.txt"):
        read_split(tmp_path)


@pytest.mark.real
@pytest.mark.skipif("FRUGALSEG_DATA" not in os.environ, reason="FRUGALSEG_DATA is unset")
def test_both_phases_of_a_patient_stay_together():
    lines = (
        (Path(os.environ["FRUGALSEG_DATA"]) / "acdc_scribbles" / "index.csv")
        .read_text(encoding="utf-8")
        .splitlines()[1:]
    )
    one = Case("", "", GEOMETRY, Nothing())
    cases = [replace(one, id=line.split(",")[0], group=line.split(",")[1]) for line in lines]
    split = split_cases(cases, seed=0, validation=0.1, test=20)
    assert (len(split.train), len(split.validation), len(split.test)) == (34, 6, 20)
