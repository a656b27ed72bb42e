"""Overlapping shapes of several classes: what a shape is, not how bright it is, gives its class."""

import numpy as np

from frugalseg.data.phantoms.noise import grain, smooth_field, to_uint8
from frugalseg.data.phantoms.source import PhantomKind

CLASSES = ("background", "disc", "square", "triangle")
SIDE = 160


def make_shapes(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One image with its classes (uint8) and ids (int32); the shape in front owns the overlap."""
    unit = min(shape) / SIDE
    classes, ids = np.zeros(shape, np.uint8), np.zeros(shape, np.int32)
    image = 0.5 + 0.14 * smooth_field(shape, (4, 4), rng)
    number = 0
    for _ in range(int(rng.integers(8, 15))):
        value = int(rng.integers(1, 4))
        mask = _shape(value, shape, rng.uniform(9, 22) * unit, rng)
        if mask.any():
            number += 1
            classes[mask], ids[mask] = value, number
            image = np.where(mask, 0.5 + rng.normal(0, 0.16) + 0.05 * grain(shape, rng.uniform(0.5, 2), rng), image)
    image = image * np.exp(0.2 * smooth_field(shape, (2, 2), rng)) + rng.normal(0, 0.05, shape)
    return to_uint8(image), classes, np.unique(ids, return_inverse=True)[1].reshape(shape).astype(np.int32)


def _shape(value: int, shape: tuple[int, ...], size: float, rng: np.random.Generator) -> np.ndarray:
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y, x = yy - rng.uniform(0, shape[0]), xx - rng.uniform(0, shape[1])
    if value == 1:
        return np.asarray(np.hypot(y, x) < size)
    sides, angle = {2: 4, 3: 3}[value], rng.uniform(0, 2 * np.pi)
    normals = angle + 2 * np.pi * np.arange(sides) / sides
    inner = size * np.cos(np.pi / sides) * 1.2  # a polygon of about the disc's area
    return np.asarray(np.all([np.cos(a) * x + np.sin(a) * y < inner for a in normals], axis=0))


def _semantic(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    image, classes, _ = make_shapes(shape, rng)
    return image, {"exact": classes}


def _instances(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    image, _, ids = make_shapes(shape, rng)
    return image, {"exact": ids}


SHAPES = PhantomKind("shapes", _semantic, CLASSES, shape=(SIDE, SIDE), spacing=(1.0, 1.0))
SHAPES_INSTANCES = PhantomKind(
    "shapes-instances", _instances, ("background", "object"), shape=(SIDE, SIDE), spacing=(1.0, 1.0)
)
