"""A unit: what one act of annotation buys."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from frugalseg.errors import DataError

UnitKind = Literal["image", "slice", "planes", "patch"]

_INDICES = {"image": (0,), "slice": (1,), "planes": (0, 3), "patch": (4, 6)}


@dataclass(frozen=True, order=True)
class Unit:
    """A whole image, one slice, three orthogonal planes or a patch of a case; indices in array order.

    `index` holds: image nothing; slice one index along `axis`; planes one index for each of the three axes, or
    nothing while nobody has placed them; patch the first corner, then the corner behind the last.
    """

    case: str
    kind: UnitKind = "image"
    axis: int = -1
    index: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.index) not in _INDICES[self.kind]:
            raise DataError(f"a unit of kind '{self.kind}' cannot have the index {self.index}")
        if (self.kind == "slice") != (self.axis >= 0):
            raise DataError(f"a unit of kind '{self.kind}' cannot have the axis {self.axis}")

    @property
    def is_placed(self) -> bool:
        """False for three planes whose position is still to be chosen."""
        return self.kind != "planes" or bool(self.index)

    def placed(self, index: tuple[int, int, int]) -> "Unit":
        """The same three planes at these positions."""
        return replace(self, index=index)

    def mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """Boolean array of the case's shape: the voxels this unit buys. Raises `DataError` where it lies outside."""
        mask = np.zeros(shape, bool)
        for region in self.regions(shape):
            mask[region] = True
        return mask

    def regions(self, shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
        """The index expressions of its parts: one, or three for planes (axis 0, 1, 2)."""
        whole = [slice(0, n) for n in shape]
        if self.kind == "image":
            return [tuple(whole)]
        if self.kind == "patch":
            half = len(self.index) // 2
            start, stop = self.index[:half], self.index[half:]
            if half != len(shape) or not all(0 <= a < b <= n for a, b, n in zip(start, stop, shape, strict=True)):
                raise DataError(f"{self} lies outside of its case's shape {shape}")
            return [tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
        if not self.is_placed:
            raise DataError(f"{self}: nobody has placed these planes yet")
        axes = [self.axis] if self.kind == "slice" else [0, 1, 2]
        if len(shape) != 3 or not all(0 <= k < shape[a] for a, k in zip(axes, self.index, strict=True)):
            raise DataError(f"{self} lies outside of its case's shape {shape}")
        return [
            tuple(slice(k, k + 1) if d == a else whole[d] for d in range(3))
            for a, k in zip(axes, self.index, strict=True)
        ]

    def __str__(self) -> str:
        where = "" if self.kind in ("image", "planes") and not self.index else " " + ",".join(map(str, self.index))
        return f"{self.case}: {self.kind}{f' axis {self.axis}' if self.axis >= 0 else ''}{where}"
