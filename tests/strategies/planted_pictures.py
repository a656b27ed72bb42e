"""Pools of pictures with clear clusters: the slices of a patient show its own number and size of discs."""

from dataclasses import replace

import numpy as np
from embedding_worlds import Held
from scipy.ndimage import gaussian_filter

from frugalseg.data.case import Case
from frugalseg.data.pool import PoolView

SIDE = 32
LOOKS = ((1, 3), (1, 7), (1, 12), (2, 2), (2, 5), (3, 1.5), (3, 3.5), (4, 2))
"""Discs in a row and in a column, and their radius."""


def discs(look, rng):
    """A picture of one look, moved a little, with noise."""
    n, radius = LOOKS[look]
    rows, cols = np.mgrid[:SIDE, :SIDE]
    down, right = rng.uniform(-2, 2, 2)
    middles = (np.arange(n) + 0.5) * SIDE / n
    far = [np.hypot(rows - y - down, cols - x - right) for y in middles for x in middles]
    return ((np.min(far, axis=0) < radius) + rng.normal(0, 0.05, (SIDE, SIDE))).astype(np.float32)


def maps_of(x):
    """What a network might see (K, n, S, S): blurs, edges and excesses, whose means say the look and not the place."""
    blurred = [gaussian_filter(x, (0, sigma, sigma)) for sigma in (1, 2, 4)]
    return np.stack([x, *(m for b in blurred for m in (b**2, np.abs(b - x), np.maximum(b - 0.5, 0)))])


def patients(seed, *, cache=None):
    """A view of eight patients with twelve slices, of whom the first was scanned twice; and the look of each volume."""
    rng = np.random.default_rng(seed)
    looks = rng.permutation([0, *range(len(LOOKS))])
    sources = {f"v{k:02d}": Held(np.stack([discs(look, rng) for _ in range(12)])) for k, look in enumerate(looks)}
    cases = [Case(name, f"p{look}", s.geometry, s) for (name, s), look in zip(sources.items(), looks, strict=True)]
    view = PoolView(tuple(cases), {}.get, "slice", 0, cache=cache, seed=seed)
    view = replace(view, features=lambda case: maps_of(sources[case].array))
    return view, {case.id: int(look) for case, look in zip(cases, looks, strict=True)}
