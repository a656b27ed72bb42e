"""Random views of small pictures for contrastive learning; a whole batch at once.

A view's parameters depend on its own seed only. The training's own `frugalseg.data.augment` places one patch after
the other, together with its label; here there is no label, and one call of `grid_sample` does the whole batch.
"""

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from frugalseg.settings import Settings

PUBLISHED_SIDE = 256
"""Pixels of the pictures that the blur was published for."""


class ViewSettings(Settings):
    """How far a view may lie from its picture. The defaults are CoreCLR's, which leave intensities alone."""

    crop: float = Field(0.8, gt=0, le=1)  # least part of the area that is kept, at aspects from 3:4 to 4:3
    flip: float = Field(0.5, ge=0, le=1)  # how often left and right change places
    angle: float = Field(15, ge=0, le=180)  # degrees
    shift: float = Field(0.2, ge=0, le=1)  # of the side, along both axes
    scale: float = Field(0.2, ge=0, lt=1)  # size changes by a factor in [1 - scale, 1 + scale]
    shear: float = Field(10, ge=0, lt=45)  # degrees
    blur: tuple[float, float] = (0.1, 2.0)  # standard deviation in pixels of a picture of 256
    erase: float = Field(0.2, ge=0, le=1)  # how often a rectangle of 2 to 33 % is made black
    gamma: float = Field(0.0, ge=0)  # the logarithm of the exponent lies in [-gamma, gamma]; ours


def make_views(x: Float[Tensor, "B K S S"], seeds: tuple[int, ...], settings: ViewSettings) -> Float[Tensor, "B K S S"]:
    """One random view of each picture, 0 to 1; what comes from outside is 0."""
    rngs = [np.random.default_rng(seed) for seed in seeds]
    theta = torch.from_numpy(np.stack([_affine(settings, rng) for rng in rngs])).to(x)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if settings.gamma:
        exponents = np.exp([rng.uniform(-settings.gamma, settings.gamma) for rng in rngs])
        x = x.clamp(min=0) ** torch.from_numpy(exponents).to(x)[:, None, None, None]
    low, high = (sigma * x.shape[-1] / PUBLISHED_SIDE for sigma in settings.blur)
    x = _blurred(x, torch.from_numpy(np.array([rng.uniform(low, high) for rng in rngs])).to(x))
    return x * torch.stack([_kept(x.shape[-1], settings.erase, rng) for rng in rngs]).to(x)[:, None]


def _affine(settings: ViewSettings, rng: np.random.Generator) -> np.ndarray:
    """Crop, mirror, turn, shear, scale and shift as the 2 x 3 matrix of `affine_grid`: output to input, (x, y)."""
    area, aspect = rng.uniform(settings.crop, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    if settings.crop == 1:
        aspect = 1.0
    size = np.minimum(np.sqrt(area * np.array([aspect, 1 / aspect])), 1)
    mirrored = np.array([-1.0 if rng.random() < settings.flip else 1.0, 1.0])
    crop = np.column_stack([np.diag(size * mirrored), rng.uniform(-1, 1, 2) * (1 - size)])
    angle, shear = np.deg2rad(rng.uniform(-1, 1, 2) * (settings.angle, settings.shear))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1, np.tan(shear)], [0, 1]]) / rng.uniform(1 - settings.scale, 1 + settings.scale)
    shift = 2 * settings.shift * rng.uniform(-1, 1, 2)  # the picture is 2 long in grid_sample
    return np.column_stack([linear @ crop[:, :2], linear @ crop[:, 2] + shift])


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Each picture with its own Gaussian of five taps, along both axes, edges repeated."""
    b, k, height, width = x.shape
    taps = torch.exp(-0.5 * (torch.arange(-2.0, 3.0).to(x)[None] / sigma[:, None]).square())
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(k, 0)  # B*K 5
    flat = F.pad(x.reshape(1, b * k, height, width), (2, 2, 2, 2), mode="replicate")
    flat = F.conv2d(flat, taps[:, None, None, :], groups=b * k)
    return F.conv2d(flat, taps[:, None, :, None], groups=b * k).reshape(x.shape)


def _kept(side: int, probability: float, rng: np.random.Generator) -> Tensor:
    """1 everywhere, but for the rectangle that is erased."""
    kept = torch.ones(side, side)
    if rng.random() < probability:
        area, aspect = rng.uniform(0.02, 0.33), np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
        h, w = (max(1, min(side, round(side * np.sqrt(area * a)))) for a in (aspect, 1 / aspect))
        top, left = int(rng.integers(side - h + 1)), int(rng.integers(side - w + 1))
        kept[top : top + h, left : left + w] = 0
    return kept
