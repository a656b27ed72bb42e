"""Brightness and dye as colours: grey, stained tissue, coloured light, false colours."""

from collections.abc import Callable, Mapping

import numpy as np

from frugalseg.adapt.clicks.pictures.chance import pick_weighted
from frugalseg.data.phantoms.noise import smooth_field

Colouring = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def grey(light: np.ndarray, dye: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness alone, (H, W)."""
    return light


def stained(light: np.ndarray, dye: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two dyes that swallow light: where the dye is positive more of the one, else more of the other."""
    swallow = rng.uniform(0.1, 1.5, (2, 3)).astype(np.float32)
    amount = (1.2 - light)[..., None] * rng.uniform(0.7, 1.6)
    share = np.clip(0.5 + 0.5 * dye, 0, 1)[..., None]
    return np.asarray(np.exp(-amount * (share * swallow[0] + (1 - share) * swallow[1])))


def lamps(light: np.ndarray, dye: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coloured light on black: two lamps, each shines as the dye says."""
    lamp = rng.uniform(0, 1, (2, 3)).astype(np.float32)
    lamp /= lamp.max(1, keepdims=True)
    share = np.clip(0.5 + 0.5 * dye, 0, 1)[..., None]
    return np.asarray(light[..., None] * (share * lamp[0] + (1 - share) * lamp[1]))


def ramp(light: np.ndarray, dye: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """False colours: brightness looked up on a line through two to four random colours."""
    stops = int(rng.integers(2, 5))
    colours = rng.uniform(0, 1, (stops, 3))
    colours[0] *= 0.4
    colours[-1] = 0.6 + 0.4 * colours[-1]
    at = np.linspace(0, 1, stops)
    return np.stack([np.interp(light, at, colours[:, k]) for k in range(3)], -1)


def tinted(light: np.ndarray, dye: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nearly grey, with a cast that changes slowly over the picture and a little with the dye; grainy colours."""
    cast = rng.normal(0, 0.08, 3)
    hue = rng.normal(0, 0.25, 3)
    drift = rng.uniform(0, 0.06) * smooth_field(light.shape, (2, 2), rng)
    grains = rng.uniform(0, 0.04) * rng.standard_normal((*light.shape, 3))
    return np.asarray(light[..., None] * (1 + cast + hue * dye[..., None]) + drift[..., None] * cast[::-1] + grains)


COLOURINGS: Mapping[Colouring, float] = {grey: 6.5, stained: 1.5, lamps: 0.6, ramp: 0.5, tinted: 1.0}
"""How often each is drawn; ours."""


def coloured(light: np.ndarray, dye: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture, uint8, (H, W) or (H, W, 3)."""
    picture = pick_weighted(COLOURINGS, rng)(light, dye, rng)
    return np.asarray(np.clip(picture, 0, 1) * 255, dtype=np.uint8)
