"""The plan: which network, on which voxels. Made from the data; the user can read it and edit it."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from frugalseg.data.case import Case
from frugalseg.data.label import UNKNOWN
from frugalseg.data.pool import Pool
from frugalseg.errors import DataError, lookup
from frugalseg.settings import Settings, parse, read_yaml
from frugalseg.specialist import NETWORKS
from frugalseg.specialist.architecture import Architecture, Axes

MOST_CASES = 16
"""Cases that are looked at when a plan is made, spread over the pool; ours."""

PATCH_VOXELS = 100_000
"""A patch has at most about so many voxels, so that a step of `unet-small` takes parts of a second on a CPU; ours."""

DERIVED = {"widths", "strides", "kernels", "dropout"}
"""Fields that follow from the network, the patch and the spacing, so that whoever changes those leaves them out."""


class Plan(Settings):
    """How images are brought into one form, and the network that sees them. Axes are in array order.

    `widths`, `strides`, `kernels` and `dropout` follow the network, the patch and the spacing while they are left out.
    """

    ndim: Literal[2, 3] = Field(description="axes that the network sees: 2 or 3")
    axis: int | None = Field(default=None, ge=0, le=2, description="2D on volumes: slices are taken across this axis")
    channels: int = Field(default=1, ge=1, description="channels of an image")
    classes: tuple[str, ...] = Field(min_length=2, max_length=UNKNOWN, description="names, background first")
    spacing: tuple[float, ...] | None = Field(
        None, description="of a voxel in mm, images are resampled; null: as it is"
    )
    side: int | None = Field(
        None, ge=8, description="voxels of an image's longer side after resampling, where spacing is not known"
    )
    normalise: Literal["percentile", "zscore", "none"] = Field(
        default="percentile",
        description="percentile: clipped to 0.5..99.5 % of the image, then mean 0 and std 1; zscore: only that; "
        "none: as it is in the file",
    )
    patch: Axes = Field(description="voxels that the network sees at once")
    overlap: float = Field(default=0.5, ge=0, lt=1, description="of neighbouring patches in prediction, a share")
    step: Axes | None = Field(
        None, description="voxels from one patch to the next in prediction, in the place of overlap; null: from overlap"
    )
    blend: Literal["gaussian", "uniform"] = Field(
        default="gaussian", description="gaussian: patches count less at their borders in prediction; uniform: equally"
    )
    network: str = Field(default="unet-small", description=" | ".join(NETWORKS))
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="share of channels; null: as the network has it"
    )
    widths: tuple[int, ...] = Field(
        default=(), description="channels of each level, finest first; []: as the network has it"
    )
    strides: tuple[Axes, ...] = Field(default=(), description="into each level; []: from patch and spacing")
    kernels: tuple[Axes, ...] = Field(default=(), description="of each level; []: from patch and spacing")

    @field_validator("network")
    @classmethod
    def _known(cls, name: str) -> str:
        lookup(NETWORKS, name, "network")
        return name

    @model_validator(mode="after")
    def _fits(self) -> "Plan":
        by_axis = {
            "patch": (self.patch,),
            "spacing": (self.spacing,) if self.spacing else (),
            "step": (self.step,) if self.step else (),
        }
        for name, rows in {**by_axis, "strides": self.strides, "kernels": self.kernels}.items():
            if any(len(row) != self.ndim or min(row) <= 0 for row in rows):
                raise ValueError(f"{name} must hold {self.ndim} positive numbers, because ndim is {self.ndim}")
        if self.step and any(step > n for step, n in zip(self.step, self.patch, strict=True)):
            raise ValueError(f"steps of {self.step} leave gaps between patches of {self.patch}; make them smaller")
        if self.side is not None and self.spacing is not None:
            raise ValueError("images are brought to a side or to a spacing, not to both; set one of them to null")
        if self.axis is not None and self.ndim == 3:
            raise ValueError("axis is for 2D plans on volumes; set it to null, or ndim to 2")
        if len(self.strides) != len(self.kernels) or (self.strides and len(self.widths) != len(self.strides)):
            raise ValueError("widths, strides and kernels must have one entry for each level, or be left out")
        if any(k % 2 == 0 for row in self.kernels for k in row):
            raise ValueError("kernels must be odd")
        return self

    @property
    def space(self) -> int:
        """Spatial axes of an image: 3 for a 2D plan on volumes, else `ndim`."""
        return self.ndim if self.axis is None else 3

    def completed(self) -> "Plan":
        """The plan with everything said that follows from the rest, so that a later default changes nothing."""
        recipe = NETWORKS[self.network]
        recipe = replace(recipe, widths=self.widths or recipe.widths)
        strides, kernels = self.strides, self.kernels
        if not strides:
            strides, kernels = recipe.levels(self.patch, self.spacing or (1.0,) * self.ndim)
        widths = recipe.widths[: len(strides)]
        dropout = recipe.dropout if self.dropout is None else self.dropout
        return self.model_copy(update={"widths": widths, "strides": strides, "kernels": kernels, "dropout": dropout})

    def to_yaml(self) -> str:
        """The plan as text, one line a field with what it means; `read_plan` reads it back."""
        fields = self.model_dump(mode="json").items()
        lines = [f"{k}: {json.dumps(v)}  # {type(self).model_fields[k].description}" for k, v in fields]
        return "\n".join(lines) + "\n"


def read_plan(path: str | Path) -> Plan:
    """The plan in a YAML file; raises `SettingsError` that names the file and the key."""
    return parse(Plan, read_yaml(Path(path)), where=str(path))


def build_network(plan: Plan, *, seed: int) -> nn.Module:
    """The plan's network on the CPU, with weights that depend on the seed only; no other random stream moves."""
    p = plan.completed()
    architecture = Architecture(
        p.ndim, p.channels, len(p.classes), p.widths, p.strides, p.kernels, 0.0 if p.dropout is None else p.dropout
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return NETWORKS[p.network].build(architecture)


def make_plan(
    pool: Pool,
    *,
    ndim: Literal[2, 3] | None = None,
    axis: int | None = None,
    network: str = "unet-small",
    patch: Axes | None = None,
    dropout: float | None = None,
    patch_voxels: int = PATCH_VOXELS,
) -> Plan:
    """A plan from the median shape and spacing of at most 16 cases spread over the pool.

    Volumes of thick slices (spacing ratio of 3 or more) or of few (16 or fewer, and a third of the next axis) get a 2D
    plan, other volumes a 3D one; `ndim` or `axis` decide otherwise. Spacing is the median. Raises `DataError` when
    the cases differ in axes or channels, `SettingsError` for an unknown network.
    """
    lookup(NETWORKS, network, "network")
    cases = [pool.cases[i] for i in np.linspace(0, len(pool) - 1, min(len(pool), MOST_CASES)).round().astype(int)]
    space, channels = _same_axes(cases), _same_channels(cases)
    shape = np.median([c.geometry.shape for c in cases], axis=0)
    spacing = np.median([c.geometry.spacing for c in cases], axis=0)
    across = _across(space, shape, spacing, ndim=ndim, axis=axis)
    seen = [d for d in range(space) if d != across]
    mm = tuple(float(spacing[d]) for d in seen)
    size = tuple(round(float(shape[d])) for d in seen)
    return Plan(
        ndim=2 if len(seen) == 2 else 3,
        axis=across,
        channels=channels,
        classes=pool.classes,
        spacing=mm,
        patch=patch or _patch(size, mm, patch_voxels),
        network=network,
        dropout=dropout,
    ).completed()


def _same_axes(cases: Sequence[Case]) -> int:
    by_ndim = {c.geometry.ndim: c.id for c in cases}
    if len(by_ndim) > 1:
        raise DataError(
            f"{by_ndim[2]} is 2D and {by_ndim[3]} is 3D: make a pool of either, one specialist cannot do both"
        )
    return cases[0].geometry.ndim


def _same_channels(cases: Sequence[Case]) -> int:
    by_count = {c.image().channels: c.id for c in cases}
    if len(by_count) > 1:
        (n, a), (m, b), *_ = by_count.items()
        raise DataError(f"{a} has {n} channels and {b} has {m}: convert the images so that all have the same channels")
    return next(iter(by_count))


def _across(space: int, shape: np.ndarray, spacing: np.ndarray, *, ndim: int | None, axis: int | None) -> int | None:
    """The axis across which slices are taken, or None where the network sees all axes."""
    if space == 2:
        if ndim == 3 or axis is not None:
            raise DataError("the images are 2D: a 3D plan, or slices across an axis, need volumes")
        return None
    if ndim == 3:
        return None
    if axis is not None:
        return axis
    shortest, next_shape = int(np.argmin(shape)), np.sort(shape)[1]
    if spacing.max() >= 3 * spacing.min():
        return int(np.argmax(spacing))
    if ndim == 2 or (shape[shortest] <= 16 and 3 * shape[shortest] <= next_shape):
        return shortest
    return None


def _patch(size: Axes, spacing: tuple[float, ...], most: int) -> Axes:
    """The median image rounded up to multiples of 8, its longest axes (in mm) shortened to the voxel budget."""
    patch = [-(-n // 8) * 8 if n > 8 else n for n in size]
    while math.prod(patch) > most and max(patch) > 8:
        extent = [n * s if n > 8 else 0.0 for n, s in zip(patch, spacing, strict=True)]
        patch[extent.index(max(extent))] -= 8
    return tuple(patch)
