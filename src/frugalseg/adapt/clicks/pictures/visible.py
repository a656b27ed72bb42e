"""Whether an object can be told from what is around it, so that no click is trained on what nobody could see."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from frugalseg.adapt.clicks.pictures.paint import box_of, height_of

SECTORS = 8
"""Parts of the border that are judged by themselves; half as many for an object below 100 pixels."""

FAINTEST = 3.0
"""Grey values (of 255) below which no difference is seen, however calm the picture; ours."""


@dataclass(frozen=True, eq=False)
class Cues:
    """(F, H, W) what an eye may go by, how much each differs by chance between neighbouring spots, and their width."""

    field: np.ndarray
    chance: np.ndarray
    width: float


def cues_of(image: np.ndarray) -> Cues:
    """Brightness (of each colour), steepness and fineness of the texture, smoothed a little."""
    x = np.atleast_3d(image).astype(np.float32).transpose(2, 0, 1)
    calm = np.stack([ndimage.gaussian_filter(channel, 1.0, truncate=3) for channel in x])
    light = calm.mean(0)
    steep = ndimage.gaussian_filter(np.hypot(*np.gradient(light)), 1.5, truncate=2)
    fine = ndimage.gaussian_filter(np.abs(x.mean(0) - light), 2.0, truncate=2)
    field = np.stack([*calm, steep, fine])
    width = max(2.0, 0.03 * len(image))
    return Cues(field, _chance(field, width), width)


def _chance(field: np.ndarray, width: float) -> np.ndarray:
    """(F,) the difference between spots of a band's width, one width apart, that two in three do not reach."""
    step = round(width) + 1
    spots = np.stack([ndimage.uniform_filter(cue, step) for cue in field])[:, :: step // 2, :: step // 2]
    down = np.abs(spots[:, 2:] - spots[:, :-2]).reshape(len(field), -1)
    right = np.abs(spots[:, :, 2:] - spots[:, :, :-2]).reshape(len(field), -1)
    return np.asarray(np.maximum(np.percentile(np.concatenate([down, right], 1), 67, axis=1), FAINTEST))


def is_visible(mask: np.ndarray, cues: Cues, *, least: float = 1.2) -> bool:
    """True when along 60 % of the border one cue differs in the same direction between outside and inside or border.

    Differences are in those that occur by chance. Where one is 2.5 times `least`, cue and direction may change along
    the border. The limits were set by looking at pictures.
    """
    box = box_of(mask, int(3 * cues.width) + 1)
    sectors = SECTORS if mask.sum() >= 100 else SECTORS // 2
    group = _bands(mask[box], cues.width, sectors)
    area = (round(cues.width) + 1) ** 2
    field = cues.field[(slice(None), *box)]
    apart = np.concatenate([_differences(c, group, sectors, area) / s for c, s in zip(field, cues.chance, strict=True)])
    judged = apart[:, ~np.isnan(apart).all(0)]
    if judged.shape[1] < sectors // 2:
        return False
    steady = max(np.mean(judged >= least, 1).max(), np.mean(judged <= -least, 1).max())
    strong = np.mean(np.nanmax(np.abs(judged), 0) >= 2.5 * least)
    return bool(max(steady, strong) >= 0.6)


def _bands(inside: np.ndarray, width: float, sectors: int) -> np.ndarray:
    """Band (border 0, inside 1, outside 2) x sectors + sector of each pixel; 3 x sectors where it is far away."""
    height = height_of(inside)
    y, x = np.mgrid[: height.shape[0], : height.shape[1]]
    angle = np.arctan2(y - y[inside].mean(), x - x[inside].mean())
    sector = np.minimum((angle + np.pi) / (2 * np.pi) * sectors, sectors - 1).astype(int)
    near = np.abs(height)
    band = np.select([near <= 1, (near <= width + 1) & inside, near <= width + 1], [0, 1, 2], 3)
    return np.where(band < 3, band * sectors + sector, 3 * sectors)


def _differences(cue: np.ndarray, group: np.ndarray, sectors: int, area: int) -> np.ndarray:
    """(2, sectors) border less outside and inside less outside; NaN where a band is missing.

    Bands smaller than `area` pixels, that of a spot, differ more by chance, so their differences count less.
    """
    flat, n = group.ravel(), 3 * sectors + 1
    count = np.bincount(flat, minlength=n)[:-1].reshape(3, sectors).astype(float)
    count[count < 2] = np.nan
    mean = np.bincount(flat, cue.ravel(), n)[:-1].reshape(3, sectors) / count
    return np.asarray((mean[:2] - mean[2]) / np.sqrt(0.5 + 0.5 * area / np.minimum(count[:2], area)))
