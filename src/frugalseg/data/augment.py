"""Augmentation of batches: parameters are drawn for each sample, then applied; nothing happens in place.

A sample's parameters depend on its own seed only, so a batch may be cut over processes. 2D and 3D are one code.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float32, UInt8
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from frugalseg.data.augment_intensity import IntensitySettings, change_intensity, draw_intensity
from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.settings import Settings


class AugmentSettings(Settings):
    """What may happen to a patch. The probabilities are nnU-Net's where it has one; `flip` names array axes."""

    flip: tuple[int, ...] = ()  # axes that may be mirrored; none by default, since anatomy has a left and a right
    turn_probability: float = Field(0.3, ge=0, le=1)  # of rotation, scaling and shift together
    angle: float = Field(15, ge=0, le=180)  # degrees, in every plane of two axes
    scale: float = Field(0.15, ge=0, lt=1)  # size changes by a factor in [1 - scale, 1 + scale]
    shift: float = Field(0.05, ge=0, le=0.5)  # of the patch's length
    intensity: IntensitySettings = IntensitySettings()


@dataclass(frozen=True)
class Placement:
    """How one patch is placed: which axes are mirrored, and the affine (ndim, ndim + 1) of `grid_sample`, or None."""

    flip: tuple[int, ...]
    affine: Tensor | None


def augment(batch: Batch, settings: AugmentSettings) -> Batch:
    """A changed copy: places first, then intensities. Unknown stays unknown, and what comes from outside is unknown."""
    ndim = batch.image.ndim - 2
    images, labels = [], []
    for image, label, rng in zip(batch.image, batch.label, batch.generators("augment"), strict=True):
        placed = place(image, label, draw_placement(settings, ndim, rng))
        images.append(change_intensity(placed[0], draw_intensity(settings.intensity, ndim, rng)))
        labels.append(placed[1])
    return replace(batch, image=torch.stack(images), label=torch.stack(labels))


def draw_placement(settings: AugmentSettings, ndim: int, rng: torch.Generator) -> Placement:
    """Random parameters of one sample."""
    flip = tuple(axis for axis in settings.flip if float(torch.rand((), generator=rng)) < 0.5)
    if float(torch.rand((), generator=rng)) >= settings.turn_probability:
        return Placement(flip, None)
    matrix = torch.eye(ndim)
    for i in range(ndim):
        for j in range(i + 1, ndim):
            matrix = matrix @ _rotation(ndim, i, j, torch.deg2rad(_within(settings.angle, rng)))
    factor = 1 + _within(settings.scale, rng)
    shift = torch.stack([2 * _within(settings.shift, rng) for _ in range(ndim)])  # the patch is 2 long in grid_sample
    return Placement(flip, torch.cat([matrix / factor, shift[:, None]], dim=1))


def place(
    image: Float32[Tensor, "K *space"], label: UInt8[Tensor, " *space"], placement: Placement
) -> tuple[Float32[Tensor, "K *space"], UInt8[Tensor, " *space"]]:
    """The patch mirrored and moved: the image by linear interpolation, the label by its nearest voxel."""
    if placement.flip:
        image = image.flip([axis + 1 for axis in placement.flip])
        label = label.flip(list(placement.flip))
    if placement.affine is None:
        return image, label
    size = list(label.shape)
    theta = _proportional(placement.affine, size).to(image.device)
    grid = F.affine_grid(theta[None], [1, 1, *size], align_corners=False)
    moved = F.grid_sample(image[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    # Values are shifted by 1 so that the zero which comes from outside means unknown.
    known = torch.where(label == UNKNOWN, 0, label + 1).float()
    nearest = F.grid_sample(known[None, None], grid, mode="nearest", padding_mode="zeros", align_corners=False)[0, 0]
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
