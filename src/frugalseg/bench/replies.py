"""What many replies are worth together: overlaps, clicks that were needed, how well scores rank, the worst objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frugalseg.bench.asking import REPORTED, SHOWN, Asked, Reply
from frugalseg.metrics.interaction import clicks_to_reach, rank_agreement, summary

LEVELS = {"noc80": 0.80, "noc90": 0.90}
"""Overlaps to be reached by clicks."""

IN_DETAIL = ("iou_box", "iou_strokes", "iou_3", "iou_5")
"""Overlaps of which the median, the worst decile and each class are told too."""


@dataclass(frozen=True)
class Report:
    """Which classes there are (value -> name), and how many clicks a user made at most."""

    classes: Mapping[int, str]
    max_clicks: int

    def metrics(self, asked: Sequence[Asked]) -> dict[str, float]:
        """The metrics of one arm over all objects and users; those that it cannot have are left out.

        A user who had nothing to correct keeps his last overlap for all later clicks.
        """
        found: dict[str, float] = {"objects": float(len(asked))}
        for key, values in self._overlaps(asked).items():
            told = summary(values)
            found[key] = told.mean
            if key in IN_DETAIL:
                found |= {f"{key}_median": told.median, f"{key}_worst10": told.worst_decile}
        for key, level in LEVELS.items():
            counts = [self._clicks(replies, level) for one in asked for replies in one.clicks.values()]
            found |= {key: float(np.mean(counts))} if counts else {}
        found |= self._by_class(asked) if len(self.classes) > 1 else {}
        every = [reply for one in asked for reply in replies_of(one)]
        rank = rank_agreement([reply.score for reply in every], [reply.iou for reply in every])
        return found | ({"score_rank": rank} if np.isfinite(rank) else {})

    def _overlaps(self, asked: Sequence[Asked]) -> dict[str, list[float]]:
        """Each overlap that was measured: one value an object, or an object and user."""
        measured: dict[str, Callable[[Asked], list[float]]] = {
            "iou_box": lambda one: [] if one.box is None else [one.box.iou],
            "iou_strokes": lambda one: [reply.iou for reply in one.strokes.values()],
            **{f"iou_{k}": _after(k) for k in REPORTED if k <= self.max_clicks},
        }
        values = {key: [value for one in asked for value in of(one)] for key, of in measured.items()}
        return {key: found for key, found in values.items() if found}

    def _by_class(self, asked: Sequence[Asked]) -> dict[str, float]:
        found: dict[str, float] = {}
        for value, name in self.classes.items():
            overlaps = self._overlaps([one for one in asked if one.target.value == value])
            found |= {f"{key}_{name}": float(np.mean(overlaps[key])) for key in IN_DETAIL if key in overlaps}
        return found

    def _clicks(self, replies: Sequence[Reply], level: float) -> int:
        return clicks_to_reach([reply.iou for reply in replies], level, most=self.max_clicks)


def replies_of(one: Asked) -> list[Reply]:
    """Every reply about an object."""
    clicks = [reply for replies in one.clicks.values() for reply in replies]
    return [*([] if one.box is None else [one.box]), *one.strokes.values(), *clicks]


def quality(one: Asked) -> float:
    """One number for how well an object went: the mean overlap of its box and of what each user has after 3 clicks."""
    box = [] if one.box is None else [one.box.iou]
    return float(np.mean([*box, *_after(SHOWN)(one)]))


def _after(clicks: int) -> Callable[[Asked], list[float]]:
    def overlaps(one: Asked) -> list[float]:
        return [replies[min(clicks, len(replies)) - 1].iou for replies in one.clicks.values()]

    return overlaps
