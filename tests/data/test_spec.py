"""Data in one line of text."""

import numpy as np
import pytest
from PIL import Image as Picture

from frugalseg.data.spec import open_data, parse_data_spec
from frugalseg.errors import SettingsError


def test_a_line_names_layout_place_and_options():
    spec = parse_data_spec("folder=scans,classes=1+2,group=patient")
    assert (spec.layout, spec.place) == ("folder", "scans")
    assert spec.options == {"classes": "1+2", "group": "patient"}


@pytest.mark.parametrize("text", ["folder=$SCANS/a", "folder=${SCANS}/a"])
def test_environment_variables_are_filled_in(monkeypatch, text):
    monkeypatch.setenv("SCANS", "here")
    assert parse_data_spec(text).place == "here/a"


def test_an_unset_variable_is_named(monkeypatch):
    monkeypatch.delenv("SCANS", raising=False)
    with pytest.raises(SettingsError, match="variable SCANS is not set"):
        parse_data_spec("folder=${SCANS}/a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("foldr=scans", r"unknown layout 'foldr' \(did you mean 'folder'\?\)"),
        ("folder=scans,clases=1", r"options of folder=scans: unknown key 'clases' \(did you mean 'classes'\?\)"),
        ("folder=scans,unknown=four", r"'unknown' = 'four'"),
        ("scans", "write LAYOUT=DIR"),
        ("folder=scans,classes", "write LAYOUT=DIR"),
        ("phantom=bubbles,n=0", "'n' = '0'"),
    ],
)
def test_a_line_that_cannot_be_meant_is_an_error(text, words):
    with pytest.raises(SettingsError, match=words):
        parse_data_spec(text)


def test_a_line_opens_a_pool(tmp_path):
    Picture.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "a.png")
    assert open_data(parse_data_spec(f"folder={tmp_path}"))["a"].geometry.shape == (4, 5)


def test_phantoms_have_hidden_truth_and_the_shape_that_was_asked_for():
    pool = open_data(parse_data_spec("phantom=anatomy,n=2,seed=3,shape=24x32x20"))
    assert (len(pool), pool.cases[0].geometry.shape, pool.cases[0].id in pool.truth) == (2, (24, 32, 20), True)
