"""The shape of one object: an outline, a stroke or a piece of noise, then bent, roughened or joined with another."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage

from frugalseg.adapt.clicks.pictures.chance import happens, log_uniform, pick_weighted
from frugalseg.adapt.clicks.pictures.outlines import OUTLINES, Outline
from frugalseg.adapt.clicks.pictures.strands import STRANDS
from frugalseg.data.phantoms.noise import smooth_field

Shape = Callable[[int, np.random.Generator], np.ndarray]
"""Side in pixels -> mask (side, side), of one connected part; never empty."""

TOUCHING = np.ones((3, 3), bool)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part (corners connect) of a mask; an empty mask stays empty."""
    parts, n = ndimage.label(mask, TOUCHING)
    if n < 2:
        return mask
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))


def draw_shape(rng: np.random.Generator) -> Shape:
    """A way to draw objects of one kind: they differ in detail and share their family, stretch and roughness."""
    family = pick_weighted({"outline": 6.0, "strand": 3.5, "clot": 2.0, "joined": 1.0}, rng)
    if family == "strand":
        return partial(_strand, pick_weighted(STRANDS, rng))
    if family == "clot":
        return partial(_clot, int(rng.integers(2, 7)), rng.uniform(0.2, 1.2))
    first = pick_weighted(OUTLINES, rng)
    second = pick_weighted(OUTLINES, rng) if family == "joined" else first
    stretch = log_uniform(1, 4, rng) if happens(0.5, rng) else 1.0
    bend = rng.uniform(0, 0.22) * happens(0.6, rng)
    rough = rng.uniform(0.02, 0.10) * happens(0.3, rng)
    return partial(_closed, (first, second), stretch, bend, rough)


def _closed(
    rules: tuple[Outline, Outline], stretch: float, bend: float, rough: float, n: int, rng: np.random.Generator
) -> np.ndarray:
    """An outline on turned, stretched, bent coordinates; with a second rule, the two shapes' union."""
    masks = []
    for rule in dict.fromkeys(rules):
        y, x = _grid(n, stretch * rng.uniform(0.85, 1.15), bend, rng)
        if rough:
            ripple = rough * smooth_field((n, n), (max(6, n // 6),) * 2, rng)
            y, x = y * (1 + ripple), x * (1 + ripple)
        masks.append(rule(y, x, rng))
    return _never_empty(np.logical_or.reduce(masks))


def _grid(n: int, stretch: float, bend: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    axis = np.linspace(-1.08, 1.08, n, dtype=np.float32)
    y: np.ndarray = np.broadcast_to(axis[:, None], (n, n))
    x: np.ndarray = np.broadcast_to(axis, (n, n))
    if bend:
        y, x = y + bend * smooth_field((n, n), (3, 3), rng), x + bend * smooth_field((n, n), (3, 3), rng)
    angle = rng.uniform(0, 2 * np.pi)
    return (np.cos(angle) * y - np.sin(angle) * x) * max(stretch, 1.0), np.sin(angle) * y + np.cos(angle) * x


def _strand(draw: Shape, n: int, rng: np.random.Generator) -> np.ndarray:
    return _never_empty(draw(n, rng))


def _clot(cells: int, order: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """What a smooth random field leaves above a level near the middle: dents, arms, holes."""
    axis = np.linspace(-1, 1, n, dtype=np.float32)
    far = np.hypot(axis[:, None], axis)
    return _never_empty(order * smooth_field((n, n), (cells, cells), rng) - 2.5 * far**2 > -0.9)


def _never_empty(mask: np.ndarray) -> np.ndarray:
    """The largest part of the mask; a full disc where a tiny or torn shape left nearly nothing."""
    mask = largest_part(mask)
    if mask.sum() >= 0.02 * mask.size:
        return mask
    axis = np.linspace(-1, 1, len(mask))
    return np.asarray(np.hypot(axis[:, None], axis) < 1)
