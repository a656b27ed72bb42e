"""Advice on curves of which the truth is known."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.campaign.advice import EXPONENTS, AdviceSettings, Forecast, Measure, advise, fit_power_law, forecast

UNITS = np.array([4.0, 8, 12, 16, 20])
SETTINGS = AdviceSettings()


def law(units, a=0.1, b=0.5, c=1.0):
    return a + b * (units / units[0]) ** -c


def measures(errors, n=10, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return [Measure(u, tuple(e + noise * rng.normal(size=n))) for u, e in zip(UNITS, errors, strict=False)]


@given(st.floats(0, 0.5), st.floats(0, 1), st.sampled_from(EXPONENTS[10:].tolist()))
@settings(max_examples=25, deadline=None)
def test_a_curve_without_noise_is_found_and_continued(a, b, c):
    found = fit_power_law(UNITS, law(UNITS, a, b, c)[None])
    assert found(20.0)[0] == pytest.approx(law(UNITS, a, b, c)[-1], abs=1e-6)
    assert found(40.0)[0] == pytest.approx(a + b * 10.0**-c, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
@settings(max_examples=25, deadline=None)
def test_whatever_was_measured_the_error_never_rises_and_is_never_below_zero(errors):
    found = fit_power_law(UNITS, np.array([errors]))
    path = [found(n)[0] for n in (4, 10, 30, 1000)]
    assert path == sorted(path, reverse=True)
    assert path[-1] >= 0


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_no_curve_on_a_fine_grid_fits_better(seed):
    errors = np.random.default_rng(seed).uniform(0, 1, 5)
    found = fit_power_law(UNITS, errors[None])
    best = sum((found(n)[0] - e) ** 2 for n, e in zip(UNITS, errors, strict=True))
    for c in EXPONENTS[::6]:
        for a in np.linspace(0, 1, 21):
            for b in np.linspace(0, 1, 21):
                assert best <= ((law(UNITS, a, b, c) - errors) ** 2).sum() + 1e-9


def test_the_forecast_of_a_known_curve_is_its_next_step():
    errors = law(np.array([*UNITS, 24.0]))
    found = forecast(measures(errors), now=20, then=24, same=True, rng=np.random.default_rng(0))
    assert found.gain == pytest.approx(errors[4] - errors[5], abs=1e-3)
    assert found.band == pytest.approx((found.gain, found.gain))


def test_the_band_holds_the_next_step_most_of_the_time():
    errors = law(np.array([*UNITS, 24.0]))
    curves = [measures(errors, n=20, noise=0.02, seed=seed) for seed in range(20)]
    bands = [forecast(c, now=20, then=24, same=False, rng=np.random.default_rng(0)).band for c in curves]
    assert sum(low <= errors[4] - errors[5] <= high for low, high in bands) >= 15


def test_patients_measured_in_every_round_are_drawn_together():
    shift = np.linspace(-0.2, 0.2, 10)  # hard and easy patients: large spread that is the same in every round
    curve = [Measure(u, tuple(e + shift)) for u, e in zip(UNITS, law(UNITS, a=0.3), strict=True)]
    bands = [forecast(curve, now=20, then=24, same=s, rng=np.random.default_rng(0)).band for s in (True, False)]
    together, apart = (high - low for low, high in bands)
    assert together < apart / 2


def test_two_points_are_no_curve():
    assert forecast(measures(law(UNITS))[:2], now=8, then=12, same=True, rng=np.random.default_rng(0)) is None


def made(*gains):
    return [None if g is None else Forecast(g, (g / 2, 2 * g)) for g in gains]


@pytest.mark.parametrize(
    ("gains", "agreement", "stop", "words"),
    [
        ((), None, False, "too few rounds"),
        ((None, None), 0.99, False, "too few rounds"),
        ((None, 0.02), 0.99, False, r"go on: the next 4 slices should bring 0\.020 Dice \(0\.010 to 0\.040\)"),
        ((0.02, 0.004), 0.99, False, r"perhaps for the last time: .*less than 0\.005 only now"),
        ((None, 0.004), 0.99, False, "perhaps for the last time"),
        ((0.004, 0.004), 0.97, False, r"agreement of 0\.970 the models still change"),
        ((0.004, 0.004), None, False, "nothing tells whether"),
        ((0.004, 0.004), 0.985, True, r"^stop: .*2 rounds in a row too little.*agree to 0\.985"),
    ],
)
def test_it_says_stop_only_when_little_is_to_gain_twice_and_nothing_changes(gains, agreement, stop, words):
    found, said = advise(made(*gains), agreement, SETTINGS, batch=4)
    assert found is stop
    assert re.search(words, said)


def test_a_curve_that_flattens_is_stopped_in_time():
    errors = law(UNITS, a=0.2, b=0.4, c=3)
    forecasts = [
        forecast(measures(errors)[: k + 1], now=UNITS[k], then=UNITS[k] + 4, same=True, rng=np.random.default_rng(0))
        for k in range(5)
    ]
    stops = [advise(forecasts[: k + 1], 0.99, SETTINGS, batch=4)[0] for k in range(5)]
    assert stops == [False, False, False, False, True]
