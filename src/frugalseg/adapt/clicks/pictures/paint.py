"""Puts an object of a given look onto a canvas."""

import numpy as np
from scipy import ndimage

from frugalseg.adapt.clicks.pictures.looks import Look
from frugalseg.data.phantoms.noise import smooth_field

SIDE = 128
"""Pixels of the picture for which the lengths of a look are meant; others scale."""

Box = tuple[slice, slice]


def box_of(mask: np.ndarray, margin: int) -> Box:
    """The smallest rectangle around a mask that is not empty, widened by a margin inside the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def height_of(mask: np.ndarray) -> np.ndarray:
    """Signed distance from the border in pixels: 0.5, 1.5, ... inside, -0.5, ... outside; large where all is inside."""
    if mask.all():
        return np.full(mask.shape, float(max(mask.shape)), np.float32)
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    return np.asarray(np.where(mask, inside - 0.5, 0.5 - outside), dtype=np.float32)


def paint(canvas: np.ndarray, mask: np.ndarray, look: Look, rng: np.random.Generator) -> None:
    """Adds the object to the canvas (2, H, W), brightness and dye, in place."""
    unit = max(mask.shape) / SIDE
    reach = 3 * look.halo_reach if look.halo else 0.0
    box = box_of(mask, int(unit * max(reach, 3 * look.soft, 3 * look.rim_width, 2)) + 2)
    light, dye, inside = canvas[0][box], canvas[1][box], mask[box]
    height = height_of(inside) / unit
    alpha = np.clip(0.5 + height / max(look.soft, 0.5), 0, 1)
    alpha = alpha * alpha * (3 - 2 * alpha)
    around = float(light[inside].mean())
    fill = look.contrast + _shade(height, look) + (1 - look.clear) * (around - light)
    if look.rough and look.texture is not None:
        fill = fill + look.rough * look.texture((fill.shape[0], fill.shape[1]), look.grain * unit, rng)
    added = alpha * fill + _border(height, look, rng)
    if look.balanced:
        added += alpha * (look.contrast - float(added[inside].mean())) / float(alpha[inside].mean())
    light += added
    dye += alpha * (look.dye - dye)


def _shade(height: np.ndarray, look: Look) -> np.ndarray:
    """What changes slowly from border to middle and from side to side."""
    deep = np.clip(height / max(float(height.max()), 1.0), 0, 1)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in height.shape), indexing="ij")
    return np.asarray(look.dome * np.sqrt(deep) + look.tilt * (np.sin(look.angle) * y + np.cos(look.angle) * x))


def _border(height: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Rim, halo and relief."""
    added = np.zeros_like(height)
    if look.rim:
        added += look.rim * np.exp(-(((height - look.rim_shift) / look.rim_width) ** 2))
    if look.halo:
        added += look.halo * np.exp(np.minimum(height, 0) / look.halo_reach) * (height < 0)
    if look.broken:
        added *= np.clip((smooth_field(height.shape, (3, 3), rng) / 2 + 1 - look.broken) * 2, 0, 1)
    if look.relief:
        down, right = np.gradient(ndimage.gaussian_filter(height, 0.7))
        facing = np.sin(look.angle) * down + np.cos(look.angle) * right
        added += look.relief * facing * np.exp(-((height / (1.5 * look.rim_width)) ** 2))
    return added
