"""Files as sources of images and labels. The values of a label file become classes here, at the door, never later."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from frugalseg.data.case import LabelSource
from frugalseg.data.formats import read_geometry, read_image, read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, UNKNOWN_INSTANCE, InstanceLabel, SemanticLabel
from frugalseg.errors import DataError, GeometryMismatch, LabelValueError
from frugalseg.files import fingerprint_file


@dataclass(frozen=True)
class FileSource:
    """An image in one file, or with one file for each channel; `key` names the array in a file with several."""

    paths: tuple[Path, ...]
    key: str | None = None

    def geometry(self) -> Geometry:
        """Where the image lies, from the header where the format allows."""
        return read_geometry(self.paths[0], key=self.key)

    def read(self) -> Image:
        """The image. Raises `DataError` that names the file, or the channel that does not lie on the first."""
        images = [read_image(path, key=self.key) for path in self.paths]
        if len(images) == 1:
            return images[0]
        for path, image in zip(self.paths, images, strict=True):
            if gap := images[0].geometry.differs(image.geometry):
                raise DataError(f"{path}: it does not lie on {self.paths[0].name}: {gap}")
        return Image(np.stack([image.array for image in images], axis=-1), images[0].geometry)

    def fingerprint(self) -> str:
        """16 hex digits of the content of the files."""
        files = [f for p in self.paths for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
        prints = [fingerprint_file(f) for f in files]
        return prints[0] if len(prints) == 1 else hashlib.sha256("".join(prints).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ClassMap:
    """What the numbers in label files mean: `values[i]` is class i + 1, 0 is background, `unknown` nobody looked.

    255 means unknown too, except where there is one class and a file holds nothing but 0 and 255: then it is the
    class. With `others` every other value is background, otherwise it is an error.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    unknown: int | None = None
    others: bool = False

    def apply(self, stored: np.ndarray) -> SemanticLabel:
        """The label of stored numbers. Raises `LabelValueError` for numbers without a meaning."""
        whole = whole_numbers(stored)
        present = values_in(whole)
        table = {0: 0, **{v: i for i, v in enumerate(self.values, 1)}}
        if len(self.values) == 1 and self.unknown is None and set(present) <= {0, UNKNOWN}:
            table[UNKNOWN] = 1
        table.setdefault(UNKNOWN, UNKNOWN)
        if self.unknown is not None:
            table[self.unknown] = UNKNOWN
        strange = [v for v in present if v not in table]
        if strange and not self.others:
            raise LabelValueError(
                f"label values {strange[:8]} have no meaning: 0 is background, {list(self.values)} are classes, "
                f"{UNKNOWN if self.unknown is None else self.unknown} is unknown; name them with classes=1+2 or "
                "unknown=N"
            )
        targets = np.array([table.get(value, 0) for value in present], np.uint8)
        return SemanticLabel(targets[np.searchsorted(present, whole)], self.names)


def whole_numbers(stored: np.ndarray) -> np.ndarray:
    """The same values as integers. Raises `LabelValueError` for fractions, NaN and infinity."""
    if stored.dtype.kind in "iu":
        return stored
    if stored.dtype.kind not in "bf" or not np.isfinite(stored).all() or (stored != np.rint(stored)).any():
        raise LabelValueError("a label holds whole numbers, but this one has fractions or NaN; threshold it first")
    return stored.astype(np.int64)


def values_in(whole: np.ndarray) -> list[int]:
    """The values that occur in an array of integers, ascending."""
    if whole.dtype in (np.uint8, np.uint16):
        return [int(v) for v in np.flatnonzero(np.bincount(whole.ravel()))]
    return [int(v) for v in np.unique(whole)]


@dataclass(frozen=True)
class SemanticFile:
    """Classes in a file."""

    path: Path
    classes: ClassMap = field(repr=False)
    key: str | None = None

    def geometry(self) -> Geometry:
        """Where the label lies by its own file."""
        return read_geometry(self.path, key=self.key)

    def read(self) -> SemanticLabel:
        """The label; raises `DataError` that names the file."""
        values, _ = read_values(self.path, key=self.key)
        try:
            return self.classes.apply(values)
        except DataError as error:
            raise LabelValueError(f"{self.path}: {error}") from error


@dataclass(frozen=True)
class InstanceFile:
    """Object ids in a file: 0 background, -1 or the `unknown` value where nobody looked."""

    path: Path
    key: str | None = None
    unknown: int | None = None

    def geometry(self) -> Geometry:
        """Where the label lies by its own file."""
        return read_geometry(self.path, key=self.key)

    def read(self) -> InstanceLabel:
        """The label; raises `DataError` that names the file."""
        values, _ = read_values(self.path, key=self.key)
        try:
            whole = whole_numbers(values)
        except LabelValueError as error:
            raise LabelValueError(f"{self.path}: {error}") from error
        is_unknown = whole == self.unknown if self.unknown is not None else np.zeros(whole.shape, bool)
        ids = np.where(is_unknown, 0, whole)
        if ids.min() < UNKNOWN_INSTANCE or ids.max() > np.iinfo(np.int32).max:
            raise LabelValueError(
                f"{self.path}: object ids lie between 0 (background) and 2147483647, not {ids.min()} to {ids.max()}"
            )
        ids = ids.astype(np.int32)
        ids[is_unknown] = UNKNOWN_INSTANCE
        return InstanceLabel(ids)


class LabelsOnFiles:
    """Labels that lie in files and are read when they are asked for; what is put stays in memory, on top.

    `sources` are case -> rater -> source, `geometries` say where each case lies.
    """

    def __init__(self, sources: Mapping[str, Mapping[str, LabelSource]], geometries: Mapping[str, Geometry]) -> None:
        self.sources = sources
        self.geometries = geometries
        self._put: dict[tuple[str, str], SemanticLabel] = {}

    def get(self, case: str, rater: str) -> SemanticLabel | None:
        """What this rater has drawn on this case, or None; objects count as one class.

        Raises `DataError` for a file that cannot be used, `GeometryMismatch` for one that does not lie on its image.
        """
        if (case, rater) in self._put:
            return self._put[case, rater]
        source = self.sources.get(case, {}).get(rater)
        if source is None:
            return None
        own = source.geometry()
        if own is not None and (gap := own.differs(self.geometries[case])):
            raise GeometryMismatch(f"{case}: what '{rater}' has drawn does not lie on the image: {gap}; save it again")
        label = source.read()
        return label.semantic() if isinstance(label, InstanceLabel) else label

    def put(self, case: str, rater: str, label: SemanticLabel) -> None:
        """Replaces what this rater has drawn on this case, in memory."""
        self._put[case, rater] = label

    def raters(self, case: str) -> tuple[str, ...]:
        """Who has drawn on this case, in alphabetical order."""
        return tuple(sorted({*self.sources.get(case, {}), *(r for c, r in self._put if c == case)}))
