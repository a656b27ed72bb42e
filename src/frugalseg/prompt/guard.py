"""The guard: how far each class of a generalist's labels is to be trusted, judged by what experts have drawn.

A label is worth learning from where it is better than what the learner already knows. So on every voxel that an expert
has drawn and the generalist says something of, its label is compared with the teacher's own prediction, class by class,
by Dice D over all cases together, because a single plane may hold a few voxels of a class. Each voxel counts with the
weight that it has in the loss:

    floor:    (D(generalist) - floor) / 0.1, on all cases
    spared:   s = (D(generalist) - D(teacher)) / max(1 - D(teacher), 0.05), on n held-out cases, each counted as far as
              the generalist speaks of what was drawn there: the part of the teacher's errors that the labels spare
    credit:   s0 = credit (D(generalist) - 0.85) / 0.1, cut to 0..credit, on all cases
    weight:   (n s + s0) / (n + 1) / spared, or the floor's if that is smaller, cut to 0..1; none below 0.5

Labels that are half wrong teach nothing good, not even a teacher that does not see the class yet: what it then takes
for background it will never see. So there is a floor. Labels that are hardly better than the teacher have nothing to
teach it either, for it goes on learning and they do not: they must spare some of its errors. One odd scan says little
of the others; so labels that follow the experts closely have some credit beforehand, which counts as one case. Where
nobody can compare them, that is all they have. A weight below one half is none: a few planes say as little by chance,
and the class would be taught away by what the generalist calls background while its own labels hardly count.

Which comparison is honest. The expert's planes have shaped the teacher, its predictions there are learnt by heart, and
it is the teacher whose prompts the generalist answers.

- Held out: cases that neither trained the teacher nor lent their planes to the prototypes behind the prompts
  (cases that it has not been trained on yet). Both sides are then what they are on cases that nobody has drawn, so
  only there are they compared with each other.
- Seen: the planes that the teacher was trained on. Its Dice there says nothing of other scans, so "worse than the
  teacher" would throw away labels that help elsewhere. But the prompts are nowhere better than there: a class that is
  bad with such prompts is bad everywhere. They and the held-out ones together are held against the floor, and give
  credit.

In both, the generalist's label must be the one without the expert's planes written over it.

A class that was drawn, but of which the generalist says hardly anything there, has no weight: nobody knows how good the
rest is. And a generalist cannot be blamed for what nobody pointed at: a class without weight of which the teacher sees
less than the floor is not settled, nor is one that no held-out case shows; it should be asked about and judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, UInt8
from pydantic import Field

from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError
from frugalseg.prompt.fusion import PseudoLabel
from frugalseg.settings import Settings

FLOOR_RAMP = 0.1
"""Dice above the floor at which the floor takes no weight any more."""

LEAST_ERROR = 0.05
"""1 - Dice of the teacher below which a part of its errors is not told any more."""

LEAST_WEIGHT = 0.5
"""Less is nothing."""

CLOSE = (0.85, 0.95)
"""Dice of labels without credit, and of labels with all of it: about what experts have among themselves."""


class GuardSettings(Settings):
    """How strict the guard is; all ours, GM-ABS has none."""

    floor: float = Field(0.5, ge=0, le=1)  # Dice at which no case leaves any weight
    spared: float = Field(0.1, gt=0, le=1)  # part of the teacher's errors that labels of whole weight spare
    credit: float = Field(0.3, ge=0, le=1)  # what labels that follow the experts closely are thought to spare before
    least_covered: float = Field(0.1, ge=0, le=1)  # of what was drawn of a class must be spoken of to judge it


@dataclass(frozen=True, eq=False)
class Examined:
    """A drawn case: what the expert drew (`UNKNOWN` elsewhere), the generalist said, and the teacher predicts."""

    case: str
    expert: UInt8[np.ndarray, "*space"]
    said: PseudoLabel
    teacher: UInt8[np.ndarray, "*space"]
    is_held_out: bool


@dataclass(frozen=True)
class ClassVerdict:
    """What was found for one class, on the voxels where expert and generalist both say something.

    `generalist_dice` is that on all cases; `held_out` are the generalist's and the teacher's on the held-out cases on
    which an expert has drawn the class, None where there is none or the generalist says hardly anything there.
    `covered` is the part of the expert's voxels of the class that the generalist says something of. Where neither
    drawing nor label has the class the Dice is None, nothing speaks against it, and the weight is 1. A verdict is
    `settled` where held-out cases have spoken: for the class by the comparison, against it by a teacher that sees the
    class there.
    """

    value: int
    generalist_dice: float | None
    held_out: tuple[float, float] | None
    covered: float
    weight: float
    settled: bool


@dataclass(frozen=True)
class Verdict:
    """The verdicts on the object classes, in their order; the held-out cases they rest on, or else all of them."""

    basis: Literal["held-out", "seen", "nothing"]
    cases: tuple[str, ...]
    classes: tuple[ClassVerdict, ...]

    @property
    def weights(self) -> Float64[np.ndarray, " C"]:
        """The weight of each class; 1 for the background."""
        return np.array([1.0, *(c.weight for c in self.classes)])


def judged(examined: Sequence[Examined], n_classes: int, settings: GuardSettings | None = None) -> Verdict:
    """The verdict on a generalist's labels; without any case nothing is held against them."""
    settings = settings or GuardSettings()
    held_out = [e for e in examined if e.is_held_out]
    chosen = sorted(held_out or examined, key=lambda e: e.case)
    basis: Literal["held-out", "seen", "nothing"] = "held-out" if held_out else "seen" if chosen else "nothing"
    for e in examined:
        if not e.expert.shape == e.said.label.shape == e.teacher.shape:
            raise DataError(f"{e.case}: what was drawn, said and predicted must have one shape to be compared")
    classes = [_verdict(examined, c, settings) for c in range(1, n_classes)]
    return Verdict(basis, tuple(e.case for e in chosen), tuple(classes))


def _verdict(examined: Sequence[Examined], value: int, settings: GuardSettings) -> ClassVerdict:
    everywhere = _Counts.of(examined, value)
    show_it = [e for e in examined if e.is_held_out and (e.expert == value).any()]
    there = _Counts.of(show_it, value)
    held_out = (there.mine, there.its) if there.mine is not None and there.covered >= settings.least_covered else None
    n = sum(_Counts.of([e], value).covered for e in show_it) if held_out is not None else 0.0
    weight = _weight(everywhere, held_out, n, settings)
    settled = bool(show_it) and (held_out is not None if weight > 0 else there.seen >= settings.floor)
    return ClassVerdict(value, everywhere.mine, held_out, everywhere.covered, weight, settled)


def _weight(everywhere: "_Counts", held_out: tuple[float, float] | None, n: float, settings: GuardSettings) -> float:
    if everywhere.is_drawn and everywhere.covered < settings.least_covered:
        return 0.0
    if everywhere.mine is None:
        return 1.0
    mine, its = held_out or (0.0, 0.0)
    spared = (mine - its) / max(1 - its, LEAST_ERROR)
    credit = settings.credit * np.clip((everywhere.mine - CLOSE[0]) / (CLOSE[1] - CLOSE[0]), 0, 1)
    above_floor = (everywhere.mine - settings.floor) / FLOOR_RAMP
    weight = float(np.clip(min(above_floor, (n * spared + credit) / (n + 1) / settings.spared), 0, 1))
    return weight if weight >= LEAST_WEIGHT else 0.0


@dataclass(frozen=True)
class _Counts:
    """Dice of the generalist (None: nobody has the class) and of the teacher where the generalist speaks; how much of
    the class it covers; the teacher's Dice on all that the expert knows; whether an expert has drawn the class.
    """

    mine: float | None
    its: float
    covered: float
    seen: float
    is_drawn: bool

    @classmethod
    def of(cls, examined: Sequence[Examined], value: int) -> "_Counts":
        counts = np.sum([_counts(e, value) for e in examined], 0) if examined else np.zeros(8)
        both, said, teacher_both, teacher, drawn, drawn_all, found_all, teacher_all = (float(x) for x in counts)
        return cls(
            2 * both / (said + drawn) if said + drawn else None,
            2 * teacher_both / (teacher + drawn) if teacher + drawn else 1.0,
            drawn / drawn_all if drawn_all else 0.0,
            2 * found_all / (teacher_all + drawn_all) if teacher_all + drawn_all else 1.0,
            drawn_all > 0,
        )


def _counts(e: Examined, value: int) -> np.ndarray:
    """Of the class: weights of the voxels where the generalist speaks, then numbers of all that the expert knows.

    Both, said, drawn and predicted, predicted, drawn; drawn, drawn and predicted, predicted.
    """
    known = e.expert != UNKNOWN
    w = np.where(known, e.said.weight.astype(np.float64), 0)
    drawn, said, teacher = (a == value for a in (e.expert, e.said.label, e.teacher))
    weights = [(w * m).sum() for m in (drawn & said, said, drawn & teacher, teacher, drawn)]
    return np.array([*weights, *(np.count_nonzero(m) for m in (drawn, drawn & teacher, known & teacher))])


def guarded(said: PseudoLabel, asked: UInt8[np.ndarray, "*space"], weights: Float64[np.ndarray, " C"]) -> PseudoLabel:
    """A label with each voxel weighted by the trust in its class, or in the class that was asked for there if lower.

    For where a bad class was asked for, what was answered instead, background too, is no better. Voxels without any
    weight become `UNKNOWN`.
    """
    table = np.ones(256)
    table[: len(weights)] = weights
    weight = (said.weight * np.minimum(table[said.label], table[asked])).astype(np.float16)
    return PseudoLabel(np.where(weight > 0, said.label, np.uint8(UNKNOWN)), weight)
