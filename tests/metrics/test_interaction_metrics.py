import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from frugalseg.errors import DataError
from frugalseg.metrics.interaction import Summary, clicks_to_reach, rank_agreement, summary

few = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30)


def test_clicks_are_counted_until_the_overlap_is_reached():
    assert clicks_to_reach([0.2, 0.5, 0.8, 0.7, 0.9], 0.8) == 3
    assert clicks_to_reach([0.2, 0.5, 0.8, 0.7, 0.9], 0.85) == 5
    assert clicks_to_reach([0.9], 0.9) == 1


def test_a_session_that_never_gets_there_counts_as_all_its_clicks():
    assert clicks_to_reach([0.5] * 20, 0.9) == 20
    assert clicks_to_reach([0.5] * 3, 0.9) == 20
    assert clicks_to_reach([0.5] * 3, 0.9, most=10) == 10


def test_clicks_after_the_last_one_allowed_do_not_count():
    assert clicks_to_reach([0.1] * 5 + [1.0], 0.9, most=5) == 5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_the_count_agrees_with_trying_click_by_click(ious, threshold):
    expected = next((n for n, value in enumerate(ious[:20], 1) if value >= threshold), 20)
    assert clicks_to_reach(ious, threshold) == expected


@pytest.mark.parametrize("ious", [[], np.zeros((2, 3))])
def test_a_session_needs_clicks(ious):
    with pytest.raises(DataError, match="one or more"):
        clicks_to_reach(ious, 0.9)


@given(few)
@settings(max_examples=60, deadline=None)
def test_ranks_agree_as_scipy_says_with_ties(pairs):
    scores, ious = np.array(pairs, float).T
    if np.ptp(scores) == 0 or np.ptp(ious) == 0:
        assert math.isnan(rank_agreement(scores, ious))
    else:
        assert rank_agreement(scores, ious) == pytest.approx(spearmanr(scores, ious).statistic, abs=1e-12)


def test_only_the_order_of_scores_matters():
    ious = np.random.default_rng(0).random(30)
    assert rank_agreement(np.exp(5 * ious), ious) == pytest.approx(1)
    assert rank_agreement(-(ious**3), ious) == pytest.approx(-1)


def test_one_mask_has_no_rank():
    assert math.isnan(rank_agreement([0.5], [0.5]))
    assert math.isnan(rank_agreement([], []))


def test_scores_and_overlaps_must_belong_together():
    with pytest.raises(DataError, match="every mask needs a score"):
        rank_agreement([0.1, 0.2], [0.1, 0.2, 0.3])
    with pytest.raises(DataError, match="NaN"):
        rank_agreement([0.1, float("nan")], [0.1, 0.2])


def test_a_summary_of_a_hundred_values():
    values = np.random.default_rng(0).permutation(100) / 100
    found = summary(values)
    assert isinstance(found, Summary)
    assert [found.mean, found.median, found.worst_decile] == pytest.approx([0.495, 0.495, 0.045])


@pytest.mark.parametrize(("n", "worst"), [(1, 0.0), (9, 0.0), (14, 0.0), (15, 0.5), (30, 1.0)])
def test_the_worst_decile_is_a_tenth_rounded_but_never_nothing(n, worst):
    assert summary(np.arange(n)).worst_decile == worst


def test_nothing_cannot_be_summarised():
    with pytest.raises(DataError, match="no IoU"):
        summary([])
