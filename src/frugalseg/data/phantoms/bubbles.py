"""Bubbles in a liquid, or pores in a section: overlapping discs with a bright rim, uneven light, specks of dirt."""

import numpy as np
from scipy import ndimage

from frugalseg.data.phantoms.noise import grain, smooth_field, to_uint8
from frugalseg.data.phantoms.source import PhantomKind

SIDE = 192  # pixels for which the sizes below are meant; others scale


def make_bubbles(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One image and its exact ids; where bubbles overlap the one in front owns the pixels."""
    unit = min(shape) / SIDE
    ids = np.zeros(shape, np.int32)
    image = 0.5 + 0.03 * grain(shape, 1.5, rng)
    image = image + _dirt(shape, unit, rng)
    for number in range(1, int(rng.integers(18, 32)) + 1):
        r, mask = _bubble(shape, unit, rng)
        ids[mask] = number
        image = _drawn(image, r, mask, rng)
    image = ndimage.gaussian_filter(image, rng.uniform(0.6, 1.3) * max(unit, 0.6))
    image = image * np.exp(0.34 * smooth_field(shape, (2, 2), rng)) + rng.normal(0, 0.025, shape)
    return to_uint8(image), {"exact": _compact(ids)}


def _bubble(shape: tuple[int, ...], unit: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the centre as a part of the radius (H, W), and the mask."""
    radius = float(np.clip(rng.lognormal(2.4, 0.45), 4, 30)) * unit
    centre = rng.uniform(0, 1, 2) * shape
    stretch, angle = rng.uniform(0.85, 1.0), rng.uniform(0, np.pi)
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y, x = yy - centre[0], xx - centre[1]
    u, v = np.cos(angle) * x + np.sin(angle) * y, (np.cos(angle) * y - np.sin(angle) * x) / stretch
    r = np.hypot(u, v) / radius
    return r, r < 1


def _drawn(image: np.ndarray, r: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The bubble over what lies behind it: nearly clear inside, dark towards the border, a bright rim, a glint."""
    inside = 0.85 * image + 0.15 * (0.5 + rng.normal(0, 0.08)) - 0.16 * np.clip(r, 0, 1) ** 4
    rim = 0.30 * np.exp(-(((r - 0.93) / 0.07) ** 2))
    return np.where(mask, inside + rim, image)


def _dirt(shape: tuple[int, ...], unit: float, rng: np.random.Generator) -> np.ndarray:
    """Specks and threads that are no bubbles, bright and dark."""
    specks = np.abs(smooth_field(shape, (24, 24), rng))
    threads = np.abs(smooth_field(shape, (5, 5), rng))
    some = smooth_field(shape, (4, 4), rng) > 0.2
    return np.asarray(0.18 * (specks > 1.6) - 0.15 * (some & (threads < 0.02 / max(unit, 0.5))))


def _compact(ids: np.ndarray) -> np.ndarray:
    """Ids 1..n without gaps; a bubble of which fewer than 12 pixels are seen is left to the one in front of it."""
    counts = np.bincount(ids.ravel())
    kept = [i for i in range(1, len(counts)) if counts[i] >= 12]
    table = np.zeros(len(counts), np.int32)
    table[kept] = np.arange(1, len(kept) + 1)
    hidden = (table[ids] == 0) & (ids > 0)
    if hidden.any():
        nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        ids = ids[tuple(nearest)]
    return np.asarray(table[ids], dtype=np.int32)


BUBBLES = PhantomKind("bubbles", make_bubbles, ("background", "object"), shape=(SIDE, SIDE), spacing=(1.0, 1.0))
