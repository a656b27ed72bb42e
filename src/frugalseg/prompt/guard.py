"""The guard: how far each class of a generalist's labels is to be trusted, judged by what experts have drawn.

On every voxel that an expert has drawn and the generalist says something of, its label, without the expert's planes
written over it, is compared with the expert's, class by class, by Dice D over all drawn cases together, because a
single plane may hold a few voxels of a class. Each voxel counts with the weight that it has in the loss:

    weight:   (D - floor) / 0.1, cut to 0..1; none below 0.1

The teacher has learnt these planes by heart, so nowhere are the prompts better than there: a class whose labels are
bad with such prompts is bad everywhere. Labels that are half wrong teach nothing good, not even a teacher that does
not see the class yet: what it then takes for background it will never see. A weight that is almost none is none: the
class would be taught away by what the generalist calls background, and its own labels would hardly count.

The teacher's own Dice says nothing there. Only cases that nobody has learnt from could tell whether the labels are
better than the teacher, and keeping some of the few from it costs more than they tell (docs/methods/gmabs.md).

A class that was drawn, but of which the generalist says hardly anything there, has no weight: nobody knows how good the
rest is. And a generalist cannot be blamed for what nobody pointed at: a class without weight of which the teacher sees
less than the floor is not settled; it should be asked about and judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8
from pydantic import Field

from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError
from frugalseg.prompt.fusion import PseudoLabel
from frugalseg.settings import Settings

RAMP = 0.1
"""Dice above the floor at which labels have their whole weight."""

LEAST_WEIGHT = 0.1
"""Less is nothing."""


class GuardSettings(Settings):
    """How strict the guard is; all ours, GM-ABS has none."""

    floor: float = Field(0.5, ge=0, le=1)  # Dice with the experts up to which labels have no weight
    least_covered: float = Field(0.1, ge=0, le=1)  # of what was drawn of a class must be spoken of to judge it


@dataclass(frozen=True, eq=False)
class Examined:
    """A drawn case: what the expert drew (`UNKNOWN` elsewhere), the generalist said, and the teacher predicts."""

    case: str
    expert: UInt8[np.ndarray, "*space"]
    said: PseudoLabel
    teacher: UInt8[np.ndarray, "*space"]


@dataclass(frozen=True)
class ClassVerdict:
    """What was found for one class, on the voxels where expert and generalist both say something.

    `covered` is the part of the expert's voxels of the class that the generalist says something of. Where neither
    drawing nor label has the class the Dice is None, nothing speaks against it, and the weight is 1. A verdict against
    a class that the teacher sees is `settled`.
    """

    value: int
    generalist_dice: float | None
    covered: float
    weight: float
    settled: bool


@dataclass(frozen=True)
class Verdict:
    """The verdicts on the object classes, in their order, and the cases they rest on."""

    cases: tuple[str, ...]
    classes: tuple[ClassVerdict, ...]

    @property
    def weights(self) -> Float64[np.ndarray, " C"]:
        """The weight of each class; 1 for the background."""
        return np.array([1.0, *(c.weight for c in self.classes)])


def judged(examined: Sequence[Examined], n_classes: int, settings: GuardSettings | None = None) -> Verdict:
    """The verdict on a generalist's labels; without any case nothing is held against them."""
    settings = settings or GuardSettings()
    for e in examined:
        if not e.expert.shape == e.said.label.shape == e.teacher.shape:
            raise DataError(f"{e.case}: what was drawn, said and predicted must have one shape to be compared")
    classes = [_verdict(examined, c, settings) for c in range(1, n_classes)]
    return Verdict(tuple(sorted(e.case for e in examined)), tuple(classes))


def _verdict(examined: Sequence[Examined], value: int, settings: GuardSettings) -> ClassVerdict:
    counts = np.sum([_counts(e, value) for e in examined], 0) if examined else np.zeros(6)
    both, said, drawn, drawn_all, found_all, teacher_all = (float(x) for x in counts)
    dice = 2 * both / (said + drawn) if said + drawn else None
    covered = drawn / drawn_all if drawn_all else 0.0
    seen = 2 * found_all / (teacher_all + drawn_all) if teacher_all + drawn_all else 1.0
    weight = _weight(dice, settings) if covered >= settings.least_covered or not drawn_all else 0.0
    return ClassVerdict(value, dice, covered, weight, weight == 0 and seen >= settings.floor)


def _weight(dice: float | None, settings: GuardSettings) -> float:
    if dice is None:
        return 1.0
    weight = float(np.clip((dice - settings.floor) / RAMP, 0, 1))
    return weight if weight >= LEAST_WEIGHT else 0.0


def _counts(e: Examined, value: int) -> np.ndarray:
    """Of the class: weights of the voxels where the generalist speaks, then numbers of all that the expert knows.

    Both, said, drawn; drawn, drawn and predicted, predicted.
    """
    known = e.expert != UNKNOWN
    w = np.where(known, e.said.weight.astype(np.float64), 0)
    drawn, said, teacher = (a == value for a in (e.expert, e.said.label, e.teacher))
    weights = [(w * m).sum() for m in (drawn & said, said, drawn)]
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
