"""One lesion with a soft border, drawn by four raters who each keep to their own style."""

import numpy as np
from scipy import ndimage

from frugalseg.data.phantoms.noise import grain, smooth_field, to_uint8
from frugalseg.data.phantoms.source import PhantomKind

SIDE = 128
RATERS = ("generous", "shifted", "smooth", "tight")


def make_rated(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One image and a mask of each rater."""
    unit = min(shape) / SIDE
    depth = _depth(shape, unit, rng)
    softness = rng.uniform(2.5, 4.5) * unit
    lesion = 1 / (1 + np.exp(-depth / softness))
    lumps = smooth_field(shape, (9, 9), rng) > 1.0
    image = 0.4 + 0.08 * smooth_field(shape, (5, 5), rng) + 0.28 * lesion + 0.22 * lumps * (depth < -6 * unit)
    image = ndimage.gaussian_filter(image, 0.8) + 0.035 * grain(shape, 0.7, rng)
    image = image * np.exp(0.16 * smooth_field(shape, (2, 2), rng))
    return to_uint8(image), _drawn(depth, unit)


def _depth(shape: tuple[int, ...], unit: float, rng: np.random.Generator) -> np.ndarray:
    """Signed distance to the lesion's border in pixels, positive inside."""
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    centre = (0.5 + rng.uniform(-0.12, 0.12, 2)) * shape
    y, x = yy - centre[0], xx - centre[1]
    angle = np.arctan2(y, x)
    radius = rng.uniform(18, 27) * unit * np.ones(shape)
    for k in (2, 3, 5):
        radius = radius * (1 + rng.normal(0, 0.22 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)))
    inside = np.hypot(y, x) < radius
    signed = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    return np.asarray(signed, dtype=np.float32)


def _drawn(depth: np.ndarray, unit: float) -> dict[str, np.ndarray]:
    """The styles: well outside of the border, well inside, rounded off, and a little down and to the right."""
    shift = (max(1, round(2 * unit)), max(1, round(3 * unit)))
    masks = {
        "generous": depth > -2.5 * unit,
        "shifted": ndimage.shift(depth, shift, order=0, mode="nearest") > 0,
        "smooth": ndimage.gaussian_filter(depth, 5 * unit) > 0,
        "tight": depth > 2.5 * unit,
    }
    return {name: masks[name].astype(np.uint8) for name in RATERS}


RATED = PhantomKind("raters", make_rated, ("background", "lesion"), (SIDE, SIDE), (1.0, 1.0), raters=RATERS)
