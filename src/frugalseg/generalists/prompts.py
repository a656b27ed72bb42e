"""Prompts as data: what a user or a program says about the object he means."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from frugalseg.errors import DataError
from frugalseg.generalists.frame import Window

PromptKind = Literal["points", "boxes", "masks"]

OBJECT, BACKGROUND, PADDING = 1, 0, -1


@dataclass(frozen=True, eq=False)
class Prompts:
    """P prompts for one image, each naming one object; coordinates are array indices (row, col) of pixel centres.

    `points` (P, N, 2) with `labels` (P, N): 1 lies on the object, 0 beside it, -1 is padding; N may be 0.
    `boxes` (P, 4) or None: first row, first column, last row, last column, both belonging to the box.
    `masks` (P, h, w) or None: logits of a rough mask that cover the whole image at any resolution.
    Raises `DataError` for shapes that do not fit each other, unknown labels or an empty prompt.
    """

    points: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray | None = None
    masks: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = self.points.shape[0] if self.points.ndim else 0
        if self.points.ndim != 3 or self.points.shape[2] != 2 or self.labels.shape != self.points.shape[:2]:
            raise DataError(
                f"points must have shape (P, N, 2) and labels (P, N), not {self.points.shape} and {self.labels.shape}"
            )
        if not np.isin(self.labels, (OBJECT, BACKGROUND, PADDING)).all():
            raise DataError(
                f"point labels are 1 (object), 0 (background) or -1 (padding), not {np.unique(self.labels)}"
            )
        given = [self.points, *(a for a in (self.boxes, self.masks) if a is not None)]
        if not all(np.isfinite(a).all() for a in given):
            raise DataError("a coordinate or a mask of the prompts is not a finite number")
        if self.boxes is not None and self.boxes.shape != (n, 4):
            raise DataError(f"boxes must have shape ({n}, 4): first row, first column, last row, last column")
        if self.boxes is not None and not (self.boxes[:, :2] <= self.boxes[:, 2:]).all():
            raise DataError("a box must name its upper left before its lower right pixel: (row, col, row, col)")
        if self.masks is not None and (self.masks.ndim != 3 or len(self.masks) != n):
            raise DataError(f"masks must have shape ({n}, h, w), not {self.masks.shape}")
        if self.masks is not None and self.masks.dtype.kind != "f":
            raise DataError(f"masks must be logits as floats, not {self.masks.dtype}; Prompts.at takes booleans too")
        if n and self.boxes is None and self.masks is None and not (self.labels != PADDING).any(1).all():
            raise DataError("a prompt without points needs a box or a mask")

    @classmethod
    def at(
        cls,
        points: Sequence[Any] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        *,
        box: Sequence[float] | np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> "Prompts":
        """One prompt: points (N, 2) with labels (N; all on the object by default), a box, a rough mask."""
        where = _rows(points, "points (row, col)", 2)
        what = np.full(len(where), OBJECT) if labels is None else np.asarray(labels).reshape(-1)
        return cls(
            where[None],
            what[None],
            None if box is None else _rows(box, "boxes (row, col, row, col)", 4),
            None if mask is None else _as_logits(mask)[None],
        )

    @classmethod
    def in_boxes(cls, boxes: Sequence[Any] | np.ndarray) -> "Prompts":
        """A prompt for each box (P, 4)."""
        boxes = _rows(boxes, "boxes (row, col, row, col)", 4)
        return cls(np.zeros((len(boxes), 0, 2), np.float32), np.zeros((len(boxes), 0), np.int8), boxes)

    @classmethod
    def join(cls, prompts: Iterable["Prompts"]) -> "Prompts":
        """All prompts behind each other; points are padded to the longest. All or none have boxes, and masks."""
        parts = list(prompts)
        if not parts:
            return cls.in_boxes([])
        if len({(p.boxes is None, None if p.masks is None else p.masks.shape[1:]) for p in parts}) > 1:
            raise DataError("prompts with and without boxes or masks cannot be joined; decode them one after the other")
        most = max(p.labels.shape[1] for p in parts)
        return cls(
            np.concatenate([_pad(p.points, most, 0.0) for p in parts]),
            np.concatenate([_pad(p.labels, most, PADDING) for p in parts]),
            None if parts[0].boxes is None else np.concatenate([p.boxes for p in parts if p.boxes is not None]),
            None if parts[0].masks is None else np.concatenate([p.masks for p in parts if p.masks is not None]),
        )

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, which: slice | np.ndarray | Sequence[int]) -> "Prompts":
        """The prompts of a slice or of an array of indices."""
        chosen = which if isinstance(which, slice) else np.asarray(which)
        return Prompts(
            self.points[chosen],
            self.labels[chosen],
            None if self.boxes is None else self.boxes[chosen],
            None if self.masks is None else self.masks[chosen],
        )

    def alike(self) -> "list[tuple[np.ndarray, Prompts]]":
        """Groups of prompts with the same number of points, without padding, and which ones (indices) they are.

        Networks see padding too, so a prompt's answer would depend on its company.
        """
        counts = (self.labels != PADDING).sum(1)
        groups = []
        for n in np.unique(counts):
            members = np.flatnonzero(counts == n)
            order = np.argsort(self.labels[members] == PADDING, axis=1, kind="stable")[:, :n]
            rows = members[:, None]
            part = replace(self[members], points=self.points[rows, order], labels=self.labels[rows, order])
            groups.append((members, part))
        return groups

    def within(self, window: Window) -> "Prompts":
        """The same without the background points that lie outside of a window: there nothing is the object anyway."""
        first, past = np.array(window[:2]) - 0.5, np.array(window[2:]) - 0.5
        is_outside = ((self.points < first) | (self.points >= past)).any(2) & (self.labels == BACKGROUND)
        return replace(self, labels=np.where(is_outside, PADDING, self.labels))

    @property
    def kinds(self) -> set[PromptKind]:
        """What the prompts are made of."""
        kinds: set[PromptKind] = set()
        if (self.labels != PADDING).any():
            kinds.add("points")
        if self.boxes is not None:
            kinds.add("boxes")
        if self.masks is not None:
            kinds.add("masks")
        return kinds


def _rows(values: Sequence[Any] | np.ndarray, what: str, width: int) -> np.ndarray:
    """Rows of that many numbers; one row may come without its outer brackets."""
    rows = np.asarray(values, np.float32)
    if rows.size == 0 or rows.shape == (width,):
        return rows.reshape(-1, width)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise DataError(f"{what} have {width} numbers each, but an array of shape {rows.shape} was given")
    return rows


def _pad(array: np.ndarray, n: int, value: float) -> np.ndarray:
    width = [(0, 0), (0, n - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, width, constant_values=value)


def _as_logits(mask: np.ndarray) -> np.ndarray:
    """A boolean mask as logits of +-8, logits as they are."""
    mask = np.asarray(mask)
    if mask.dtype.kind == "b":
        return np.where(mask, 8.0, -8.0).astype(np.float32)
    return mask.astype(np.float32)
