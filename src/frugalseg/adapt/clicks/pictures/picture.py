"""One procedural picture with the objects a user could mean in it."""

from dataclasses import dataclass

import numpy as np

from frugalseg.adapt.clicks.pictures.backgrounds import field_of_view, ground, strew_clutter
from frugalseg.adapt.clicks.pictures.camera import photograph
from frugalseg.adapt.clicks.pictures.chance import happens, pick_weighted
from frugalseg.adapt.clicks.pictures.colour import coloured
from frugalseg.adapt.clicks.pictures.layouts import LAYOUTS
from frugalseg.adapt.clicks.pictures.paint import paint
from frugalseg.adapt.clicks.pictures.scene import seen_masks
from frugalseg.adapt.clicks.pictures.visible import cues_of, is_visible
from frugalseg.errors import SettingsError

SMALLEST_SIDE = 32
MOST_OBJECTS = 12


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and the masks of its objects; masks of a whole and of its part overlap."""

    image: np.ndarray  # (H, W) or (H, W, 3) uint8
    objects: tuple[np.ndarray, ...]  # 1..12 boolean (H, W) masks of what is seen, each of one connected part


def make_picture(rng: np.random.Generator, *, side: int = 128) -> Picture:
    """A square picture whose every choice, from shapes to noise, comes from `rng`.

    Objects have at least max(12, 0.0008 side^2) pixels and differ visibly from their surroundings; scenes without any
    are drawn anew. Raises `SettingsError` for a side below 32.
    """
    if side < SMALLEST_SIDE:
        raise SettingsError(f"side={side}: a picture for the click adapter has at least {SMALLEST_SIDE} pixels a side")
    while True:
        picture = _attempt(rng, side)
        if picture.objects:
            return picture


def _attempt(rng: np.random.Generator, side: int) -> Picture:
    scene = pick_weighted(LAYOUTS, rng)(side, rng)
    canvas = ground(side, rng)
    clutter_in_front = happens(0.3, rng)
    if not clutter_in_front:
        strew_clutter(canvas, rng)
    for thing in scene.things:
        if thing.mask.any():  # a small one may fall between the pixels
            paint(canvas, thing.mask, thing.look, rng)
    if clutter_in_front:
        strew_clutter(canvas, rng)
    field = field_of_view(side, rng)
    canvas[:, ~field] = canvas[0].min() if happens(0.7, rng) else canvas[0].max()
    image = coloured(photograph(canvas[0], rng), canvas[1], rng)
    masks = seen_masks(scene, field, smallest=max(12, int(np.ceil(0.0008 * side**2))), rng=rng)
    return Picture(image, _chosen(masks, image, rng))


def _chosen(masks: list[np.ndarray], image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """At most 12 of the masks that can be told from their surroundings, back to front."""
    cues = cues_of(image)
    kept: list[int] = []
    for index in rng.permutation(len(masks)):
        if len(kept) < MOST_OBJECTS and is_visible(masks[index], cues):
            kept.append(int(index))
    return tuple(masks[index] for index in sorted(kept))
