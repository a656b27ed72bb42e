import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_worlds import make_points

from frugalseg.report.curves import apart, learning_curves
from frugalseg.report.palette import arm_style


def test_a_campaign_is_drawn_against_minutes_and_against_units():
    minutes, units = learning_curves(make_points(), "dice")
    assert b"Annotation time (minutes)" in minutes.image
    assert b"Slices or images drawn" in units.image
    assert all(name in minutes.image for name in (b"good", b"plain", b"bound", b"(10.0 h)"))
    assert "good: 0.710 ± 0.010" in minutes.alt


def test_arms_with_one_round_each_stand_below_each_other():
    (panel,) = learning_curves(make_points(rounds=1), "dice")
    assert b"0.610 \xc2\xb1 0.010" in panel.image
    assert b"bound (10.0 h)" in panel.image


def test_a_metric_that_nobody_measured_draws_nothing():
    assert learning_curves(make_points(), "pq") == ()


def test_the_same_points_give_the_same_bytes_whatever_the_user_has_configured():
    first = learning_curves(make_points(), "dice")
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "axes.facecolor": "red"}):
        assert learning_curves(make_points(), "dice") == first


def test_a_figure_takes_ink_and_font_of_the_page_and_touches_no_other_figure():
    minutes, units = (panel.image.decode() for panel in learning_curves(make_points(), "dice"))
    assert minutes.startswith("<svg")
    assert "currentColor" in minutes
    assert "DejaVu" not in minutes
    ids = [set(part.split('"')[0] for part in svg.split('id="')[1:]) for svg in (minutes, units)]
    assert ids[0]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_can_be_drawn(seeds):
    assert len(learning_curves(make_points(seeds=seeds), "hd95_mm")) == 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_labels_are_moved_apart_without_changing_their_order(heights):
    placed = np.array(apart(heights, 0.1))
    order = np.argsort(heights, kind="stable")
    assert (np.diff(placed[order]) >= 0.1 - 1e-9).all()
    assert placed.min() >= -1e-9
    assert placed.max() <= 1 + 1e-9


def test_labels_that_are_apart_stay_where_they_are():
    assert apart([0.8, 0.1, 0.5], 0.1) == pytest.approx([0.8, 0.1, 0.5])


def test_sixteen_arms_have_sixteen_styles():
    assert len({arm_style(k) for k in range(16)}) == 16
