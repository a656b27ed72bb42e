"""Where the mask of a shape comes to lie in the picture, alone, inside another or cut into regions."""

import numpy as np
from scipy import ndimage

from frugalseg.adapt.clicks.pictures.shapes import Shape, largest_part
from frugalseg.data.phantoms.noise import smooth_field


def place(local: np.ndarray, centre: np.ndarray, side: int) -> np.ndarray:
    """The local mask with its middle at a point of the picture (side, side); what lies outside is cut."""
    whole = np.zeros((side, side), bool)
    start = np.round(centre - np.array(local.shape) / 2).astype(int)
    first, last = np.maximum(start, 0), np.minimum(start + local.shape, side)
    if (last > first).all():
        taken = local[first[0] - start[0] : last[0] - start[0], first[1] - start[1] : last[1] - start[1]]
        whole[first[0] : last[0], first[1] : last[1]] = taken
    return whole


def shape_inside(whole: np.ndarray, shape: Shape, part: float, rng: np.random.Generator) -> np.ndarray:
    """A shape of about `part` of the whole's width, at a deep place of the whole and cut by it; may be empty."""
    depth = ndimage.distance_transform_edt(whole)
    deepest = float(depth.max())
    places = np.argwhere(depth >= min(deepest, max(1.0, (0.4 + 0.6 * part) * deepest)))
    n = max(3, round(2 * deepest * part))
    mask = place(shape(n, rng), places[rng.integers(len(places))], len(whole))
    return largest_part(mask & (depth > 1))


def core(whole: np.ndarray, part: float) -> np.ndarray:
    """What remains of a mask when its outer layer, 1 - part of its largest depth, is taken off; its largest piece."""
    depth = ndimage.distance_transform_edt(whole)
    return largest_part(depth > max(1.0, (1 - part) * float(depth.max())))


def regions(whole: np.ndarray, n: int, bend: float, rng: np.random.Generator) -> list[np.ndarray]:
    """The mask cut into about n regions that touch, each nearest to one of n random points in bent coordinates."""
    side = len(whole)
    inside = np.argwhere(whole)
    seeds = inside[rng.integers(len(inside), size=n)].astype(np.float32)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    swing = bend * side / np.sqrt(n)
    y, x = y + swing * smooth_field((side, side), (5, 5), rng), x + swing * smooth_field((side, side), (5, 5), rng)
    weights = rng.uniform(0, 0.3, n) * side**2 / (6 * n)
    nearest = np.zeros((side, side), int)
    best = np.full((side, side), np.inf, np.float32)
    for k, (row, column) in enumerate(seeds):
        far = (y - row) ** 2 + (x - column) ** 2 - weights[k]
        nearest[far < best] = k
        best = np.minimum(best, far)
    return [mask for k in range(n) if (mask := largest_part(whole & (nearest == k))).any()]


def levels(side: int, n: int, cells: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The picture cut where one of n smooth random fields is the highest: soft-cornered tissue; one mask a field."""
    heights = np.stack([smooth_field((side, side), (cells, cells), rng) for _ in range(n)])
    highest = heights.argmax(0)
    return [mask for k in range(n) if (mask := highest == k).any()]


def strata(side: int, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Layers, n of them, across the picture with wavy or ragged borders, in a random direction."""
    y, x = np.meshgrid(*(np.linspace(0, 1, side, dtype=np.float32),) * 2, indexing="ij")
    angle = rng.normal(0, 0.4) + rng.integers(4) * np.pi / 2
    along = (y - 0.5) * np.cos(angle) + (x - 0.5) * np.sin(angle) + 0.5
    along = along + rng.uniform(0, 0.08) * smooth_field((side, side), (3, 3), rng)
    along = along + rng.uniform(0, 0.02) * smooth_field((side, side), (24, 24), rng)
    cuts = np.sort(rng.uniform(0.1, 0.9, n - 1))
    layer = np.searchsorted(cuts, along.ravel()).reshape(side, side)
    return [mask for k in range(n) if (mask := layer == k).any()]
