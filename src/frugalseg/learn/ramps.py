"""Numbers that change with the step: ramps for weights, factors for the learning rate. Pure functions of the step."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType


def ramp_up(step: int, length: int) -> float:
    """A weight that grows from exp(-5) to 1 as exp(-5 (1 - t)^2), t = step / length; 1 from `length` on, or if it is 0.

    The sigmoid-shaped ramp of mean-teacher training (Laine & Aila 2017, Tarvainen & Valpola 2017).
    """
    return math.exp(-5 * (1 - linear(step, length)) ** 2)


def linear(step: int, length: int) -> float:
    """Grows from 0 to 1 in a straight line; 1 from `length` on, or if it is 0."""
    return min(step / length, 1.0) if length > 0 else 1.0


def poly(step: int, steps: int) -> float:
    """Falls from 1 to 0 as (1 - step / steps)^0.9, the schedule of nnU-Net (Isensee et al. 2021)."""
    return float((1 - linear(step, steps)) ** 0.9)


def cosine(step: int, steps: int) -> float:
    """Falls from 1 to 0 along half a cosine (Loshchilov & Hutter 2017)."""
    return (1 + math.cos(math.pi * linear(step, steps))) / 2


def constant(step: int, steps: int) -> float:
    """Always 1."""
    return 1.0


SCHEDULES: Mapping[str, Callable[[int, int], float]] = MappingProxyType(
    {"poly": poly, "cosine": cosine, "constant": constant}
)


def learning_rate_factor(schedule: str, step: int, *, steps: int, warmup: int, drops: Sequence[int] = ()) -> float:
    """The factor of the learning rate in (0, 1] for steps 0..steps-1; the first `warmup` steps rise in a line.

    From each of the steps in `drops` on it is a tenth of what it was; a step named twice makes it a hundredth.
    """
    tenths = sum(step >= drop for drop in drops)
    return SCHEDULES[schedule](step, steps) * linear(step + 1, warmup) / 10.0**tenths
