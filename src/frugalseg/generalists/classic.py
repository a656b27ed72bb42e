"""The generalist without weights: outlines around clicks, ellipses in boxes, then colours and a random walker.

A prompt gives a first guess of the object: a box the ellipse in it, a rough mask itself, clicks alone three outlines of
different size with the highest contrast (`contours`). Each guess is then refined as GrabCut does it (Rother et al.
2004), with the random walker (`walker`) in place of the graph cut: the colours of both sides are learnt from the guess,
and the walker finds the border that colours, edges, guess and clicks agree on. It has learnt nothing, so it is what
every generalist must beat; it needs no files, so it is the stand-in in tests.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from frugalseg.errors import DataError
from frugalseg.generalists.contours import outlines
from frugalseg.generalists.frame import Frame, fit_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View, check_prompts
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.pixels import to_rgb
from frugalseg.generalists.prompts import OBJECT, PADDING, Prompts
from frugalseg.generalists.walker import SURE, Scene, scene_of, walk

SIDES = (64, 128, 256)
"""Working sides in pixels: the smallest one that the view fits into, or the last."""

CANDIDATES = 3
"""Masks for a prompt without a box."""

CERTAIN = 4.0
"""The guess's logit deep inside and far outside."""

ROUGH = 3.0
"""The most that a rough mask's logits count, so that colours can contradict it."""

ROUNDS = 2
"""How often colours are learnt and the walker is sent."""

HOLD = 0.1
"""Weight of guess and colours against the walker's neighbours; in a box they are worth less, edges more."""

HOLD_IN_BOX = 0.04

FARTHEST = 7.0
"""Logits lie between minus this and this."""

_NEARER = 3.0  # logit of a pixel that lies next to a click and far from those of the other kind
_USUAL = 0.05  # part of the picture that an object fills most often
_OVAL = 0.85  # half axes of the ellipse in a box, in half sides of the box


class Classic:
    """Segments from points, boxes, rough masks and any mix of them. All its answers are the same every time."""

    def __init__(self) -> None:
        self._info = GeneralistInfo(
            "classic", "Apache-2.0", "classic-2", frozenset({"points", "boxes", "masks"}), settings="side 64-256"
        )

    @property
    def info(self) -> GeneralistInfo:
        """What is known of it."""
        return self._info

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """Smoothed colours and their bins of each view, at a side of at most 256 pixels."""
        return [self._embedded(view) for view in views]

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """Three candidates, the smallest first, for each prompt without a box, one for each with a box.

        Scores are between 0 and 1. Raises `DataError` for features, which it has none, for another generalist's
        embedding and for prompts of background points alone.
        """
        check_prompts(self.info, embedding, prompts)
        if features:
            raise DataError("classic has no image tokens to give as features; take another generalist")
        question = _Question(embedding)
        candidates = 1 if prompts.boxes is not None else CANDIDATES
        answers = [question.answer(prompts, k) for k in range(len(prompts))]
        side = embedding.frame.side
        logits = torch.full((len(prompts), candidates, side, side), -FARTHEST)
        scores = torch.zeros(len(prompts), candidates)
        for k, answer in enumerate(answers):
            for m, mask in enumerate(answer):
                rows, columns = mask.shape
                logits[k, m, :rows, :columns] = torch.from_numpy(_logit(mask))
                scores[k, m] = _score(question.scene, mask > 0.5)
        return Masks(logits, scores, (embedding.frame,) * len(prompts))

    def _embedded(self, view: View) -> Embedding:
        frame = working_frame(view)
        (rows, columns), side = frame.content, frame.side
        picture = frame.cut(to_rgb(view.array))[:, :rows, :columns].numpy() / 255
        is_grey = bool((picture[0] == picture[1]).all() and (picture[0] == picture[2]).all())
        scene = scene_of(picture[:1] if is_grey else picture)
        padding = (0, side - columns, 0, side - rows)
        maps = (torch.from_numpy(scene.colours), torch.from_numpy(scene.codes[None].astype(np.float32)))
        return Embedding(tuple(F.pad(m, padding) for m in maps), frame, self.info.fingerprint)


def working_frame(view: View) -> Frame:
    """The frame of a view at the smallest of the working sides that it fits into, or the largest."""
    window = view.window or (0, 0, *view.size)
    longest = max(window[2] - window[0], window[3] - window[1], view.least_side)
    sides = [side for side in SIDES if view.most_side is None or side <= view.most_side] or [SIDES[0]]
    side = next((side for side in sides if side >= longest), sides[-1])
    return fit_frame(view.size, side, window=view.window, spacing=view.spacing)


class _Question:
    """An embedded view that is asked; everything in here is in pixels of the working size."""

    def __init__(self, embedding: Embedding):
        self.frame: Frame = embedding.frame
        rows, columns = self.frame.content
        colours, codes = (f.float().cpu().numpy()[:, :rows, :columns] for f in embedding.features)
        self.scene = Scene(colours, np.rint(codes[0]).astype(int))

    def answer(self, prompts: Prompts, k: int) -> list[np.ndarray]:
        """The candidates for the k-th prompt as probabilities (H, W), ascending in size."""
        inside, beside = self._points(prompts, k)
        rough = None if prompts.masks is None else self._mask(prompts.masks[k])
        if prompts.boxes is not None:
            return [self._in_box(self.frame.boxes_in(prompts.boxes[k]), rough, inside, beside)]
        guesses = [] if rough is None else [_obeying(rough, inside, beside)]
        if len(inside):
            more = outlines(self.scene.colours, inside, beside, CANDIDATES - len(guesses))
            guesses += [np.clip((1 - e) * CERTAIN, -CERTAIN, CERTAIN) for e in more]
            guesses = [guess + _nearer(guess.shape, inside, beside) for guess in guesses]
        elif rough is None:
            raise DataError("a prompt of background points alone names no object; add a click on it, a box or a mask")
        else:
            guesses = [guesses[0] + shift for shift in (-ROUGH / 2, 0.0, ROUGH / 2)]
        found = [self._refined(guess, inside, beside) for guess in guesses]
        return sorted(found, key=lambda mask: int((mask > 0.5).sum()))

    def _points(self, prompts: Prompts, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The points (N, 2) on the object and beside it, moved into the picture where they lie outside."""
        limit = np.array(self.frame.content) - 1
        points = np.clip(self.frame.points_in(prompts.points[k]), 0, limit)
        labels = prompts.labels[k]
        return points[labels == OBJECT], points[(labels != OBJECT) & (labels != PADDING)]

    def _mask(self, logits: np.ndarray) -> np.ndarray:
        rows, columns = self.frame.content
        maps = torch.from_numpy(np.ascontiguousarray(logits, np.float32))[None]
        seen = self.frame.into(maps, fill=-CERTAIN)[0, :rows, :columns].numpy()
        return np.asarray(np.clip(seen, -ROUGH, ROUGH))

    def _in_box(self, box: np.ndarray, rough: np.ndarray | None, inside: np.ndarray, beside: np.ndarray) -> np.ndarray:
        rows, columns = (np.arange(n) for n in self.frame.content)
        middle, half = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2] + 1, 1) / 2
        down, right = (rows[:, None] - middle[0]) / half[0], (columns[None, :] - middle[1]) / half[1]
        is_in = (np.abs(down) <= 1) & (np.abs(right) <= 1)
        guess = np.clip((_OVAL - np.hypot(down, right)) * CERTAIN, -CERTAIN, CERTAIN)
        if rough is not None:
            guess = (guess + rough) / 2
        return self._refined(_obeying(guess, inside, beside), inside, beside, is_in=is_in)

    def _refined(
        self, guess: np.ndarray, inside: np.ndarray, beside: np.ndarray, *, is_in: np.ndarray | None = None
    ) -> np.ndarray:
        """What colours and walker make of a guess (H, W, a logit); nothing outside of `is_in` belongs to the object."""
        rows, columns = _surroundings(guess > 0 if is_in is None else is_in, inside)
        allowed = np.ones_like(guess, bool) if is_in is None else is_in
        scene, guess, allowed = self.scene.part(rows, columns), guess[rows, columns], allowed[rows, columns]
        weight = np.full(guess.shape, HOLD if is_in is None else HOLD_IN_BOX)
        known = np.where(allowed, np.nan, 0.0)
        for points, value in ((inside, 1.0), (beside, 0.0)):
            _mark(known, points - (rows.start, columns.start), value)
        weight[~np.isnan(known)] = SURE
        mask = np.where(allowed, _probability(2 * guess), 0.0)
        for _ in range(ROUNDS):
            belief = _probability(guess + scene.evidence(mask, 1 - mask))
            mask = walk(scene, np.where(np.isnan(known), belief, known), weight)
        whole = np.zeros(self.frame.content, np.float32)
        whole[rows, columns] = mask
        return whole


def _nearer(size: tuple[int, ...], inside: np.ndarray, beside: np.ndarray) -> np.ndarray | float:
    """How much nearer each pixel (H, W) lies to clicks on the object than to those beside it, as a logit."""
    if not len(inside) or not len(beside):
        return 0.0
    rows, columns = np.ogrid[: size[0], : size[1]]
    to_inside, to_beside = (
        np.min([np.hypot(rows - row, columns - column) for row, column in points], axis=0)
        for points in (inside, beside)
    )
    return np.asarray(_NEARER * (to_beside - to_inside) / (to_beside + to_inside + 1))


def _obeying(guess: np.ndarray, inside: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """A guess (a logit) in which a disc around each click it contradicts is turned, up to the guess's border.

    People click into the middle of an error, so its border tells how large the error is.
    """
    rows, columns = (np.arange(n) for n in guess.shape)
    for points, sign in ((inside, 1.0), (beside, -1.0)):
        for row, column in points:
            agrees = guess * sign > 0
            away = np.hypot(rows[:, None] - row, columns[None, :] - column)
            if agrees[round(row), round(column)]:
                continue
            reach = max(2.0, float(away[agrees].min()) if agrees.any() else 0.1 * max(guess.shape))
            push = np.clip((1.2 - away / reach) * 2 * CERTAIN, -CERTAIN, CERTAIN)
            guess = np.maximum(guess, push) if sign > 0 else np.minimum(guess, -push)
    return guess


def _surroundings(mask: np.ndarray, points: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns around a mask and points within which the object is sought."""
    corners = np.concatenate([np.argwhere(mask), np.rint(points).astype(int)])
    if not len(corners):
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    first, last = corners.min(0), corners.max(0) + 1
    room = 3 + int(0.4 * (last - first).max())
    first, last = np.maximum(first - room, 0), np.minimum(last + room, mask.shape)
    return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))


def _mark(known: np.ndarray, points: np.ndarray, value: float) -> None:
    """Writes a value into the 3x3 pixels around points; those that lie elsewhere are left out."""
    for row, column in np.rint(points).astype(int):
        known[max(row - 1, 0) : max(row + 2, 0), max(column - 1, 0) : max(column + 2, 0)] = value


def _score(scene: Scene, mask: np.ndarray) -> float:
    """The overlap with the meant object to be expected.

    The product of how different the colours of the mask and of its rim are from those around it (total variation),
    how little of its border is the picture's, and how usual its size is.
    """
    if not mask.any():
        return 0.0
    reach = max(1, int(0.15 * np.sqrt(mask.sum())))
    usual = np.exp(-0.1 * abs(np.log(mask.mean() / _USUAL)))
    rows, columns = _surroundings(mask, np.zeros((0, 2)))
    scene, mask = scene.part(rows, columns), mask[rows, columns]
    rim = mask & ~ndimage.binary_erosion(mask, iterations=reach, border_value=1)
    around = ndimage.binary_dilation(mask, iterations=reach) & ~mask
    other = scene.histogram(around)
    differences = [np.abs(scene.histogram(part) - other).sum() / 2 for part in (rim, mask)]
    border = mask & ~ndimage.binary_erosion(mask)
    cut = sum(int(edge.sum()) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1])) / int(border.sum())
    return float(np.mean(differences) * max(0.0, 1 - cut) * usual)


def _probability(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -8, 8))))


def _logit(p: np.ndarray) -> np.ndarray:
    safe = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.clip(np.log(safe / (1 - safe)), -FARTHEST, FARTHEST), np.float32)
