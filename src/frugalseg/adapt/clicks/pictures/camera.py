"""What a camera or scanner makes of a scene: blur, uneven light, noise, coarse pixels, blocks, a curve.

Each fault maps a field (side, side) with values about 0..1 to another; a camera is a handful of them in their order.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft, ndimage

from frugalseg.adapt.clicks.pictures.chance import happens, log_uniform, pick, signed
from frugalseg.data.phantoms.noise import grain, rician, smooth_field

Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def blur(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus; at times along one direction only, as by motion or thick slices."""
    sigma = log_uniform(0.3, 1.6, rng) * len(x) / 128
    if happens(0.2, rng):
        return np.asarray(ndimage.gaussian_filter1d(x, 2 * sigma, axis=int(rng.integers(2))))
    return np.asarray(ndimage.gaussian_filter(x, sigma))


def coarse(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fewer pixels, brought back to the size with straight, nearest or cubic interpolation; at times in one axis."""
    side, factor = len(x), log_uniform(1.3, 6, rng)
    axes = (1, 1) if happens(0.7, rng) else pick(((1, 0), (0, 1)), rng)
    small = ndimage.zoom(x, [max(16, round(side / factor)) / side if a else 1 for a in axes], order=1)
    order = pick((0, 1, 1, 3) if factor < 3 else (1, 3), rng)
    back = ndimage.zoom(small, [side / n for n in small.shape], order=order)
    return np.asarray(back[:side, :side])


def ringing(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Only the low frequencies of each axis, so that sharp edges ring, as in MRI."""
    spectrum = fft.rfft2(x)
    keep = rng.uniform(0.25, 0.7)
    rows, columns = np.abs(fft.fftfreq(len(x)))[:, None], fft.rfftfreq(len(x))[None]
    return np.asarray(fft.irfft2(spectrum * ((rows < keep / 2) & (columns < keep / 2)), s=x.shape), dtype=np.float32)


def sharpened(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Edges overdrawn by a filter."""
    return np.asarray(x + rng.uniform(0.5, 2) * (x - ndimage.gaussian_filter(x, rng.uniform(0.7, 2.5))))


def uneven(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light or coil sensitivity that changes over the picture."""
    return np.asarray(x * np.exp(rng.uniform(0.1, 0.45) * smooth_field(x.shape, (2, 2), rng)))


def vignette(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dark corners."""
    axis = np.linspace(-1, 1, len(x), dtype=np.float32)
    far = np.hypot(axis[:, None] - rng.normal(0, 0.2), axis - rng.normal(0, 0.2))
    return np.asarray(x * (1 - rng.uniform(0.1, 0.4) * far**2))


def white(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of every pixel by itself."""
    return np.asarray(x + log_uniform(0.01, 0.12, rng) * rng.standard_normal(x.shape).astype(np.float32))


def clotted(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose neighbours agree, as after reconstruction or demosaicing."""
    return np.asarray(x + log_uniform(0.01, 0.10, rng) * grain(x.shape, rng.uniform(0.6, 1.5), rng))


def counted(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson noise of few photons."""
    photons = log_uniform(20, 600, rng)
    return np.asarray(rng.poisson(np.maximum(x, 0) * photons) / photons, dtype=np.float32)


def magnitude(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rician noise."""
    return rician(np.maximum(x, 0), log_uniform(0.01, 0.10, rng), rng)


def speckle(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that multiplies, in grains, as in ultrasound and OCT."""
    looks = log_uniform(8, 100, rng)
    noise = rng.gamma(looks, 1 / looks, x.shape).astype(np.float32)
    return np.asarray(x * (ndimage.gaussian_filter(noise, rng.uniform(0.4, 0.9)) if happens(0.5, rng) else noise))


def salt(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Single pixels that are black or white."""
    hit = rng.random(x.shape) < log_uniform(0.001, 0.03, rng)
    return np.asarray(np.where(hit, np.where(rng.random(x.shape) < 0.5, x.min(), x.max()), x))


def blocks(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cosine terms of 8 x 8 blocks rounded, the higher the more coarsely, as by JPEG."""
    side = len(x) // 8 * 8
    tiles = x[:side, :side].reshape(side // 8, 8, side // 8, 8)
    order = np.arange(8)
    step = rng.uniform(0.01, 0.06) * (1 + order[:, None, None] + order[None, None, :])
    terms = np.round(fft.dctn(tiles, axes=(1, 3), norm="ortho") / step) * step
    rounded = x.copy()
    rounded[:side, :side] = fft.idctn(terms, axes=(1, 3), norm="ortho").reshape(side, side)
    return rounded


def curve(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gamma, at times with the darkest or brightest part cut off."""
    low, high = np.percentile(x, (rng.uniform(0, 8) * happens(0.3, rng), 100 - rng.uniform(0, 8) * happens(0.3, rng)))
    return np.asarray(np.clip((x - low) / max(high - low, 1e-6), 0, 1) ** log_uniform(0.5, 2, rng))


def few_greys(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rounded to 8 to 40 grey values."""
    step = float(np.ptp(x)) / rng.integers(8, 41)
    return np.asarray(np.round(x / max(step, 1e-6)) * step)


def negative(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dark for bright."""
    return np.asarray(x.max() + x.min() - x)


OPTICS: tuple[tuple[Fault, float], ...] = ((blur, 0.6), (uneven, 0.35), (vignette, 0.15))
NOISES: tuple[Fault, ...] = (white, white, clotted, counted, magnitude, speckle)
AFTER: tuple[tuple[Fault, float], ...] = (
    (coarse, 0.25),
    (ringing, 0.1),
    (sharpened, 0.1),
    (salt, 0.05),
    (curve, 0.5),
    (few_greys, 0.05),
    (blocks, 0.12),
    (negative, 0.3),
)
"""Faults in their order, each with its chance; one noise, in a fifth two, lies between; ours."""


def photograph(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the camera gives of the brightness (side, side), between 0 and 1; noise is slight or strong by chance."""
    x = _stretched(light)
    for fault, chance in OPTICS:
        x = fault(x, rng) if happens(chance, rng) else x
    for _ in range(int(rng.choice(3, p=(0.1, 0.7, 0.2)))):
        x = pick(NOISES, rng)(x, rng)
    for fault, chance in AFTER:
        x = fault(x, rng) if happens(chance, rng) else x
    x = _stretched(x)
    return x if happens(0.7, rng) else np.clip(x * rng.uniform(0.3, 1) + signed(0, 0.2, rng), 0, 1)


def _stretched(x: np.ndarray) -> np.ndarray:
    low, high = np.percentile(x, (0.2, 99.8))
    return np.asarray(np.clip((x - low) / max(float(high - low), 1e-3), 0, 1.3), dtype=np.float32)
