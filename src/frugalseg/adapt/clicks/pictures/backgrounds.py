"""What lies behind and before the objects: an even, sloping or textured ground; specks, threads, dirt, lines."""

from collections.abc import Callable, Mapping

import numpy as np

from frugalseg.adapt.clicks.pictures.chance import happens, log_uniform, pick, pick_weighted, signed
from frugalseg.adapt.clicks.pictures.placing import place
from frugalseg.adapt.clicks.pictures.shapes import draw_shape
from frugalseg.adapt.clicks.pictures.strands import crack, fibre
from frugalseg.adapt.clicks.pictures.textures import TEXTURES
from frugalseg.data.phantoms.noise import smooth_field


def ground(side: int, rng: np.random.Generator) -> np.ndarray:
    """A canvas (2, side, side) before anything lies on it: brightness about 0 to 1, and dye."""
    canvas = np.zeros((2, side, side), np.float32)
    canvas[0] = rng.uniform(0.05, 0.95)
    if happens(0.4, rng):
        y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, side, dtype=np.float32),) * 2, indexing="ij")
        angle = rng.uniform(0, 2 * np.pi)
        canvas[0] += rng.uniform(0, 0.5) * (np.sin(angle) * y + np.cos(angle) * x)
    if happens(0.4, rng):
        canvas[0] += rng.uniform(0, 0.2) * smooth_field((side, side), (2, 2), rng)
    for _ in range(int(rng.choice(3, p=(0.35, 0.45, 0.2)))):
        size = log_uniform(1.5, 20, rng) * side / 128
        canvas[0] += log_uniform(0.006, 0.2, rng) * pick_weighted(TEXTURES, rng)((side, side), size, rng)
    canvas[1] += rng.uniform(0, 0.3) * smooth_field((side, side), (3, 3), rng) * happens(0.5, rng)
    return canvas


def specks(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Small round spots, sharp, at times far brighter than all else."""
    side = canvas.shape[1]
    light: np.ndarray = canvas[0]
    strength = signed(0.1, 0.5, rng) * (3 if happens(0.2, rng) else 1)
    for _ in range(int(rng.integers(3, 60))):
        n = max(2, int(rng.uniform(1.5, 5) * side / 128))
        axis = np.linspace(-1, 1, n)
        spot = np.hypot(axis[:, None], axis) < (1 if n > 2 else 2)
        light[place(spot, rng.uniform(0, side, 2), side)] += strength * rng.uniform(0.5, 1)


def scratches(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Thin threads and cracks that are no objects."""
    side = canvas.shape[1]
    for _ in range(int(rng.integers(1, 4))):
        mask = place(pick((fibre, crack), rng)(int(side * rng.uniform(0.3, 1)), rng), rng.uniform(0, side, 2), side)
        canvas[0][mask] += signed(0.05, 0.35, rng)


def debris(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Lumps of all shapes, some as bright as an object, too small or too many to be meant."""
    side = canvas.shape[1]
    shape, strength = draw_shape(rng), signed(0.1, 0.5, rng)
    for _ in range(int(rng.integers(3, 25))):
        mask = place(shape(max(4, int(rng.uniform(0.02, 0.07) * side)), rng), rng.uniform(0, side, 2), side)
        canvas[0][mask] += strength * rng.uniform(0.5, 1.2)


def lines(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Rows or columns of another brightness: seams of a scanner, a ruler, curtains of an ion beam."""
    side = int(canvas.shape[1])
    profile = (rng.random(side) < rng.uniform(0.01, 0.3)) * rng.normal(0, 0.1, side)
    canvas[0] += profile[:, None] if happens(0.5, rng) else profile


CLUTTER: Mapping[Callable[[np.ndarray, np.random.Generator], None], float] = {
    specks: 2,
    scratches: 1,
    debris: 2,
    lines: 0.6,
}
"""How often each is drawn; ours."""


def strew_clutter(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Adds up to two sorts of clutter to the canvas, in place; none in half of all cases."""
    for _ in range(int(rng.choice(3, p=(0.5, 0.35, 0.15)))):
        pick_weighted(CLUTTER, rng)(canvas, rng)


def field_of_view(side: int, rng: np.random.Generator) -> np.ndarray:
    """Mask of what the camera sees: all, but in a tenth of the cases only a disc, a fan or a rectangle of it."""
    if happens(0.9, rng):
        return np.ones((side, side), bool)
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    kind = int(rng.integers(3))
    if kind == 0:
        return np.asarray(np.hypot(y, x) < rng.uniform(0.85, 1.1))
    if kind == 1:
        return np.asarray((np.abs(np.arctan2(x, y + 1.1)) < rng.uniform(0.4, 0.8)) & (np.hypot(x, y + 1.1) < 2.05))
    return np.asarray((np.abs(y) < rng.uniform(0.6, 1.1)) & (np.abs(x) < rng.uniform(0.6, 1.1)))
