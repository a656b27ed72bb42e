"""Where the pictures of the click adapter come from: procedural ones, and windows of labelled data sets."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from frugalseg.adapt.clicks.pictures import make_picture
from frugalseg.data.objects import object_ids
from frugalseg.data.pool import Pool
from frugalseg.files import fingerprint_json
from frugalseg.generalists.frame import Window, fit_frame
from frugalseg.generalists.generalist import View

MOST = 12
"""Objects of an example that are kept."""

SMALLEST = 12
"""Pixels of the input below which an object is too small to be meant."""


@dataclass(frozen=True, eq=False)
class Example:
    """A view and the masks (S, S) of its objects as the network's input shows them."""

    view: View
    masks: tuple[np.ndarray, ...]


class Source(Protocol):
    """Gives examples. `fingerprint` says what they depend on beside the random numbers."""

    @property
    def name(self) -> str:
        """Its name, and that of its folder."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever its examples do."""

    def make(self, side: int, rng: np.random.Generator) -> Example | None:
        """One example for an input of that side; None when no object in it is large enough."""


@dataclass(frozen=True)
class Procedural:
    """Pictures of `frugalseg.adapt.clicks.pictures`, at the input's size or up to twice as large."""

    name: str = "procedural"
    fingerprint: str = "pictures-1"

    def make(self, side: int, rng: np.random.Generator) -> Example | None:
        """One picture; every fifth is cut to another aspect, as slices come."""
        size = int(side * rng.choice([1.0, 1.0, 1.5]))
        picture = make_picture(rng, side=size)
        window = (0, 0, size, size)
        if rng.random() < 0.2:
            rows, columns = (int(size * rng.uniform(0.5, 1)) for _ in range(2))
            window = (0, 0, rows, columns)
        objects = [picture.objects[int(k)] for k in rng.permutation(len(picture.objects))]
        return example_of(picture.image, objects, window, side)


@dataclass(frozen=True)
class Labelled:
    """Windows around the objects of a data set's complete labels: instances, or pieces of classes."""

    pool: Pool
    name: str
    widest: float = 8.0  # sides of an object that a window shows

    @property
    def fingerprint(self) -> str:
        """Of the pictures and of how windows are chosen."""
        return fingerprint_json([self.widest, self.pool.fingerprint()])

    def make(self, side: int, rng: np.random.Generator) -> Example | None:
        """A window of one case around one of its objects, 1.3 to `widest` times as large."""
        case = self.pool.cases[int(rng.integers(len(self.pool.cases)))]
        ids, _ = object_ids(self.pool.truth.read(case.id))
        sizes = np.bincount(ids.ravel())
        chosen = np.flatnonzero(sizes[1:] >= SMALLEST) + 1
        if not len(chosen):
            return None
        times = float(np.exp(rng.uniform(np.log(1.3), np.log(self.widest))))
        window = _around(ids == rng.choice(chosen), times, rng)
        seen = ids[tuple(slice(max(a, 0), b) for a, b in zip(window[:2], window[2:], strict=True))]
        parts = np.bincount(seen.ravel(), minlength=len(sizes))
        inside = [k for k in chosen if parts[k] >= max(1, 0.5 * sizes[k])]
        kept = rng.permutation(inside)[: 2 * MOST]
        return example_of(case.source.read().array, [ids == k for k in kept], window, side)


def _around(mask: np.ndarray, times: float, rng: np.random.Generator) -> Window:
    """A square `times` as large as the object, which lies anywhere in it."""
    rows, columns = np.nonzero(mask)
    first, last = np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()]) + 1
    length = max(8, int(times * (last - first).max()))
    start = [
        int(rng.integers(b - length, a + 1)) if length > b - a else int(a) for a, b in zip(first, last, strict=True)
    ]
    return start[0], start[1], start[0] + length, start[1] + length


def example_of(image: np.ndarray, objects: list[np.ndarray], window: Window, side: int) -> Example | None:
    """What a window shows of an image and its objects: the first 12 of those that are large enough to be meant."""
    frame = fit_frame((int(image.shape[0]), int(image.shape[1])), side, window=window)
    seen = (frame.cut(torch.from_numpy(mask)[None].float())[0].numpy() > 0.5 for mask in objects)
    masks = [mask for mask in seen if mask.sum() >= SMALLEST][:MOST]
    return Example(View(image, window), tuple(masks)) if masks else None
