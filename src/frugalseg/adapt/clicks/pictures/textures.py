"""Textures: fields of zero mean and unit deviation on a rectangle. `size` is about the length of a grain in pixels."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage, spatial

from frugalseg.data.phantoms.noise import grain, smooth_field

Texture = Callable[[tuple[int, int], float, np.random.Generator], np.ndarray]


def _cells(shape: tuple[int, int], size: float) -> tuple[int, int]:
    return max(1, round(shape[0] / size)), max(1, round(shape[1] / size))


def _unit(field: np.ndarray) -> np.ndarray:
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-3), dtype=np.float32)


def clouds(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth lumps."""
    return _unit(smooth_field(shape, _cells(shape, 2 * size), rng))


def grains(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Filtered noise, as fine as a pixel or two."""
    return _unit(grain(shape, min(size / 4, 2.5), rng))


def fractal(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Lumps of all sizes from four grains down to half a grain."""
    return _unit(
        np.sum([smooth_field(shape, _cells(shape, size * 2.0**-k * 4), rng) * 2.0**-k for k in range(4)], axis=0)
    )


def stripes(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Waves of one direction, more or less bent."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    bent = rng.uniform(0, 3) * smooth_field(shape, (2, 2), rng)
    return _unit(np.sin(np.pi / size * (y * np.sin(angle) + x * np.cos(angle)) + bent))


def threads(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Bright and dark short threads of about one direction."""
    n = int(np.hypot(*shape)) + 2
    noise = ndimage.gaussian_filter(rng.standard_normal((n, n)).astype(np.float32), (min(size / 5, 1.5), 3 * size))
    turned = ndimage.rotate(noise, rng.uniform(0, 180), reshape=False, order=1, mode="reflect")
    top, left = (n - shape[0]) // 2, (n - shape[1]) // 2
    return _unit(turned[top : top + shape[0], left : left + shape[1]])


def dots(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Scattered round spots on an even ground."""
    return _unit(np.maximum(smooth_field(shape, _cells(shape, size), rng) - 0.9, 0))


def webs(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Thin lines that meet, as of foam, folds or membranes."""
    return _unit(np.exp(-((smooth_field(shape, _cells(shape, 3 * size), rng) / 0.25) ** 2)))


def flakes(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Polygons of different brightness, as of a ground metal."""
    n = max(4, int(min(shape[0] * shape[1] / (3 * size) ** 2, 400)))
    seeds = rng.uniform(0, 1, (n, 2)) * shape
    places = np.indices(shape).reshape(2, -1).T
    return _unit(rng.standard_normal(n)[spatial.KDTree(seeds).query(places)[1]].reshape(shape))


def checks(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """A regular grid of squares or of round pits, turned."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) * (np.pi / size)
    angle = rng.uniform(0, np.pi)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return _unit(np.tanh(rng.uniform(0.5, 5) * np.sin(u) * np.sin(v)))


def mosaic(shape: tuple[int, int], size: float, rng: np.random.Generator) -> np.ndarray:
    """Square patches of random brightness, like large pixels."""
    step = max(2, round(size))
    small = rng.standard_normal((shape[0] // step + 1, shape[1] // step + 1)).astype(np.float32)
    return _unit(small.repeat(step, 0).repeat(step, 1)[: shape[0], : shape[1]])


TEXTURES: Mapping[Texture, float] = {
    clouds: 3,
    grains: 4,
    fractal: 2,
    stripes: 1,
    threads: 1.5,
    dots: 2,
    webs: 1,
    flakes: 0.5,
    checks: 0.3,
    mosaic: 0.4,
}
"""How often each is drawn; ours."""
