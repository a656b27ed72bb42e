"""Closed shapes as rules on coordinates: (y, x) from -1 to 1 in, inside or not out.

A rule may draw its own parameters; turning, stretching and bending happen to the coordinates before, in `shapes`.
"""

from collections.abc import Callable, Mapping

import numpy as np

from frugalseg.adapt.clicks.pictures.chance import log_uniform

Outline = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def ellipse(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A disc; stretched coordinates make an ellipse of it."""
    return np.asarray(np.hypot(y, x) < 1)


def superellipse(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """From a four-pointed star over a diamond to a box with round corners."""
    power = log_uniform(0.5, 8, rng)
    return np.asarray(np.abs(y) ** power + np.abs(x) ** power < 1)


def wavy(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A disc whose radius swings with the angle: lobes, dents, cell-like borders."""
    angle = np.arctan2(y, x)
    order = np.arange(1, 8)
    size = rng.normal(0, 1, 7) * rng.uniform(0.05, 0.5) / order ** rng.uniform(0.3, 1.3)
    phase = rng.uniform(0, 2 * np.pi, 7)
    radius = 1 + sum(a * np.cos(k * angle + p) for a, k, p in zip(size, order, phase, strict=True))
    return np.asarray(np.hypot(y, x) * (1 + np.abs(size).sum() * 0.7) < radius)


def polygon(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A convex polygon with three to eight sides of different distance."""
    sides = int(rng.integers(3, 9))
    normals = 2 * np.pi * (np.arange(sides) + rng.uniform(-0.3, 0.3, sides)) / sides
    far = rng.uniform(0.45, 0.85, sides)
    return np.asarray(np.all([np.cos(a) * x + np.sin(a) * y < d for a, d in zip(normals, far, strict=True)], axis=0))


def star(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A body with three to nine pointed arms of different length."""
    arms = int(rng.integers(3, 10))
    angle = np.arctan2(y, x)
    core = rng.uniform(0.2, 0.5)
    radius = np.full_like(angle, core)
    for a in 2 * np.pi * (np.arange(arms) + rng.uniform(-0.3, 0.3, arms)) / arms:
        near = (1 + np.cos(angle - a)) / 2
        radius += (1 - core) * rng.uniform(0.3, 1) * near ** rng.uniform(10, 60)
    return np.asarray(np.hypot(y, x) < radius)


def crescent(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A disc without a disc beside its middle."""
    shift, bite = rng.uniform(0.25, 0.8), rng.uniform(0.6, 1.0)
    return np.asarray((np.hypot(y, x) < 1) & (np.hypot(y, x - shift) > bite))


def ring(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A wall of uneven thickness around a hole; at times with a gap."""
    angle = np.arctan2(y, x)
    gap = np.cos(angle) > rng.uniform(0.4, 1.6)
    hole = np.hypot(y - rng.uniform(-0.1, 0.1), x - rng.uniform(-0.1, 0.1)) < rng.uniform(0.4, 0.85)
    return np.asarray((np.hypot(y, x) < 1) & ~hole & ~gap)


def lobes(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two to six discs grown together."""
    heat = np.zeros_like(y)
    for _ in range(int(rng.integers(2, 7))):
        away, angle = rng.uniform(0.1, 0.6), rng.uniform(0, 2 * np.pi)
        radius = rng.uniform(0.15, 0.4)
        heat += radius**2 / ((y - away * np.sin(angle)) ** 2 + (x - away * np.cos(angle)) ** 2 + 1e-3)
    return np.asarray(heat > 1)


def bitten(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A disc from whose border or inside one to six discs are missing."""
    inside = np.hypot(y, x) < 1
    for _ in range(int(rng.integers(1, 7))):
        away, angle = rng.uniform(0.2, 1.1), rng.uniform(0, 2 * np.pi)
        inside &= np.hypot(y - away * np.sin(angle), x - away * np.cos(angle)) > rng.uniform(0.1, 0.4)
    return np.asarray(inside)


def bean(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rod bent to an arc, thicker at one end: a bean, a comma, a banana."""
    bend, taper = rng.uniform(0.2, 0.8), rng.uniform(-0.5, 0.5)
    thick = rng.uniform(0.15, 0.4) * (1 + taper * x)
    middle = bend * (x**2 - 0.4)
    return np.asarray(((y - middle) / thick) ** 2 + np.abs(x / 0.95) ** rng.uniform(2, 6) < 1)


def box(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box; at times with a corner cut out, so that it is an L or a step."""
    cut = (y > rng.uniform(-0.5, 1.5)) & (x > rng.uniform(-0.5, 1.5))
    return np.asarray((np.maximum(np.abs(y), np.abs(x)) < 0.75) & ~cut)


def cross(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two bars across each other, or a T."""
    wide, high = rng.uniform(0.1, 0.35, 2)
    upright = (np.abs(x) < wide) & (np.abs(y) < 0.95) & (y > rng.uniform(-2.5, 0))
    return np.asarray(upright | ((np.abs(y) < high) & (np.abs(x) < 0.95)))


def sector(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece of cake, from a narrow wedge to a disc that lacks one."""
    return np.asarray((np.hypot(y, x) < 1) & (np.abs(np.arctan2(y, x)) < rng.uniform(0.5, 2.9)))


OUTLINES: Mapping[Outline, float] = {
    ellipse: 4,
    superellipse: 1.5,
    wavy: 5,
    polygon: 1.5,
    star: 2,
    crescent: 1,
    ring: 1.5,
    lobes: 2,
    bitten: 1.5,
    bean: 2,
    box: 0.7,
    cross: 0.5,
    sector: 0.5,
}
"""How often each is drawn; ours."""
