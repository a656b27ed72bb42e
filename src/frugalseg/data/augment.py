"""Augmentation of batches: parameters are drawn for each sample, then applied; nothing happens in place.

A sample's parameters depend on its own seed only, so a batch may be cut over processes. 2D and 3D are one code.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float32, UInt8
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional as F

from frugalseg.data.augment_intensity import IntensitySettings, change_intensity, draw_intensity
from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import SettingsError
from frugalseg.settings import Settings


class AugmentSettings(Settings):
    """What may happen to a patch. The probabilities are nnU-Net's where it has one; `flip` names array axes."""

    flip: tuple[int, ...] = ()  # axes that may be mirrored; none by default, since anatomy has a left and a right
    quarter_turns: tuple[int, ...] = ()  # two axes in whose plane a patch is turned by 0, 90, 180 or 270 degrees
    turn_probability: float = Field(0.3, ge=0, le=1)  # of rotation, scaling and shift together
    angle: float = Field(15, ge=0, le=180)  # degrees, in every plane of two axes
    scale: float = Field(0.15, ge=0, lt=1)  # size changes by a factor in [1 - scale, 1 + scale]
    shift: float = Field(0.05, ge=0, le=0.5)  # of the patch's length
    intensity: IntensitySettings = IntensitySettings()

    @field_validator("quarter_turns")
    @classmethod
    def _name_a_plane(cls, axes: tuple[int, ...]) -> tuple[int, ...]:
        if axes and (len(axes) != 2 or axes[0] == axes[1] or min(axes) < 0):
            raise ValueError("quarter turns need two different axes from 0 on, or none")
        return axes


@dataclass(frozen=True)
class Placement:
    """How one patch is placed: first quarter turns (how many, axes), then mirrored axes, then an affine or None.

    The affine is that of `grid_sample`, (ndim, ndim + 1).
    """

    flip: tuple[int, ...]
    affine: Tensor | None
    turns: tuple[int, tuple[int, int]] | None = None


def augment(batch: Batch, settings: AugmentSettings) -> Batch:
    """A changed copy: places first, then intensities. Unknown stays unknown, and what comes from outside is unknown."""
    ndim = batch.image.ndim - 2
    label = batch.label[:, None]
    maps = label if batch.pseudo is None else torch.cat([label, batch.pseudo], 1)
    images, placed = [], []
    for image, of_sample, rng in zip(batch.image, maps, batch.generators("augment"), strict=True):
        image, of_sample = place(image, of_sample, draw_placement(settings, ndim, rng))
        images.append(change_intensity(image, draw_intensity(settings.intensity, ndim, rng)))
        placed.append(of_sample)
    maps = torch.stack(placed)
    pseudo = None if batch.pseudo is None else maps[:, 1:]
    return replace(batch, image=torch.stack(images), label=maps[:, 0], pseudo=pseudo)


def draw_placement(settings: AugmentSettings, ndim: int, rng: torch.Generator) -> Placement:
    """Random parameters of one sample."""
    flip = tuple(axis for axis in settings.flip if float(torch.rand((), generator=rng)) < 0.5)
    turns = None
    if settings.quarter_turns:
        one, other = settings.quarter_turns
        turns = int(torch.randint(4, (), generator=rng)), (one, other)
    if float(torch.rand((), generator=rng)) >= settings.turn_probability:
        return Placement(flip, None, turns)
    matrix = torch.eye(ndim)
    for i in range(ndim):
        for j in range(i + 1, ndim):
            matrix = matrix @ _rotation(ndim, i, j, torch.deg2rad(_within(settings.angle, rng)))
    factor = 1 + _within(settings.scale, rng)
    shift = torch.stack([2 * _within(settings.shift, rng) for _ in range(ndim)])  # the patch is 2 long in grid_sample
    return Placement(flip, torch.cat([matrix / factor, shift[:, None]], dim=1), turns)


def place(
    image: Float32[Tensor, "K *space"], maps: UInt8[Tensor, "M *space"], placement: Placement
) -> tuple[Float32[Tensor, "K *space"], UInt8[Tensor, "M *space"]]:
    """The patch turned, mirrored and moved: the image by linear interpolation, its label maps by the nearest voxel.

    Raises `SettingsError` for quarter turns of a patch that lacks these axes or is not square in their plane.
    """
    if placement.turns is not None:
        n, (one, other) = placement.turns
        if max(one, other) >= maps.ndim - 1 or maps.shape[1 + one] != maps.shape[1 + other]:
            raise SettingsError(
                f"quarter_turns {(one, other)}: a patch of {tuple(maps.shape[1:])} must be equally long along both axes"
            )
        image, maps = (x.rot90(n, (one + 1, other + 1)) for x in (image, maps))
    if placement.flip:
        image, maps = (x.flip([axis + 1 for axis in placement.flip]) for x in (image, maps))
    if placement.affine is None:
        return image, maps
    size = list(maps.shape[1:])
    theta = _proportional(placement.affine, size).to(image.device)
    grid = F.affine_grid(theta[None], [1, 1, *size], align_corners=False)
    moved = F.grid_sample(image[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    # Values are shifted by 1 so that the zero which comes from outside means unknown.
    known = torch.where(maps == UNKNOWN, 0, maps + 1).float()
    nearest = F.grid_sample(known[None], grid, mode="nearest", padding_mode="zeros", align_corners=False)[0]
    return moved, torch.where(nearest == 0, UNKNOWN, nearest - 1).to(torch.uint8)


def _proportional(affine: Tensor, size: list[int]) -> Tensor:
    """The affine between coordinates that run from -1 to 1 along axes of different lengths; (x, y, z) order."""
    lengths = torch.tensor(size, dtype=torch.float32)
    matrix = affine[:, :-1] * lengths[None, :] / lengths[:, None]
    return torch.cat([matrix.flip(0).flip(1), affine[:, -1:].flip(0)], dim=1)


def _rotation(ndim: int, i: int, j: int, angle: Tensor) -> Tensor:
    matrix = torch.eye(ndim)
    matrix[i, i] = matrix[j, j] = torch.cos(angle)
    matrix[i, j], matrix[j, i] = -torch.sin(angle), torch.sin(angle)
    return matrix


def _within(limit: float, rng: torch.Generator) -> Tensor:
    """A number in [-limit, limit]."""
    return limit * (2 * torch.rand((), generator=rng) - 1)
