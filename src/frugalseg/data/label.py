"""Labels: semantic maps that know where nobody has looked, and instance maps. Two types that cannot be mixed up."""

from dataclasses import dataclass

import numpy as np

from frugalseg.errors import DataError, LabelValueError

UNKNOWN = 255
"""Value of a semantic label where nobody has looked. Dense, planes, scribbles and patches are one type thereby."""

UNKNOWN_INSTANCE = -1
"""Value of an instance map where nobody has looked (0 is background)."""


@dataclass(frozen=True, eq=False)
class SemanticLabel:
    """Classes as uint8 of shape (*space): 0 background, 1..n-1 objects, `UNKNOWN` (255) where nobody has looked.

    `classes` are the names, background first. Raises `LabelValueError` for values outside of them.
    """

    array: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.array, np.ndarray) or self.array.dtype != np.uint8 or self.array.ndim not in (2, 3):
            raise DataError("a semantic label is a 2D or 3D uint8 array; map the values of a file when reading it")
        if not 2 <= len(self.classes) <= UNKNOWN:
            raise DataError(f"a label needs between 2 and {UNKNOWN} classes, background first, not {len(self.classes)}")
        # One more turns UNKNOWN into 0 and takes one byte a voxel; counting values takes eight.
        if self.array.size and int((self.array + np.uint8(1)).max()) > len(self.classes):
            present = np.flatnonzero(np.bincount(self.array.ravel(), minlength=256))
            wrong = [int(v) for v in present if len(self.classes) <= v < UNKNOWN]
            raise LabelValueError(
                f"label values {wrong[:8]} are not among 0..{len(self.classes) - 1} ({', '.join(self.classes)}) "
                f"or {UNKNOWN} (nobody looked)"
            )

    @classmethod
    def empty(cls, shape: tuple[int, ...], classes: tuple[str, ...]) -> "SemanticLabel":
        """A label in which nobody has looked anywhere."""
        return cls(np.full(shape, UNKNOWN, np.uint8), classes)

    @property
    def known(self) -> np.ndarray:
        """Boolean array: where somebody has looked."""
        return np.asarray(self.array != UNKNOWN)

    @property
    def is_dense(self) -> bool:
        """True when every voxel is known."""
        return bool((self.array != UNKNOWN).all())

    def only(self, mask: np.ndarray) -> "SemanticLabel":
        """The label inside a boolean mask, unknown outside."""
        return SemanticLabel(np.where(mask, self.array, np.uint8(UNKNOWN)), self.classes)

    def updated(self, other: "SemanticLabel") -> "SemanticLabel":
        """This label with everything the other one knows written over it (the same rater drew more)."""
        if other.array.shape != self.array.shape or other.classes != self.classes:
            raise DataError(
                f"cannot join labels of shape {self.array.shape}, classes {self.classes} and "
                f"shape {other.array.shape}, classes {other.classes}"
            )
        return SemanticLabel(np.where(other.known, other.array, self.array), self.classes)


@dataclass(frozen=True, eq=False)
class InstanceLabel:
    """Object ids as int32 of shape (*space): 0 background, 1.. objects, -1 where nobody has looked."""

    array: np.ndarray

    def __post_init__(self) -> None:
        if not isinstance(self.array, np.ndarray) or self.array.dtype != np.int32 or self.array.ndim not in (2, 3):
            raise DataError("an instance label is a 2D or 3D int32 array; map the values of a file when reading it")
        if self.array.size and int(self.array.min()) < UNKNOWN_INSTANCE:
            raise LabelValueError(f"instance ids must be >= -1, but {int(self.array.min())} occurs")

    @property
    def ids(self) -> np.ndarray:
        """The object ids present, ascending, without background and unknown."""
        ids = np.unique(self.array)
        return np.asarray(ids[ids > 0])

    @property
    def known(self) -> np.ndarray:
        """Boolean array: where somebody has looked."""
        return np.asarray(self.array != UNKNOWN_INSTANCE)

    def semantic(self, name: str = "object") -> SemanticLabel:
        """Foreground against background, unknown kept."""
        array = np.where(self.array < 0, UNKNOWN, self.array > 0).astype(np.uint8)
        return SemanticLabel(array, ("background", name))
