"""Volumes like cardiac MRI: two bright chambers in one dark muscle, among vessels as bright and shadows as dark.

Where a chamber ends is plain to see; which of the bright things are the chambers must be learnt, and brightness, size
and direction differ from scan to scan. So a few drawn planes teach a network little of other scans, while a generalist
that is told where to look finds the border.
"""

import numpy as np

from frugalseg.data.phantoms.noise import bent_grid, scanned, smooth_field
from frugalseg.data.phantoms.source import PhantomKind

CLASSES = ("background", "left", "right")

OUTSIDE = 0.05
BLOOD, MUSCLE, TISSUE = (0.62, 0.95), (0.22, 0.40), (0.42, 0.60)
"""From the darkest to the brightest scan."""


def make_chambers(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One volume and its exact label."""
    grid = bent_grid(shape, 0.05, rng)
    label, muscle = _heart(grid, rng)
    blood, dark, tissue = (float(rng.uniform(*limits)) for limits in (BLOOD, MUSCLE, TISSUE))
    body = (grid[0] / 0.95) ** 2 + (grid[1] / 0.92) ** 2 < 1
    image = np.where(body, tissue, OUTSIDE).astype(np.float32)
    for brightness in (blood, blood, dark):
        image[(smooth_field(shape, (6, 6, 4), rng) > 1.15) & body] = brightness
    image[muscle] = dark
    image[label > 0] = blood
    return scanned(image, rng, coil=0.2, noise=0.05), {"exact": label}


def _heart(grid: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The label of a round left and a flat right chamber, and the mask of the muscle around them."""
    angle = rng.normal(0, 0.25)
    c, s = np.cos(angle), np.sin(angle)
    turned = np.stack([c * grid[0] - s * grid[1], s * grid[0] + c * grid[1], grid[2]])
    x, y, z = turned - rng.normal(0, 0.08, (3, 1, 1, 1)).astype(np.float32)
    size = rng.uniform(0.85, 1.15)
    left = np.sqrt((x / 0.30) ** 2 + ((y - 0.18) / 0.30) ** 2 + (size * z / 0.72) ** 2) / size
    right = np.sqrt(((x + 0.08) / 0.42) ** 2 + ((y + 0.34 * size) / 0.22) ** 2 + (size * z / 0.66) ** 2) / size
    wall = rng.uniform(1.25, 1.50)
    label = np.zeros(grid.shape[1:], np.uint8)
    label[(right < 1) & (left >= wall)] = 2
    label[left < 1] = 1
    return label, ((left < wall + 0.12) | (right < 1.22)) & (label == 0)


CHAMBERS = PhantomKind("chambers", make_chambers, CLASSES, shape=(48, 48, 32), spacing=(1.0, 1.0, 1.5))
