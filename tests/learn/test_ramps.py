import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalseg.learn.ramps import SCHEDULES, learning_rate_factor, linear, ramp_up

lengths = st.integers(1, 10_000)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0067), (1000, 0.0310), (4000, 0.5738), (6000, 1), (9000, 1)])
def test_ramp_up_has_the_values_of_the_family(step: int, expected: float) -> None:
    assert ramp_up(step, 6000) == pytest.approx(expected, abs=5e-5)


@given(lengths, st.integers(0, 20_000), st.integers(0, 20_000))
def test_ramps_rise_and_end_at_one(length: int, a: int, b: int) -> None:
    for ramp in (ramp_up, linear):
        assert ramp(min(a, b), length) <= ramp(max(a, b), length) <= 1
        assert ramp(length, length) == 1


def test_ramps_of_length_zero_are_one_at_once() -> None:
    assert ramp_up(0, 0) == linear(0, 0) == 1


@pytest.mark.parametrize("name", ["poly", "cosine"])
def test_schedules_fall_from_one_to_zero(name: str) -> None:
    values = [SCHEDULES[name](step, 50) for step in range(51)]
    assert values[0] == 1
    assert values[-1] == pytest.approx(0)
    assert values == sorted(values, reverse=True)


@given(st.sampled_from(sorted(SCHEDULES)), lengths, st.integers(0, 500), st.data())
def test_the_learning_rate_is_never_zero_within_the_run(
    name: str, steps: int, warmup: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, steps - 1))
    assert 0 < learning_rate_factor(name, step, steps=steps, warmup=warmup) <= 1


def test_warmup_rises_in_a_line() -> None:
    values = [learning_rate_factor("constant", step, steps=100, warmup=4) for step in range(6)]
    assert values == [0.25, 0.5, 0.75, 1, 1, 1]


def test_poly_is_the_schedule_of_nnunet() -> None:
    assert learning_rate_factor("poly", 300, steps=1000, warmup=0) == pytest.approx(math.pow(0.7, 0.9))


@given(st.lists(st.integers(0, 60), max_size=4), st.integers(0, 80))
def test_drops_are_the_steps_of_torch(drops: list[int], step: int) -> None:
    expected = math.prod(0.1 for drop in drops if step >= drop)
    assert learning_rate_factor("constant", step, steps=100, warmup=0, drops=drops) == pytest.approx(expected)
    poly = learning_rate_factor("poly", step, steps=100, warmup=0)
    assert learning_rate_factor("poly", step, steps=100, warmup=0, drops=drops) == pytest.approx(poly * expected)
