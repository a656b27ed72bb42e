"""Layouts: which objects a picture shows and how they lie: strewn, packed, alone, in layers, within a body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from frugalseg.adapt.clicks.pictures.chance import happens, log_uniform, signed
from frugalseg.adapt.clicks.pictures.looks import Look, draw_look
from frugalseg.adapt.clicks.pictures.placing import core, levels, place, regions, shape_inside, strata
from frugalseg.adapt.clicks.pictures.scene import Scene, Thing
from frugalseg.adapt.clicks.pictures.shapes import TOUCHING, Shape, draw_shape, largest_part
from frugalseg.data.phantoms.noise import smooth_field

Layout = Callable[[int, np.random.Generator], Scene]


@dataclass(frozen=True)
class Kind:
    """Objects that look alike: a shape, a length as a part of the picture's side, a look; at times a part inside."""

    shape: Shape
    length: float
    look: Look
    inner: "Kind | None" = None


def draw_kind(length: float, rng: np.random.Generator, *, nested: float = 0.3) -> Kind:
    """A kind of objects of that length; `nested` is the chance of a part inside, whose length is relative to it."""
    inner = draw_kind(rng.uniform(0.25, 0.85), rng, nested=0.12) if happens(nested, rng) else None
    return Kind(draw_shape(rng), length, draw_look(rng), inner)


def strewn(side: int, rng: np.random.Generator) -> Scene:
    """One to three kinds of objects anywhere: apart, touching, one over the other or showing through."""
    room = {"apart": 0.0, "touching": 0.35, "over": 2.0}
    allowed = room[str(rng.choice(list(room)))]
    things: list[Thing] = []
    taken = np.zeros((side, side), bool)
    for _ in range(int(rng.integers(1, 4))):
        kind = draw_kind(log_uniform(0.05, 0.5, rng), rng)
        n = int(np.clip(rng.uniform(0.1, 0.7) / kind.length**2, 1, 40 if kind.length < 0.12 else 18))
        for _ in range(int(rng.integers(1, n + 1))):
            mask = _one(kind, side, rng)
            covered = float((mask & taken).sum()) / max(1, int(mask.sum()))
            if covered > allowed:
                continue
            mask = largest_part(mask & ~taken) if allowed < 1 else mask
            taken |= mask
            things += _nested(mask, kind, len(things), rng)
    return Scene(tuple(things), see_through=allowed > 1 and happens(0.3, rng))


def alone(side: int, rng: np.random.Generator) -> Scene:
    """One or two large objects."""
    things: list[Thing] = []
    for _ in range(1 if happens(0.7, rng) else 2):
        kind = draw_kind(rng.uniform(0.3, 0.9), rng, nested=0.5)
        things += _nested(_one(kind, side, rng, spread=0.25), kind, len(things), rng)
    return Scene(tuple(things))


def packed(side: int, rng: np.random.Generator) -> Scene:
    """A clump of one kind whose members touch, with seams or without: colonies, grains, epithelium."""
    clump = place(draw_shape(rng)(int(side * rng.uniform(0.4, 1.1)), rng), side * rng.uniform(0.3, 0.7, 2), side)
    if clump.sum() < 0.03 * side**2:
        clump[:] = True
    length = log_uniform(0.08, 0.3, rng)
    kind = draw_kind(length, rng)
    n = int(np.clip(clump.mean() / length**2, 2, 30))
    seam = rng.uniform(0.0, 0.3) if happens(0.6, rng) else 0.0
    things: list[Thing] = []
    for mask in regions(clump, n, rng.uniform(0, 0.4), rng):
        things += _nested(core(mask, 1 - seam) if seam else mask, kind, len(things), rng)
    return Scene(tuple(things))


def tiled(side: int, rng: np.random.Generator) -> Scene:
    """The whole picture cut into regions of a few tissues."""
    everything = np.ones((side, side), bool)
    if happens(0.5, rng):
        masks = levels(side, int(rng.integers(2, 6)), int(rng.integers(1, 6)), rng)
    else:
        masks = regions(everything, int(rng.integers(3, 25)), rng.uniform(0, 0.5), rng)
    return Scene(tuple(_as_tissues(masks, rng)))


def layered(side: int, rng: np.random.Generator) -> Scene:
    """Layers with pores, grains or cracks in them."""
    things = _as_tissues(strata(side, int(rng.integers(2, 6)), rng), rng)
    kind = draw_kind(log_uniform(0.03, 0.3, rng), rng, nested=0.1)
    wholes = [(i, t.mask) for i, t in enumerate(things)]
    for _ in range(int(rng.integers(0, 16))):
        whole, room = wholes[int(rng.integers(len(wholes)))]
        mask = largest_part(_one(kind, side, rng) & room)
        if mask.sum() >= 4:
            things.append(Thing(mask, kind.look.jittered(rng), whole))
    return Scene(tuple(things))


def body(side: int, rng: np.random.Generator) -> Scene:
    """A large outline with a skin and organs inside, which touch or lie apart: a section through a body or a cell."""
    outer = Kind(draw_shape(rng), rng.uniform(0.6, 1.1), replace(draw_look(rng), contrast=signed(0.15, 0.6, rng)))
    whole = _one(outer, side, rng, spread=0.1)
    things = [Thing(whole, outer.look)]
    room = whole
    if happens(0.5, rng):
        room = core(whole, rng.uniform(0.75, 0.95))
        things.append(Thing(room, draw_look(rng), 0))
    if room.sum() < 50:
        return Scene(tuple(things))
    inside = len(things) - 1
    if happens(0.5, rng):
        organs = regions(room, int(rng.integers(2, 10)), rng.uniform(0.1, 0.5), rng)
        organs = [core(m, rng.uniform(0.6, 1.0)) for m in organs if happens(0.7, rng)]
    else:
        organs = [shape_inside(room, draw_shape(rng), rng.uniform(0.15, 0.6), rng) for _ in range(rng.integers(1, 9))]
    shared = draw_look(rng)
    for mask in organs:
        if mask.sum() >= 4:
            kind = draw_kind(0.5, rng)
            kind = replace(kind, look=shared.jittered(rng)) if happens(0.4, rng) else kind
            things += _nested(mask, kind, len(things), rng, whole=inside)
    return Scene(tuple(things))


def netted(side: int, rng: np.random.Generator) -> Scene:
    """A net across the picture and the meshes it leaves: vessels, foam, membranes, pores that meet."""
    cells = int(rng.integers(2, 7))
    net = np.abs(smooth_field((side, side), (cells, cells), rng)) < rng.uniform(0.08, 0.4)
    net = largest_part(net)
    inside = draw_look(rng) if happens(0.5, rng) else Look(clear=1)
    meshes = _parts(~net)
    things = [*(Thing(mesh, inside) for mesh in meshes), Thing(net, draw_look(rng))]
    kind = draw_kind(log_uniform(0.06, 0.3, rng), rng)
    for _ in range(int(rng.integers(0, 6))):
        mask = largest_part(_one(kind, side, rng) & ~net)
        around = next((k for k, mesh in enumerate(meshes) if (mesh & mask).any()), None)
        things += _nested(mask, kind, len(things), rng, whole=around)
    return Scene(tuple(things))


LAYOUTS: Mapping[Layout, float] = {strewn: 5, alone: 3, packed: 2, tiled: 2, layered: 1.5, body: 2.5, netted: 1}
"""How often each is drawn; ours."""


def _one(kind: Kind, side: int, rng: np.random.Generator, *, spread: float = 0.55) -> np.ndarray:
    """One object of a kind, its middle at most `spread` sides from the picture's."""
    n = max(4, round(side * kind.length * float(np.exp(rng.normal(0, 0.15)))))
    return largest_part(place(kind.shape(n, rng), side * (0.5 + rng.uniform(-spread, spread, 2)), side))


def _nested(
    mask: np.ndarray, kind: Kind, index: int, rng: np.random.Generator, *, whole: int | None = None
) -> list[Thing]:
    """The object, to be the scene's thing number `index`, and what lies inside it."""
    if mask.sum() < 4:
        return []
    things = [Thing(mask, kind.look.jittered(rng), whole)]
    if kind.inner is not None:
        if happens(0.4, rng):
            inside = core(mask, kind.inner.length)
        else:
            inside = shape_inside(mask, kind.inner.shape, kind.inner.length, rng)
        things += _nested(inside, kind.inner, index + 1, rng, whole=index)
    return things


def _as_tissues(masks: list[np.ndarray], rng: np.random.Generator) -> list[Thing]:
    """The masks' connected parts with one look a mask; brightnesses differ in steps, or seams part them."""
    step, seam = rng.uniform(0.05, 0.25), signed(0.1, 0.5, rng)
    ranks = rng.permutation(len(masks)) - len(masks) / 2
    things = []
    if happens(0.3, rng):
        step, looks = 0.01, [replace(draw_look(rng), rim=seam, rim_shift=0.5)] * len(masks)
    else:
        looks = [draw_look(rng) for _ in masks]
    for mask, look, rank in zip(masks, looks, ranks, strict=True):
        tissue = replace(look, contrast=0.3 * look.contrast + step * rank)
        things += [Thing(part, tissue) for part in _parts(mask)]
    return things


def _parts(mask: np.ndarray) -> list[np.ndarray]:
    """The connected parts of a mask that have 4 pixels or more."""
    parts, n = ndimage.label(mask, TOUCHING)
    return [part for k in range(1, n + 1) if (part := parts == k).sum() >= 4]
