"""Embeddings computed ahead, so that nobody waits for the encoder later: which pictures, and one batch at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from frugalseg.data.cost import paging_axes
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.pool import Pool
from frugalseg.data.unit import Unit
from frugalseg.errors import SettingsError
from frugalseg.generalists.cache import Cached
from frugalseg.generalists.generalist import View

SMALLEST = 64
"""Side that a small picture counts with: no encoder takes a smaller input."""

PIXELS_A_BATCH = 256 * 256
"""Pixels that are handed to the generalist at once: one picture of 256, 16 of 64; a kill costs at most these."""


@dataclass(frozen=True)
class Progress:
    """How many pictures are in the cache by now, and how many of them had to be encoded."""

    done: int
    encoded: int


def pictures_of(pool: Pool, units: Iterable[Unit], *, axis: int | None = None) -> tuple[Unit, ...]:
    """The 2D pictures that somebody who draws the units goes through, each once and in order: slices or whole images.

    Volumes and 3D patches are cut across `axis` (0 to 2), by default the one across which a person pages through them.
    Raises `DataError` for planes that nobody has placed, and for units outside of their case.
    """
    found = {picture for unit in units for picture in _pictures(unit, pool[unit.case].geometry, axis)}
    return tuple(sorted(found))


def _pictures(unit: Unit, geometry: Geometry, axis: int | None) -> Iterator[Unit]:
    regions = unit.regions(geometry.shape)
    if geometry.ndim == 2:
        yield Unit(unit.case)
        return
    has_axis = unit.kind in ("slice", "planes")
    axes = paging_axes(unit, geometry) if has_axis or axis is None else [axis]
    for region, across in zip(regions, axes, strict=True):
        for index in range(region[across].start, region[across].stop):
            yield Unit(unit.case, "slice", across, (index,))


def views_of(pool: Pool, pictures: Iterable[Unit]) -> Iterator[View]:
    """The view of each picture, in the order of the pictures; an image is read once for those that follow each other.

    Raises `DataError` that names the file which cannot be read.
    """
    for case, same in groupby(pictures, key=lambda picture: picture.case):
        image = pool[case].image()
        yield from (view_of(image, picture) for picture in same)


def view_of(image: Image, picture: Unit) -> View:
    """A 2D image, or the slice of a volume that the unit names, with its own two spacings."""
    rows, columns = (s for axis, s in enumerate(image.geometry.spacing) if axis != picture.axis)
    array = image.array if picture.kind == "image" else np.take(image.array, picture.index[0], axis=picture.axis)
    return View(array, spacing=(rows, columns))


def embed_ahead(generalist: Cached, views: Iterable[View]) -> Iterator[Progress]:
    """Puts the embedding of each view into the generalist's cache, small pictures several at a time.

    Each batch is kept before the next is read; stopped at any point, the same call goes on. Raises `SettingsError` as
    soon as the cache's limit makes it delete what was put into it here, and `DiskFull`.
    """
    first: View | None = None
    done = encoded = 0
    for batch in _batches(views):
        first = first or batch[0]
        encoded += sum(is_fresh for _, is_fresh in generalist.embedded(batch))
        done += len(batch)
        if not generalist.cache.holds(generalist, first):
            raise SettingsError(
                f"{generalist.cache.folder}: {done} embeddings are more than fit into the limit of "
                f"{generalist.cache.limit / 1e9:g} GB, the first are gone again; raise the limit, or embed fewer"
            )
        yield Progress(done, encoded)


def _batches(views: Iterable[View]) -> Iterator[list[View]]:
    """The views in batches of about as many pixels as go through an encoder at once."""
    batch: list[View] = []
    pixels = 0
    for view in views:
        r0, c0, r1, c1 = view.window or (0, 0, *view.size)
        more = max(SMALLEST, view.least_side, r1 - r0, c1 - c0) ** 2
        if batch and pixels + more > PIXELS_A_BATCH:
            yield batch
            batch, pixels = [], 0
        batch.append(view)
        pixels += more
    if batch:
        yield batch
