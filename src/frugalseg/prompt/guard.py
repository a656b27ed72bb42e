"""The guard: how far each class of a generalist's labels is to be trusted, judged by what experts have drawn.

A label is worth learning from where it is better than what the learner already knows. So on every voxel that an expert
has drawn and the generalist says something of, its label is compared with the teacher's own prediction, class by class:

    weight = (Dice of the generalist - low) / (top - low), cut to 0..1

`low` is a floor, for labels that are half wrong teach nothing good, not even a teacher that does not see the class yet:
what it then takes for background it will never see. `top` is the teacher's Dice, but twice the margin above the floor
at least. The Dice counts each voxel with the weight that it has in the loss, over all cases together, because a single
plane may hold a few voxels of a class.

Which comparison is honest. The expert's planes have shaped the teacher, its predictions there are learnt by heart, and
it is the teacher whose prompts the generalist answers.

- Held out: cases that neither trained the teacher nor lent their planes to the prototypes behind the prompts
  (validation cases, or cases drawn since the teacher was trained). Both sides are then what they are on cases that
  nobody has drawn, and `low` is not below the teacher's Dice less the margin. Of a class that is drawn on such cases
  only they count.
- Seen: the planes that the teacher was trained on. Its Dice there says nothing of other scans, so "worse than the
  teacher" would throw away labels that help elsewhere. But the prompts are nowhere better than there, so the
  generalist's Dice is the most that can be hoped for: a class that is bad with such prompts is bad everywhere. `low` is
  the floor alone.

A generalist cannot be blamed for what nobody pointed at: a class of which its labels are bad, but of which the teacher
sees less than the floor, has no weight for now and is not settled; it should be asked about and judged again.

In both, the generalist's label must be the one without the expert's planes written over it.
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


class GuardSettings(Settings):
    """How strict the guard is; all ours, GM-ABS has none."""

    margin: float = Field(0.05, gt=0, le=1)  # Dice below the teacher at which held-out cases leave no weight
    floor: float = Field(0.5, ge=0, le=1)  # Dice at which no case leaves any weight


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

    `covered` is the part of the expert's voxels of the class that the generalist says something of. Where neither
    drawing nor label has the class both Dice are None, nothing speaks against it, and the weight is 1. `settled` is
    false where the teacher sees too little of the class for a verdict against it.
    """

    value: int
    generalist_dice: float | None
    teacher_dice: float | None
    covered: float
    weight: float
    settled: bool


@dataclass(frozen=True)
class Verdict:
    """The verdicts on the object classes, in their order, the cases they rest on and of which kind these are.

    On held-out cases, but for classes that none of them shows: those are judged on all.
    """

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
    classes = []
    for c in range(1, n_classes):
        show_it = [e for e in held_out if (e.expert == c).any()]
        classes.append(_verdict(held_out if show_it else examined, c, settings, is_held_out=bool(show_it)))
    return Verdict(basis, tuple(e.case for e in chosen), tuple(classes))


def _verdict(examined: Sequence[Examined], value: int, settings: GuardSettings, *, is_held_out: bool) -> ClassVerdict:
    counts = np.sum([_counts(e, value) for e in examined], 0) if examined else np.zeros(8)
    both, said, teacher_both, teacher, drawn, drawn_all, found_all, teacher_all = (float(x) for x in counts)
    covered = drawn / drawn_all if drawn_all else 0.0
    if said + drawn == 0:
        return ClassVerdict(value, None, None, covered, weight=1.0, settled=True)
    mine, its = 2 * both / (said + drawn), 2 * teacher_both / (teacher + drawn) if teacher + drawn else 1.0
    low = max(settings.floor, its - settings.margin) if is_held_out else settings.floor
    top = max(its, settings.floor + 2 * settings.margin)
    weight = float(np.clip((mine - low) / (top - low), 0, 1))
    is_seen = 2 * found_all >= settings.floor * (teacher_all + drawn_all)
    return ClassVerdict(value, mine, its, covered, weight=weight, settled=weight > 0 or is_seen)


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
