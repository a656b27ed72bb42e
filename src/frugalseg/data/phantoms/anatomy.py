"""Volumes like abdominal MRI: two organs that touch with hardly a border between, a duct through one of them.

What tells the organs from the many lumps of equal brightness around is where they lie and how they are shaped, so no
threshold finds them.
"""

import numpy as np

from frugalseg.data.phantoms.noise import bent_grid, scanned, smooth_field
from frugalseg.data.phantoms.source import PhantomKind

CLASSES = ("background", "head", "tail", "duct")

BODY, OUTSIDE, FAT = 0.45, 0.04, 0.80
ORGANS = (0.80, 0.62)  # head, tail: as bright as some of the lumps
DUCT = 0.18  # as dark as others


def make_anatomy(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One volume and its exact label."""
    grid = _turned_grid(shape, rng)
    label = _organs(grid, rng)
    body = (grid[0] / 0.92) ** 2 + (grid[1] / 0.86) ** 2 < 1
    rim = body & ((grid[0] / 0.80) ** 2 + (grid[1] / 0.74) ** 2 > 1)
    image = np.where(rim, FAT, np.where(body, BODY, OUTSIDE)).astype(np.float32)
    for mask, brightness in _lumps(shape, rng):
        image[mask & body & ~rim] = brightness
    for value, brightness in zip((1, 2, 3), (*ORGANS, DUCT), strict=True):
        image[label == value] = brightness + rng.normal(0, 0.015)
    return scanned(image, rng, coil=0.16, noise=0.045), {"exact": label}


def _turned_grid(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Coordinates (3, *shape) from -1 to 1, turned a little and bent by a smooth field."""
    bent = bent_grid(shape, 0.06, rng)
    angle = rng.normal(0, 0.10)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * bent[0] - s * bent[1], s * bent[0] + c * bent[1], bent[2]]).astype(np.float32)


def _organs(grid: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Head and tail of one comma-shaped organ, cut at a plane, and the duct along its axis."""
    x, y, z = grid - rng.normal(0, 0.04, (3, 1, 1, 1)).astype(np.float32)
    bend = 0.25 * np.sin(2.2 * y)  # the organ's axis runs along y and swings in x
    along = (y + 0.05) / 0.62
    thickness = (0.50 - 0.16 * along) * rng.uniform(0.9, 1.15)
    radius = np.hypot((x + 0.12 - bend) / 1.0, (z - 0.1 * along) / 1.25)
    inside = (np.abs(along) < 1) & (radius < thickness * np.sqrt(np.clip(1 - along**2, 0, 1)))
    cut = along + 0.25 * z > rng.normal(0.05, 0.06)
    label = np.zeros(x.shape, np.uint8)
    label[inside] = 1
    label[inside & cut] = 2
    label[inside & (radius < 0.11) & (along > -0.75)] = 3
    return label


def _lumps(shape: tuple[int, ...], rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Vessels, cysts and loops of gut with the brightness of the organs and the duct, anywhere."""
    brightness = [*ORGANS, DUCT, 0.78]
    fields = [smooth_field(shape, (6, 6, 5), rng) for _ in brightness]
    return [(f > 1.3, b + float(rng.normal(0, 0.02))) for f, b in zip(fields, brightness, strict=True)]


ANATOMY = PhantomKind("anatomy", make_anatomy, CLASSES, shape=(48, 48, 40), spacing=(1.0, 1.0, 1.5))
