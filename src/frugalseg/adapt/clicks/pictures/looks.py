"""How an object differs from what lies around it: a record of cues, drawn from families that are then mixed.

Lengths are pixels of a picture of side 128; brightness is that of a canvas whose ground lies between 0 and 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from frugalseg.adapt.clicks.pictures.chance import happens, log_uniform, pick_weighted, signed
from frugalseg.adapt.clicks.pictures.textures import TEXTURES, Texture


@dataclass(frozen=True)
class Look:
    """The cues of one object; all zero means invisible."""

    contrast: float = 0.0  # brightness inside less that of the ground it covers
    balanced: bool = False  # then `contrast` is the mean over the inside with all other cues
    clear: float = 0.0  # part of the ground's texture that shows through, 0..1
    soft: float = 0.7  # width of the border's slope
    dome: float = 0.0  # added in the middle, nothing at the border
    tilt: float = 0.0  # added from one side to the other
    texture: Texture | None = None
    grain: float = 4.0  # length of the texture's grains
    rough: float = 0.0  # deviation of the texture
    rim: float = 0.0  # added on the border
    rim_width: float = 1.2
    rim_shift: float = 0.0  # > 0: the rim lies inside
    halo: float = 0.0  # added outside, fading
    halo_reach: float = 4.0
    relief: float = 0.0  # bright at borders that face one way, dark at those that face the other
    angle: float = 0.0  # where tilt and relief point
    broken: float = 0.0  # part of rim and halo that is missing, in patches, 0..1
    dye: float = 0.0  # colour, where the picture has colours

    def jittered(self, rng: np.random.Generator) -> "Look":
        """The look of another object of the same kind: strengths differ by about a quarter, in a few cases by sign."""
        scale = {name: getattr(self, name) * float(np.exp(rng.normal(0, 0.25))) for name in _STRENGTHS}
        if happens(0.05, rng):
            scale["contrast"] *= -1
        return replace(self, **scale)


_STRENGTHS = ("contrast", "dome", "rough", "rim", "halo", "relief", "dye")


def solid(rng: np.random.Generator) -> Look:
    """Evenly brighter or darker, clearly or hardly."""
    return Look(contrast=signed(0.06, 0.7, rng) if happens(0.6, rng) else signed(0.04, 0.12, rng), soft=_slope(rng))


def phase(rng: np.random.Generator) -> Look:
    """As grey as the ground, seen by a halo, a rim and a little texture: cells in phase contrast."""
    halo = rng.uniform(0.08, 0.5) * (1 if happens(0.8, rng) else -1)
    return replace(
        _textured(rng.uniform(0.0, 0.15), rng),
        contrast=rng.normal(0, 0.03) * happens(0.6, rng),
        balanced=happens(0.6, rng),
        clear=rng.uniform(0.3, 1),
        rim=-np.sign(halo) * rng.uniform(0, 0.35),
        rim_width=rng.uniform(0.8, 2.5),
        rim_shift=rng.uniform(0, 2),
        halo=halo,
        halo_reach=log_uniform(1.2, 8, rng),
        broken=rng.uniform(0, 0.6) * happens(0.6, rng),
        soft=_slope(rng),
    )


def outlined(rng: np.random.Generator) -> Look:
    """Nothing but its border: drawn lines, membranes, walls."""
    return Look(
        contrast=rng.normal(0, 0.02) * happens(0.5, rng),
        balanced=happens(0.5, rng),
        clear=rng.uniform(0.5, 1),
        rim=signed(0.12, 0.6, rng),
        rim_width=log_uniform(0.6, 3, rng),
        rim_shift=rng.uniform(-1, 1.5),
        broken=rng.uniform(0, 0.5) * happens(0.4, rng),
    )


def textured(rng: np.random.Generator) -> Look:
    """As bright as the ground on average, of another texture (or smooth on a rough ground)."""
    rough = rng.uniform(0.08, 0.35) if happens(0.85, rng) else 0.01
    return replace(
        _textured(rough, rng), contrast=rng.normal(0, 0.03) * happens(0.4, rng), balanced=True, soft=_slope(rng)
    )


def smooth(rng: np.random.Generator) -> Look:
    """A lump whose border is a slope of many pixels: lesions, organs out of focus, soft tissue."""
    return Look(contrast=signed(0.08, 0.5, rng), soft=log_uniform(2.5, 10, rng), clear=rng.uniform(0, 1))


def domed(rng: np.random.Generator) -> Look:
    """Brightest (or darkest) in the middle, with lumps inside: nuclei, droplets."""
    side = signed(1, 1, rng)
    return replace(
        _textured(rng.uniform(0, 0.15), rng),
        contrast=side * rng.uniform(0.03, 0.3),
        dome=side * rng.uniform(0.05, 0.5),
        tilt=rng.normal(0, 0.1),
        soft=_slope(rng),
    )


def relief(rng: np.random.Generator) -> Look:
    """Lit from one side, as in differential interference contrast or in a scanning electron microscope."""
    return Look(
        contrast=rng.normal(0, 0.04) * happens(0.6, rng),
        balanced=happens(0.6, rng),
        clear=rng.uniform(0, 1),
        relief=signed(0.1, 0.6, rng),
        rim_width=log_uniform(1, 6, rng),
        tilt=rng.normal(0, 0.1),
    )


def bubble(rng: np.random.Generator) -> Look:
    """Clear in the middle, dark towards a bright rim; or the reverse."""
    side = signed(1, 1, rng)
    return Look(
        balanced=happens(0.3, rng),
        contrast=-side * rng.uniform(0, 0.2),
        clear=rng.uniform(0.4, 1),
        dome=side * rng.uniform(0, 0.3),
        rim=side * rng.uniform(0.1, 0.6),
        rim_width=log_uniform(0.7, 3, rng),
        rim_shift=rng.uniform(0, 3),
        halo=-side * rng.uniform(0, 0.2) * happens(0.4, rng),
        broken=rng.uniform(0, 0.4) * happens(0.3, rng),
    )


def anything(rng: np.random.Generator) -> Look:
    """Every cue by itself."""
    return replace(
        _textured(rng.uniform(0, 0.2) * happens(0.5, rng), rng),
        contrast=rng.normal(0, 0.15),
        clear=rng.uniform(0, 1),
        dome=rng.normal(0, 0.2) * happens(0.4, rng),
        tilt=rng.normal(0, 0.2) * happens(0.4, rng),
        rim=rng.normal(0, 0.25) * happens(0.5, rng),
        rim_width=log_uniform(0.7, 3, rng),
        rim_shift=rng.normal(0, 1),
        halo=rng.normal(0, 0.2) * happens(0.4, rng),
        halo_reach=log_uniform(1, 8, rng),
        relief=rng.normal(0, 0.2) * happens(0.3, rng),
        soft=_slope(rng),
    )


FAMILIES: Mapping[Callable[[np.random.Generator], Look], float] = {
    solid: 3.5,
    phase: 5,
    outlined: 2.5,
    textured: 4,
    smooth: 1.5,
    domed: 2,
    relief: 2,
    bubble: 1.5,
    anything: 2.5,
}
"""How often each is drawn; ours."""


def draw_look(rng: np.random.Generator) -> Look:
    """A look of one family; in every third, single cues are those of a second family."""
    look = replace(
        pick_weighted(FAMILIES, rng)(rng), angle=rng.uniform(0, 2 * np.pi), dye=signed(0.2, 1, rng) * happens(0.7, rng)
    )
    if happens(0.35, rng):
        other = pick_weighted(FAMILIES, rng)(rng)
        borrowed: dict[str, Any] = {f.name: getattr(other, f.name) for f in fields(Look) if happens(0.3, rng)}
        look = replace(look, **borrowed)
    return look


def _textured(rough: float, rng: np.random.Generator) -> Look:
    return Look(texture=pick_weighted(TEXTURES, rng), grain=log_uniform(2, 12, rng), rough=rough)


def _slope(rng: np.random.Generator) -> float:
    return log_uniform(0.5, 2.5, rng) if happens(0.8, rng) else log_uniform(2, 8, rng)
