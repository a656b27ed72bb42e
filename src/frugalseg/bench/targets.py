"""Objects to be asked for: a seeded sample over the cases of a pool, each in a 2D image or in a slice of a volume."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from scipy import ndimage

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, InstanceLabel, SemanticLabel
from frugalseg.data.objects import object_ids
from frugalseg.data.pool import Pool
from frugalseg.errors import DataError
from frugalseg.seeds import stream
from frugalseg.settings import Settings

WHOLE = -1
"""Index of an image that is no slice."""


class Sample(Settings):
    """Which objects are taken."""

    axis: int
    per_class: int
    per_case: int
    min_pixels: int
    rater: str | None


@dataclass(frozen=True, order=True)
class Target:
    """An object: its case, the slice it lies in, its number there and the value of its class."""

    case: str
    index: int
    number: int
    value: int

    def __str__(self) -> str:
        return self.case if self.index == WHOLE else f"{self.case}, slice {self.index}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A 2D image with where somebody has looked (H, W), and the mask (H, W) of each target in it.

    `strokes` (H, W) are classes as people have drawn them on it, each by name: what real users say.
    """

    image: Image
    known: np.ndarray
    masks: tuple[tuple[Target, np.ndarray], ...]
    strokes: Mapping[str, np.ndarray] = field(default_factory=dict)

    def scribbles(self, target: Target, mask: np.ndarray) -> dict[str, np.ndarray]:
        """What each person's strokes say of a target (H, W): 1 on it, 0 beside it; without those who left it out.

        A stroke of the class belongs to the target when it touches it.
        """
        found = {}
        for name, drawn in self.strokes.items():
            pieces, _ = ndimage.label(drawn == target.value, structure=np.ones((3, 3)))
            is_on = np.isin(pieces, np.setdiff1d(pieces[mask], [0]))
            if is_on.any():
                beside = (drawn != UNKNOWN) & (drawn != target.value)
                found[name] = np.where(is_on, 1, np.where(beside, 0, UNKNOWN)).astype(np.uint8)
        return found


def sample_targets(pool: Pool, sample: Sample, *, seed: int) -> tuple[Target, ...]:
    """Up to `per_class` objects of each class, at most `per_case` of them from one case, in the order of the cases.

    Objects are instances, or connected pieces of a class, of at least `min_pixels`; those of a volume are taken from
    as many slices. Cases and objects come in an order drawn with the seed until there are enough. Raises `DataError`
    when there is none.
    """
    rng = stream(seed, "targets")
    counts = Counter[int]()
    values = range(1, len(pool.classes))
    found: list[Target] = []
    for k in rng.permutation(len(pool)):
        case = pool.cases[k]
        room = {value: min(sample.per_case, sample.per_class - counts[value]) for value in values}
        if case.id not in pool.truth or max(room.values()) <= 0:
            continue
        mine = list(_of_case(pool, case, sample, room=room, rng=rng))
        counts.update(target.value for target in mine)
        found += mine
    if not found:
        raise DataError(
            f"no case has a complete label with an object of {sample.min_pixels} pixels or more; "
            "give labels, or lower min_pixels"
        )
    return tuple(sorted(found))


def _of_case(
    pool: Pool, case: Case, sample: Sample, *, room: dict[int, int], rng: np.random.Generator
) -> Iterator[Target]:
    label = pool.truth.read(case.id, sample.rater)
    slices = [WHOLE] if case.geometry.ndim == 2 else rng.permutation(case.geometry.shape[sample.axis]).tolist()
    for index in slices:
        ids, value_of = object_ids(_slice(label, index, sample.axis))
        sizes = np.bincount(ids.ravel(), minlength=len(value_of))
        for value in [v for v, left in room.items() if left > 0]:
            there = np.flatnonzero((value_of == value) & (sizes >= sample.min_pixels))
            taken = rng.permutation(there[there > 0])[: room[value] if index == WHOLE else 1]
            room[value] -= len(taken)
            yield from (Target(case.id, index, int(number), value) for number in taken)
        if max(room.values()) <= 0:
            return


def pictures_of(pool: Pool, targets: Sequence[Target], sample: Sample) -> Iterator[Picture]:
    """The pictures in which the targets lie, each once; image and label of a case are read once."""
    for name, of_case in groupby(sorted(targets), key=lambda target: target.case):
        image, label = pool[name].image(), pool.truth.read(name, sample.rater)
        if label.array.shape != image.geometry.shape:
            raise DataError(f"{name}: a label of shape {label.array.shape} on an image of {image.geometry.shape}")
        drawn = {rater: pool.label(name, rater) for rater in pool.labels.raters(name)}
        for index, same in groupby(of_case, key=lambda target: target.index):
            part = _slice(label, index, sample.axis)
            strokes = {r: _slice(d, index, sample.axis).array for r, d in drawn.items() if d is not None}
            ids, _ = object_ids(part)
            masks = tuple((target, ids == target.number) for target in same)
            yield Picture(_image_slice(image, index, sample.axis), part.known, masks, strokes)


def _slice(label: SemanticLabel | InstanceLabel, index: int, axis: int) -> SemanticLabel | InstanceLabel:
    if index == WHOLE:
        return label
    array = np.ascontiguousarray(np.take(label.array, index, axis=axis))
    return InstanceLabel(array) if isinstance(label, InstanceLabel) else SemanticLabel(array, label.classes)


def _image_slice(image: Image, index: int, axis: int) -> Image:
    if index == WHOLE:
        return image
    rest = [d for d in range(3) if d != axis]
    geometry = Geometry.plain(
        tuple(image.geometry.shape[d] for d in rest), tuple(image.geometry.spacing[d] for d in rest)
    )
    return Image(np.take(image.array, index, axis=axis), geometry)
