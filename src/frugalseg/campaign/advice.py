"""Whether another batch is worth its price: a power law through the budget curve, and a rule. Pure numbers, no files.

The curve must come from labels that cost something (validation cases, or batches measured before they were learnt
from), never from the test set: who stops where the test looks best has chosen on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydantic import Field

from frugalseg.settings import Settings

EXPONENTS = np.geomspace(0.05, 3, 60)
"""Decays that are tried: error falls as n^-c."""

FEWEST = 3
"""Points that a curve of three unknowns needs."""

DRAWS = 500
"""Resampled curves behind a band; ours."""


class AdviceSettings(Settings):
    """When to stop: too little to gain for some rounds in a row, and a model that changes no more."""

    epsilon: float = Field(0.005, gt=0)  # predicted gain of the next batch in Dice below which it is too little
    rounds: int = Field(2, ge=1)  # in a row
    agreement: float = Field(0.98, ge=0, le=1)  # Dice of consecutive models above which they say the same
    cases: int = Field(8, ge=1)  # on which they are compared, drawn from those that nobody has labelled


@dataclass(frozen=True)
class Measure:
    """The error (1 - Dice) of the model of one round by each patient or unit it was measured on, and its budget."""

    units: float
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Forecast:
    """What the next batch will bring in Dice, with its 95 % interval over what the curve was measured on."""

    gain: float
    band: tuple[float, float]


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """B curves: error = a + b (n / n_0)^-c with a, b of 0 or more, so that it never rises."""

    n_0: float
    a: Float[np.ndarray, " B"]
    b: Float[np.ndarray, " B"]
    c: Float[np.ndarray, " B"]

    def __call__(self, n: float) -> Float[np.ndarray, " B"]:
        """The error of each curve at a budget."""
        return np.asarray(self.a + self.b * (n / self.n_0) ** -self.c)


def fit_power_law(units: Float[np.ndarray, " K"], errors: Float[np.ndarray, "B K"]) -> PowerLaw:
    """The curves of least squares: for each exponent the best a and b are known, and the best exponent is taken."""
    x = (units / units[0])[:, None] ** -EXPONENTS  # K C
    mean_x, mean_e = x.mean(0), errors.mean(1)[:, None]
    centred = x - mean_x
    b = (errors @ centred) / (centred**2).sum(0)  # B C
    a = mean_e - b * mean_x
    through_0 = (errors @ x) / (x**2).sum(0)  # the best b where a is 0
    a, b = np.where(a < 0, 0, a), np.where(a < 0, through_0, b)
    a, b = np.where(b < 0, mean_e, a), np.where(b < 0, 0, b)
    left = ((errors[:, :, None] - a[:, None] - b[:, None] * x) ** 2).sum(1)
    best = left.argmin(1)
    rows = np.arange(len(errors))
    return PowerLaw(float(units[0]), a[rows, best], b[rows, best], EXPONENTS[best])


def forecast(
    curve: Sequence[Measure], *, now: float, then: float, same: bool, rng: np.random.Generator
) -> Forecast | None:
    """What going from the budget `now` to `then` will bring; None where the curve has fewer than three points.

    `same` says that every point was measured on the same patients, which are then drawn together.
    """
    if len(curve) < FEWEST:
        return None
    units = np.array([m.units for m in curve], np.float64)
    law = fit_power_law(units, np.array([[np.mean(m.errors) for m in curve]]))
    drawn = fit_power_law(units, _resampled([np.array(m.errors) for m in curve], same, rng))
    low, high = np.quantile(drawn(now) - drawn(then), [0.025, 0.975])
    return Forecast(float((law(now) - law(then))[0]), (float(low), float(high)))


def _resampled(errors: Sequence[np.ndarray], same: bool, rng: np.random.Generator) -> Float[np.ndarray, "B K"]:
    if same:
        together = np.stack(errors, axis=1)  # patients, K
        return np.asarray(together[rng.integers(len(together), size=(DRAWS, len(together)))].mean(1))
    return np.stack([e[rng.integers(len(e), size=(DRAWS, len(e)))].mean(1) for e in errors], axis=1)


def advise(
    forecasts: Sequence[Forecast | None], agreement: float | None, settings: AdviceSettings, *, batch: int
) -> tuple[bool, str]:
    """Whether to stop, and a sentence; `forecasts` are those of all rounds up to now, `batch` slices come next."""
    last = forecasts[-1] if forecasts else None
    if last is None:
        return False, f"go on: too few rounds for a prediction, which needs {FEWEST} points of the curve"
    low, high = last.band
    brings = f"the next {batch} slices should bring {last.gain:.3f} Dice ({low:.3f} to {high:.3f})"
    if last.gain >= settings.epsilon:
        return False, f"go on: {brings}"
    recent = forecasts[-settings.rounds :]
    if len(recent) < settings.rounds or any(f is None or f.gain >= settings.epsilon for f in recent):
        return False, f"go on, perhaps for the last time: {brings}, less than {settings.epsilon:g} only now"
    if agreement is None or agreement <= settings.agreement:
        known = "nothing tells whether" if agreement is None else f"with an agreement of {agreement:.3f}"
        return False, f"go on: {brings}, but {known} the models still change"
    return True, f"stop: {brings}, {settings.rounds} rounds in a row too little, and models agree to {agreement:.3f}"
