"""What lies where: things in the order in which they are painted, and what is seen of each."""

from dataclasses import dataclass

import numpy as np

from frugalseg.adapt.clicks.pictures.chance import happens
from frugalseg.adapt.clicks.pictures.looks import Look
from frugalseg.adapt.clicks.pictures.shapes import largest_part


@dataclass(frozen=True, eq=False)
class Thing:
    """One mask (H, W) with its look; a part lies inside its whole, the thing at index `whole`."""

    mask: np.ndarray
    look: Look
    whole: int | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """Things from back to front; where one shows through those in front of it, all of it counts as seen."""

    things: tuple[Thing, ...]
    see_through: bool = False


def seen_masks(scene: Scene, field: np.ndarray, *, smallest: int, rng: np.random.Generator) -> list[np.ndarray]:
    """What is seen within a field of view of every object of at least `smallest` pixels.

    These are wholes, their parts, and at times wholes less their parts. What something in front cuts to pieces counts
    by its largest one if that holds 90 % of it, else not at all.
    """
    found = []
    for index, thing in enumerate(scene.things):
        seen = thing.mask & field
        if not scene.see_through:
            seen &= ~_in_front(scene, index)
        if seen.sum() < smallest:
            continue
        found.append(seen)
        parts = [t.mask for t in scene.things if t.whole == index]
        if parts and happens(0.6, rng):
            found.append(seen & ~np.logical_or.reduce(parts))
    return _distinct([whole for mask in found if (whole := _in_one_piece(mask)).sum() >= smallest])


def _in_front(scene: Scene, index: int) -> np.ndarray:
    """Everything painted over the thing that is no part of it."""
    hidden = np.zeros_like(scene.things[index].mask)
    own = {index}
    for later in range(index + 1, len(scene.things)):
        thing = scene.things[later]
        if thing.whole in own:
            own.add(later)
        else:
            hidden |= thing.mask
    return hidden


def _in_one_piece(mask: np.ndarray) -> np.ndarray:
    largest = largest_part(mask)
    return largest if largest.sum() >= 0.9 * mask.sum() else np.zeros_like(mask)


def _distinct(masks: list[np.ndarray]) -> list[np.ndarray]:
    """The masks without those that nearly equal (IoU > 0.9) one before, and without those over 80 % of the picture."""
    kept: list[tuple[int, np.ndarray]] = []
    for mask in masks:
        area = int(mask.sum())
        alike = (k for n, k in kept if 0.9 * n < area < n / 0.9)
        if area <= 0.8 * mask.size and all((mask & k).sum() <= 0.9 * (mask | k).sum() for k in alike):
            kept.append((area, mask))
    return [mask for _, mask in kept]
