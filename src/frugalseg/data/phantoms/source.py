"""Phantoms as sources of images and labels: made when read."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.files import fingerprint_json
from frugalseg.seeds import stream

Make = Callable[[tuple[int, ...], np.random.Generator], tuple[np.ndarray, dict[str, np.ndarray]]]
"""Shape and random numbers -> image (uint8 or uint16) and the label of each rater (uint8 classes or int32 ids)."""


@dataclass(frozen=True)
class PhantomKind:
    """A kind of phantom: its name, how it is made, its classes, and the shape and spacing it has by default."""

    name: str
    make: Make
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    raters: tuple[str, ...] = ("exact",)
    smallest: int = 16  # voxels along an axis below which nothing can be seen


@dataclass(frozen=True)
class PhantomSource:
    """The image of one phantom; equal fields give equal bytes."""

    kind: PhantomKind = field(repr=False)
    seed: int
    index: int
    shape: tuple[int, ...]

    @property
    def geometry(self) -> Geometry:
        """Shape and spacing; volumes lie in the world with their centre at its origin."""
        if len(self.shape) == 2:
            return Geometry.plain(self.shape, self.kind.spacing)
        affine = np.diag([*self.kind.spacing, 1.0])
        affine[:3, 3] = [-s * (n - 1) / 2 for s, n in zip(self.kind.spacing, self.shape, strict=True)]
        return Geometry.from_affine(self.shape, affine)

    def make(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The image and the label of each rater."""
        return self.kind.make(self.shape, stream(self.seed, "phantom", self.kind.name, self.index))

    def read(self) -> Image:
        """The image."""
        return Image(self.make()[0], self.geometry)

    def fingerprint(self) -> str:
        """16 hex digits of kind, seed, index and shape."""
        return fingerprint_json([self.kind.name, self.seed, self.index, list(self.shape)])


@dataclass(frozen=True)
class PhantomTruth:
    """The complete label of one phantom by one rater."""

    source: PhantomSource
    rater: str

    def geometry(self) -> Geometry:
        """Where the phantom's voxels lie."""
        return self.source.geometry

    def read(self) -> SemanticLabel | InstanceLabel:
        """The label, exact by construction."""
        array = self.source.make()[1][self.rater]
        return InstanceLabel(array) if array.dtype == np.int32 else SemanticLabel(array, self.source.kind.classes)
