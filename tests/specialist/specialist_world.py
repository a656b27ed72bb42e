"""Pools of arrays, plans and a network that needs no training, for the tests of the specialist."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.pool import Pool
from frugalseg.files import fingerprint_array
from frugalseg.specialist.plan import Plan

CLASSES = ("background", "object")


@dataclass
class ArraySource:
    """An image in memory that counts how often it is read."""

    image: Image
    reads: list[int] = field(default_factory=list)

    def read(self) -> Image:
        self.reads.append(1)
        return self.image

    def fingerprint(self) -> str:
        return fingerprint_array(self.image.array)


def image_of(shape: tuple[int, ...], *, spacing: tuple[float, ...] | None = None, channels: int = 1) -> Image:
    """Noise whose values depend on the shape only."""
    rng = np.random.default_rng(shape)
    array = rng.normal(100, 20, shape if channels == 1 else (*shape, channels)).astype(np.float32)
    return Image(array, Geometry.plain(shape, spacing))


def pool_of(images: Sequence[Image], classes: tuple[str, ...] = CLASSES) -> Pool:
    ids = [f"case{i:03d}" for i in range(len(images))]
    return Pool([Case(i, i, m.geometry, ArraySource(m)) for i, m in zip(ids, images, strict=True)], classes)


def tiny_plan(ndim: int = 3, **changes: object) -> Plan:
    plan = {"ndim": ndim, "classes": CLASSES, "patch": (16,) * ndim, "network": "unet-tiny"}
    return Plan.model_validate({**plan, **changes})


class Brightness(nn.Module):
    """Calls what is brighter than the mean an object; its features are the image and its square."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(5.0))
        self.windows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x)[0]

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.windows.append(len(x))
        return torch.cat([-x[:, :1], x[:, :1]], 1) * self.gain, torch.cat([x, x**2], 1)
