"""Prompts for one slice from what the specialist believes of it: boxes for every class, points inside and around.

Two rules. "components", ours: a box for each connected piece of a class, with points spread over its inside and in the
ring around it. "published", GM-ABS's script: one box a class, each side pushed outwards by 0 to 4 pixels, with the five
most similar pixels and the least similar one, or with five random ones.

A box around a ring names its hole as well, and LiteMedSAM answers with the hole (myocardium of ACDC: Dice 0.06); to a
generalist that takes masks, `rough_mask` says what is meant.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field
from scipy import ndimage

from frugalseg.data.label import UNKNOWN
from frugalseg.generalists.prompts import BACKGROUND, OBJECT, PromptKind, Prompts
from frugalseg.generalists.strokes import spread_points
from frugalseg.prompt.prototypes import Belief
from frugalseg.prompt.simulate import jittered_box
from frugalseg.settings import Settings

FEW = 5
"""Points a published prompt has; pieces that are not larger get a box only. GM-ABS's script."""


class PromptSettings(Settings):
    """How a slice is asked about."""

    rule: Literal["components", "published"] = "components"
    add_point: Literal[0, 1, 2] = 0  # 0 boxes only, 1 random points, 2 points by similarity; GM-ABS has 2
    smallest: int = Field(6, ge=1)  # pixels of a piece worth a prompt; ours, for "components"
    least_share: float = Field(0.1, ge=0, le=1)  # of the class's largest piece in the slice; ours, for "components"
    most: int = Field(8, ge=1)  # pieces of a class in a slice that get one, the largest; ours, for "components"
    margin: int = Field(1, ge=0)  # pixels of a box beyond its piece; ours, for "components"
    jitter: int = Field(4, ge=0)  # largest random push of a side of the box; GM-ABS, for "published"
    positives: int = Field(3, ge=1)  # points inside of a piece; ours, for "components"
    negatives: int = Field(2, ge=0)  # points around a piece; ours, for "components"
    ring: float = Field(4.0, ge=2)  # pixels around a piece in which negatives lie; ours, for "components"
    rough_mask: bool = False  # what the box is around goes along as a mask prompt; ours

    @property
    def kinds(self) -> set[PromptKind]:
        """What prompts made so may hold."""
        kinds: set[PromptKind] = {"boxes"}
        if self.add_point:
            kinds.add("points")
        if self.rough_mask:
            kinds.add("masks")
        return kinds


@dataclass(frozen=True, eq=False)
class Asked:
    """The prompts of one slice and the class (P,) uint8 that each of them means."""

    prompts: Prompts
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def boxes(self) -> np.ndarray:
        """The boxes (P, 4): every prompt here has one."""
        return np.zeros((0, 4), np.float32) if self.prompts.boxes is None else self.prompts.boxes


NOTHING = Asked(Prompts.in_boxes([]), np.zeros(0, np.uint8))


def slice_prompts(
    belief: Belief,
    settings: PromptSettings,
    *,
    rng: Callable[[int], np.random.Generator],
    without: Collection[int] = (),
) -> Asked:
    """The prompts of a 2D belief, ordered by class; none where nothing is worth one, nor for the classes `without`.

    `rng` gives the random stream of a class, so that one class's draws do not depend on another's presence.
    """
    found: list[Prompts] = []
    classes: list[int] = []
    present = np.flatnonzero(np.bincount(belief.classes.ravel(), minlength=256)[:UNKNOWN])
    for value in (c for c in present if c > 0 and c not in without):
        of_class = list(RULES[settings.rule](belief, int(value), settings, rng(int(value))))
        found += of_class
        classes += [int(value)] * len(of_class)
    return Asked(Prompts.join(found), np.array(classes, np.uint8)) if found else NOTHING


def moved(new: Asked, last: Asked, *, least_iou: float) -> bool:
    """Whether some prompt has no counterpart: one of the same class whose box overlaps its own with at least that IoU.

    Rough masks are compared likewise. Points are not: they follow the box; only with an IoU of 1 nothing may differ.
    """
    if not np.array_equal(new.classes, last.classes):
        return True
    if least_iou == 1 and not _same_points(new.prompts, last.prompts):
        return True
    alike = (new.classes[:, None] == last.classes) & (_box_iou(new.boxes, last.boxes) >= least_iou)
    if new.prompts.masks is not None and last.prompts.masks is not None:
        alike &= _mask_iou(new.prompts.masks > 0, last.prompts.masks > 0) >= least_iou
    return not (alike.any(0).all() and alike.any(1).all())


def _same_points(a: Prompts, b: Prompts) -> bool:
    return np.array_equal(a.points, b.points) and np.array_equal(a.labels, b.labels)


def _by_component(belief: Belief, value: int, settings: PromptSettings, rng: np.random.Generator) -> Iterator[Prompts]:
    is_class = belief.classes == value
    pieces, n = ndimage.label(is_class, structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    largest = 1 + np.argsort(-sizes[1:], kind="stable")[: settings.most]
    least = max(settings.smallest, settings.least_share * sizes[1:].max(initial=0))
    for piece in sorted(largest[sizes[largest] >= least]):
        mask = pieces == piece
        box = jittered_box(mask, rng, pixels=(settings.margin, settings.margin))
        points = _component_points(mask, belief, value, settings, rng)
        yield _prompt(box, *points, mask if settings.rough_mask else None)


def _component_points(
    mask: np.ndarray, belief: Belief, value: int, settings: PromptSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points in a piece (positive) and around it (negative)."""
    if settings.add_point == 0:
        return _NO_POINTS, _NO_POINTS
    if settings.add_point == 1:
        return _drawn(mask, settings.positives, rng), _NO_POINTS
    inside = spread_inside(mask, settings.positives)
    return inside, spread_around(mask, belief.classes == value, belief.similarity[value], settings)


def spread_inside(mask: np.ndarray, n: int) -> np.ndarray:
    """At most n different points (n, 2) of a mask, far from its border and from each other."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    core = depth >= 0.5 * depth.max()
    return np.array(spread_points(core, min(n, int(core.sum()))))


def spread_around(mask: np.ndarray, same: np.ndarray, similarity: np.ndarray, settings: PromptSettings) -> np.ndarray:
    """At most `negatives` points (n, 2) in the ring around a mask, far from each other.

    They lie 2 to `ring` pixels from the mask, the hole of a ring-shaped one included, not on the `same` class, and
    where the similarity is not above the ring's median.
    """
    away = ndimage.distance_transform_edt(~mask)
    ring = (away >= 2) & (away <= settings.ring) & ~same
    if not ring.any() or settings.negatives == 0:
        return _NO_POINTS
    ring &= similarity <= np.median(similarity[ring])
    return np.array(spread_points(ring, min(settings.negatives, int(ring.sum()))))


def _as_published(belief: Belief, value: int, settings: PromptSettings, rng: np.random.Generator) -> Iterator[Prompts]:
    mask = belief.classes == value
    box = jittered_box(mask, rng, pixels=(0, settings.jitter))
    positive = negative = _NO_POINTS
    if settings.add_point == 1 and (belief.predicted == value).sum() > FEW:
        positive = _drawn(belief.predicted == value, FEW, rng)
    if settings.add_point == 2 and mask.sum() > FEW:
        positive = _most(np.where(mask, belief.similarity[value], -np.inf), FEW)
        negative = _most(np.where(mask, -np.inf, -belief.similarity[value]), 0 if mask.all() else 1)
    yield _prompt(box, positive, negative, mask if settings.rough_mask else None)


Rule = Callable[[Belief, int, PromptSettings, np.random.Generator], Iterator[Prompts]]

RULES: Mapping[str, Rule] = {"components": _by_component, "published": _as_published}

_NO_POINTS = np.zeros((0, 2))


def _most(values: np.ndarray, n: int) -> np.ndarray:
    """The pixels (n, 2) with the largest values, of equals the first in array order."""
    order = np.argsort(-values, axis=None, kind="stable")[:n]
    return np.stack(np.unravel_index(order, values.shape), 1)


def _drawn(mask: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """At most n different random pixels (n, 2) of a mask."""
    pixels = np.argwhere(mask)
    return np.asarray(pixels[np.sort(rng.choice(len(pixels), min(n, len(pixels)), replace=False))])


def _prompt(box: np.ndarray, positive: np.ndarray, negative: np.ndarray, mask: np.ndarray | None) -> Prompts:
    labels = [OBJECT] * len(positive) + [BACKGROUND] * len(negative)
    return Prompts.at(np.concatenate([positive, negative]), labels, box=box, mask=mask)


def _box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU (N, M) of boxes (N, 4) and (M, 4), whose last row and column belong to them."""
    first = np.maximum(a[:, None, :2], b[None, :, :2])
    last = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(last - first + 1, 0, None).prod(-1)
    area_a, area_b = ((x[:, 2:] - x[:, :2] + 1).prod(-1) for x in (a, b))
    return np.asarray(shared / (area_a[:, None] + area_b[None, :] - shared))


def _mask_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU (N, M) of masks (N, H, W) and (M, H, W), none of them empty."""
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (a, b))
    shared = a @ b.T
    return np.asarray(shared / (a.sum(1)[:, None] + b.sum(1)[None, :] - shared))
