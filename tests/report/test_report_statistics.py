import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from frugalseg.errors import DataError
from frugalseg.report.statistics import paired_difference, summarise

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=8)


@given(numbers)
@settings(max_examples=30, deadline=None)
def test_a_summary_has_the_sample_standard_deviation(values):
    summary = summarise(values)
    assert summary.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert summary.std == pytest.approx(statistics.stdev(values), abs=1e-9)
    assert summary.per_seed == tuple(values)


def test_one_seed_has_no_spread():
    assert summarise([0.5]).std == 0.0


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")]])
def test_what_is_no_number_is_not_summarised(values):
    with pytest.raises(DataError, match="finite numbers"):
        summarise(values)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=8))
@settings(max_examples=30, deadline=None)
def test_the_interval_is_that_of_the_paired_t_test(pairs):
    a, b = np.array(pairs, float).T / 10
    if np.ptp(a - b) < 1e-9:
        return
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    found = paired_difference(list(a), list(b))
    assert found.difference == pytest.approx(np.mean(a - b), abs=1e-9)
    assert found.interval == pytest.approx((low, high), abs=1e-9)
    assert found.is_noise == (low <= 0 <= high)


def test_one_seed_shows_no_difference():
    found = paired_difference([0.9], [0.1])
    assert found.interval is None
    assert found.is_noise


def test_the_same_gap_in_every_seed_is_a_difference_unless_it_is_none():
    assert not paired_difference([0.5, 0.75], [0.25, 0.5]).is_noise
    assert paired_difference([0.5, 0.7], [0.5, 0.7]).is_noise


def test_arms_with_other_numbers_of_seeds_are_not_compared():
    with pytest.raises(DataError, match="one has 2 values and the other 1"):
        paired_difference([1, 2], [1])
