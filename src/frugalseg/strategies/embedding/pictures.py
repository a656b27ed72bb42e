"""The 2D pictures of a pool, small and of one size: what an embedding looks at.

Who belongs to whom is read from the cases (group, id, phase) and from the index of the slice, never from a name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from frugalseg.data.case import Case, Place
from frugalseg.data.cost import paging_axes
from frugalseg.data.image import Image
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
from frugalseg.files import atomic_path, fingerprint_json

FORM = 1
"""Raised whenever pictures get other pixels, so that what was learnt from the older ones is not used."""

LOW, HIGH = 0.5, 99.5
"""Percentiles of a whole case that become 0 and 255."""


@dataclass(frozen=True)
class Picture:
    """One slice of a volume, or a 2D image: `index` of `n` across `axis`; 2D images are slice 0 of 1, axis -1.

    `place` is that of a 2D case in the volume or video of which it is a part.
    """

    case: str
    group: str
    phase: str
    axis: int
    index: int
    n: int
    place: Place | None = None

    @property
    def at(self) -> Place:
        """Which picture of which volume it is; a 2D image that stands alone is its own volume."""
        return self.place or Place(self.case, self.index, self.n)

    @property
    def position(self) -> float:
        """Where in its volume it lies, 0 first and 1 last slice; 0.5 where there is one."""
        return self.at.index / (self.at.n - 1) if self.at.n > 1 else 0.5


def pictures_of(view: PoolView) -> tuple[Picture, ...]:
    """Every picture of the pool in the order (case, index), drawn or not.

    Volumes are cut across the view's axis where slices are bought, else across the one a person pages through.
    """
    return tuple(picture for case in view.cases for picture in _pictures(case, view))


def _pictures(case: Case, view: PoolView) -> Iterator[Picture]:
    if case.geometry.ndim == 2:
        yield Picture(case.id, case.group, case.phase, -1, 0, 1, case.place)
        return
    axis = view.axis if view.unit == "slice" else paging_axes(Unit(case.id), case.geometry)[0]
    n = case.geometry.shape[axis]
    yield from (Picture(case.id, case.group, case.phase, axis, k, n) for k in range(n))


def fingerprint(view: PoolView, pictures: Sequence[Picture], side: int) -> str:
    """16 hex digits of everything that the pixels and the families of these pictures depend on; reads every image."""
    axes = {picture.case: picture.axis for picture in pictures}
    cases = [[c.id, c.group, c.source.fingerprint(), axes[c.id]] for c in view.cases]
    places = [[c.id, c.place.volume, c.place.index, c.place.n] for c in view.cases if c.place]
    return fingerprint_json([FORM, side, cases, *([places] if places else [])])


def read_pixels(view: PoolView, pictures: Sequence[Picture], side: int, file: Path) -> np.ndarray:
    """The pixels (N, K, side, side) uint8 of all pictures, memory-mapped; the file is made when it is absent.

    Each case is stretched between its own percentiles and squeezed into a square with anti-aliasing. Raises
    `DataError` for a pool in which some images have other channels than the rest.
    """
    if not file.exists():
        with atomic_path(file) as part:
            _write(view, pictures, side, part)
    pixels: np.ndarray = np.load(file, mmap_mode="r")
    return pixels


def _write(view: PoolView, pictures: Sequence[Picture], side: int, part: Path) -> None:
    axes = {picture.case: picture.axis for picture in pictures}
    channels = view.cases[0].image().channels
    shape = (len(pictures), channels, side, side)
    with part.open("wb") as out:
        np.lib.format.write_array_header_1_0(
            out, {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
        )
        for case in view.cases:
            image = case.image()
            if image.channels != channels:
                raise DataError(
                    f"{case.id} has {image.channels} channels and {view.cases[0].id} has {channels}: convert the "
                    "images so that all have the same channels"
                )
            out.write(_small(image, axes[case.id], side).tobytes())


def _small(image: Image, axis: int, side: int) -> np.ndarray:
    """All slices of a case across an axis, (n, K, side, side) uint8."""
    x = image.channels_first()
    x = x[:, None] if axis < 0 else np.moveaxis(x, axis + 1, 1)  # K n H W
    stretched = np.stack([_stretched(channel) for channel in x], axis=1)  # n K H W
    small = F.interpolate(torch.from_numpy(stretched), size=(side, side), mode="bilinear", antialias=True)
    return np.asarray((small * 255).round().clamp(0, 255).to(torch.uint8).numpy())


def _stretched(x: np.ndarray) -> np.ndarray:
    """A channel between 0 and 1; 0 where it is constant."""
    low, high = np.percentile(x, (LOW, HIGH))
    if low == high:  # nearly all of it has one value: clipping would erase the rest
        low, high = float(x.min()), float(x.max())
    if low == high:
        return np.zeros(x.shape, np.float32)
    return np.asarray(np.clip((x - low) / (high - low), 0, 1), np.float32)
