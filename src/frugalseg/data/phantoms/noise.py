"""Random fields that phantoms are made of."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def smooth_field(shape: Sequence[int], cells: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A smooth random field of about unit deviation that changes over a cell of the grid; float32.

    A small grid of normal numbers is interpolated by cubic splines, which costs far less than a wide filter.
    """
    field = rng.standard_normal([c + 3 for c in cells]).astype(np.float32)
    for axis, (n, c) in enumerate(zip(shape, cells, strict=True)):
        weights = _cubic_weights(n, c)
        field = np.moveaxis(np.tensordot(weights, field, axes=(1, axis)), 0, axis)
    return np.asarray(
        field / 0.69 ** len(shape), dtype=np.float32
    )  # a cubic B-spline keeps 0.69 of the deviation an axis


def _cubic_weights(n: int, cells: int) -> np.ndarray:
    """(n, cells + 3) uniform cubic B-spline basis over n points."""
    position = np.linspace(0, cells, n, endpoint=False)
    first = np.floor(position).astype(int)
    t = position - first
    basis = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
    weights = np.zeros((n, cells + 3), np.float32)
    for k in range(4):
        weights[np.arange(n), first + k] = basis[:, k]
    return weights


def rician(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """The magnitude of a signal with complex noise, as in MRI."""
    real, imaginary = rng.standard_normal((2, *image.shape)).astype(np.float32) * sigma
    return np.asarray(np.hypot(image + real, imaginary))


def grain(shape: Sequence[int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Fine texture of unit deviation: filtered noise."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma)
    return np.asarray(noise / noise.std())


def bent_grid(shape: Sequence[int], bend: float, rng: np.random.Generator) -> np.ndarray:
    """Coordinates (3, *shape) from -1 to 1, each moved by a smooth field of deviation `bend`; float32."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
    return np.stack([a + bend * smooth_field(shape, (3, 3, 3), rng) for a in axes])


def scanned(image: np.ndarray, rng: np.random.Generator, *, coil: float, noise: float) -> np.ndarray:
    """What a scanner makes of a volume, as uint8: texture, partial volume, an uneven coil, noise."""
    image = image + 0.03 * grain(image.shape, 0.8, rng)
    blurred = np.pad(image, 1, mode="edge")
    for axis in range(3):
        blurred = 0.5 * blurred + 0.25 * (np.roll(blurred, 1, axis) + np.roll(blurred, -1, axis))
    blurred = blurred[1:-1, 1:-1, 1:-1]
    field = np.exp(coil * smooth_field(image.shape, (2, 2, 2), rng))
    return to_uint8(rician(blurred * field, noise, rng))


def to_uint8(image: np.ndarray) -> np.ndarray:
    """An image scaled so that its 0.1 and 99.9 percentiles are 5 and 250."""
    low, high = np.percentile(image, (0.1, 99.9))
    return np.asarray(np.clip(5 + (image - low) / max(high - low, 1e-6) * 245, 0, 255), dtype=np.uint8)
