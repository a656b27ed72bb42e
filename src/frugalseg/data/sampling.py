"""Patches for training from two streams: cases somebody has drawn on, and the rest.

The batch of a step is a pure function of the seed and the step. So sampling has no state: a run that goes on at step
1000 draws what it would have drawn without having stopped, and every process may draw the whole batch.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from pydantic import Field, PositiveInt

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError, SettingsError
from frugalseg.seeds import derive, stream
from frugalseg.settings import Settings

Load = Callable[[str], tuple[np.ndarray, np.ndarray]]
"""Case id -> image (K, *space) float32 and label (*space) uint8, both memory-mapped where they are large."""

LoadPseudo = Callable[[str], np.ndarray]
"""Case id -> labels a model has made and their trust in 254ths, (2, *space) uint8."""

POINTS_PER_CLASS = 2048
"""Known voxels of a class that are remembered of a case as centres; more would show the same places."""

POINTS_PER_CASE = 16384
"""Known voxels that are remembered of a case with many classes: 128 kB."""

CASES_REMEMBERED = 512
"""Cases whose known voxels are remembered: 64 MB at most, usually half of that or less."""

VOXELS_AT_ONCE = 2**20
"""Voxels of a label that are searched at once, so that a large volume needs little memory beside itself."""


class SamplingSettings(Settings):
    """What a batch is made of."""

    patch: tuple[PositiveInt, ...] = Field(min_length=2, max_length=3)  # voxels along each axis of the network
    n_labelled: int = Field(2, ge=1)
    n_unlabelled: int = Field(2, ge=0)
    known_fraction: float = Field(0.7, ge=0, le=1)  # labelled patches centred on a known voxel, classes in turn; ours
    uniform_corners: bool = False  # other patches: every place inside equally often; else more at the borders


class TwoStream:
    """Endless seeded batches; each stream goes through its cases in a new order again and again.

    With `axis` a 2D patch is cut from one slice of a volume across that axis: a slice with known voxels in the
    labelled stream, any slice in the other. With `load_pseudo` the labels that a model has made come along. Raises
    `DataError` without a labelled case, `SettingsError` for a patch that does not fit.
    """

    def __init__(
        self,
        labelled: Sequence[str],
        unlabelled: Sequence[str],
        load: Load,
        settings: SamplingSettings,
        *,
        seed: int,
        axis: int | None = None,
        load_pseudo: LoadPseudo | None = None,
    ) -> None:
        if not labelled:
            raise DataError("no case has a label: annotate some units before training")
        if axis is not None and len(settings.patch) != 2:
            raise SettingsError(f"patch {settings.patch}: a patch across one axis of a volume has two numbers")
        if settings.n_unlabelled and not unlabelled:
            raise SettingsError(f"{settings.n_unlabelled} unlabelled patches a step, but every case has a label")
        self.labelled, self.unlabelled = tuple(labelled), tuple(unlabelled)
        self.load, self.settings, self.seed, self.axis = load, settings, seed, axis
        self.load_pseudo = load_pseudo
        self._points: OrderedDict[str, list[np.ndarray]] = OrderedDict()

    def batch(self, step: int) -> Batch:
        """The batch of a step: the labelled patches first."""
        known = self._cases("labelled", self.labelled, step, self.settings.n_labelled)
        rest = self._cases("unlabelled", self.unlabelled, step, self.settings.n_unlabelled)
        seeds = [derive(self.seed, "patch", step, i) for i in range(len(known) + len(rest))]
        patches = [self._labelled_patch(c, s) for c, s in zip(known, seeds, strict=False)]
        patches += [self._unlabelled_patch(c, s) for c, s in zip(rest, seeds[len(known) :], strict=True)]
        return Batch(
            image=torch.from_numpy(np.stack([image for image, _ in patches])),
            label=torch.from_numpy(np.stack([maps[0] for _, maps in patches])),
            n_labelled=len(known),
            cases=(*known, *rest),
            seeds=tuple(seeds),
            pseudo=torch.from_numpy(np.stack([maps[1:] for _, maps in patches])) if self.load_pseudo else None,
        )

    def _cases(self, name: str, cases: tuple[str, ...], step: int, n: int) -> list[str]:
        return [self._at(name, cases, step * n + i) for i in range(n)]

    def _at(self, name: str, cases: tuple[str, ...], position: int) -> str:
        epoch, place = divmod(position, len(cases))
        return cases[int(stream(self.seed, name, epoch).permutation(len(cases))[place])]

    def _labelled_patch(self, case: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = self.load(case)
        rng = np.random.default_rng(seed)
        points = self._known_points(case, label)
        if not points:
            raise DataError(f"{case}: its label has no known voxel; draw on it or take it out of the labelled cases")
        group = points[int(rng.integers(len(points)))]
        point = np.array(np.unravel_index(group[int(rng.integers(len(group)))], label.shape))
        is_anywhere = rng.random() >= self.settings.known_fraction
        if is_anywhere:
            anywhere = rng.integers(label.shape)
            if self.axis is not None:
                anywhere[self.axis] = point[self.axis]  # a slice with known voxels is needed all the same
            point = anywhere
        maps = self._maps(case, label)
        return self._cut(image, maps, point, rng, start=self._anywhere if is_anywhere else _start)

    def _unlabelled_patch(self, case: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = self.load(case)
        rng = np.random.default_rng(seed)
        point = rng.integers(label.shape)
        maps = self._maps(case, np.broadcast_to(np.uint8(UNKNOWN), label.shape))
        return self._cut(image, maps, point, rng, start=self._anywhere)

    def _maps(self, case: str, label: np.ndarray) -> list[np.ndarray]:
        """The label, and behind it what a model has said and its trust."""
        return [label, *self.load_pseudo(case)] if self.load_pseudo else [label]

    def _known_points(self, case: str, label: np.ndarray) -> list[np.ndarray]:
        """Some known voxels of each class of a case, as indices into the flat label."""
        if case not in self._points:
            self._points[case] = known_points(label, stream(self.seed, "points", case))
            if len(self._points) > CASES_REMEMBERED:
                self._points.popitem(last=False)
        self._points.move_to_end(case)
        return self._points[case]

    @property
    def _anywhere(self) -> "Start":
        """Where a patch begins that needs no certain voxel inside."""
        return _corner if self.settings.uniform_corners else _start

    def _cut(
        self,
        image: np.ndarray,
        maps: Sequence[np.ndarray],
        point: np.ndarray,
        rng: np.random.Generator,
        *,
        start: "Start",
    ) -> tuple[np.ndarray, np.ndarray]:
        """A patch at the place that `start` chooses along each axis, padded where it is larger than the volume.

        The maps, each (*space) uint8, become one array (M, *patch).
        """
        if self.axis is not None:
            across = (slice(None),) * self.axis
            image, maps = (
                image[(slice(None), *across, point[self.axis])],
                [m[(*across, point[self.axis])] for m in maps],
            )
            point = np.delete(point, self.axis)
        patch, shape = self.settings.patch, image.shape[1:]
        if len(patch) != len(shape):
            raise SettingsError(f"a patch of {len(patch)} axes cannot be cut from a case with {len(shape)}")
        starts = [start(int(c), n, size, rng) for c, n, size in zip(point, shape, patch, strict=True)]
        cut = [_padded(m[None], starts, patch, UNKNOWN) for m in maps]
        return _padded(image, starts, patch, 0), np.concatenate(cut)


def known_points(label: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """For each known class that is present the flat indices of some of its voxels, all of them where they are few."""
    parts = np.array_split(label.reshape(-1), max(1, label.size // VOXELS_AT_ONCE))
    counts = np.stack([np.bincount(part, minlength=256)[:UNKNOWN] for part in parts])
    classes = np.flatnonzero(counts.sum(0))
    most = min(POINTS_PER_CLASS, POINTS_PER_CASE // max(1, len(classes)))
    return [_found(parts, int(v), counts[:, v], _some(int(counts[:, v].sum()), most, rng)) for v in classes]


def _some(n: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """The numbers 0..n-1, or at most so many of them in ascending order."""
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def _found(parts: list[np.ndarray], value: int, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where in the joined parts the voxels of a class lie whose numbers, among all of that class, are wanted."""
    ends, starts = np.cumsum(counts), np.cumsum([0, *map(len, parts)])
    splits = np.split(wanted, np.searchsorted(wanted, ends[:-1]))
    places = [
        start + np.flatnonzero(part == value)[numbers - (end - count)]
        for part, start, numbers, end, count in zip(parts, starts[:-1], splits, ends, counts, strict=True)
        if len(numbers)
    ]
    return np.concatenate(places)


def _start(center: int, n: int, size: int, rng: np.random.Generator) -> int:
    """First index of a stretch of `size` around a centre: inside of 0..n where it fits, else with random padding."""
    if n <= size:
        return -int(rng.integers(size - n + 1))
    jittered = center - size // 2 + int(rng.integers(-(size // 4), size // 4 + 1))
    return min(max(jittered, 0), n - size)


def _corner(_center: int, n: int, size: int, rng: np.random.Generator) -> int:
    """First index of a stretch of `size`, all that lie inside of 0..n equally often, else with random padding."""
    return int(rng.integers(n - size + 1)) if n > size else -int(rng.integers(size - n + 1))


Start = Callable[[int, int, int, np.random.Generator], int]
"""Centre, length of the axis, length of the patch, generator -> first index of the patch."""


def _padded(array: np.ndarray, starts: Sequence[int], patch: tuple[int, ...], fill: float) -> np.ndarray:
    result = np.full((array.shape[0], *patch), fill, array.dtype)
    source, target = [slice(None)], [slice(None)]
    for start, size, n in zip(starts, patch, array.shape[1:], strict=True):
        first, last = max(start, 0), min(start + size, n)
        source.append(slice(first, last))
        target.append(slice(first - start, last - start))
    result[tuple(target)] = array[tuple(source)]
    return result
