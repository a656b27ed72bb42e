"""The pool: the cases of a project with what is known of each, and the view of it that a strategy may see."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from frugalseg.data.case import Case, LabelSource
from frugalseg.data.cost import paging_axes
from frugalseg.data.drawn import is_image_drawn, is_slice_drawn
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.unit import Unit, UnitKind
from frugalseg.errors import DataError, SettingsError, nearest
from frugalseg.files import fingerprint_json


class Labels(Protocol):
    """What raters have drawn so far. A case may have several raters; they are never merged silently."""

    def get(self, case: str, rater: str) -> SemanticLabel | None:
        """What this rater has drawn on this case, or None."""
        ...

    def put(self, case: str, rater: str, label: SemanticLabel) -> None:
        """Replaces what this rater has drawn on this case."""
        ...

    def raters(self, case: str) -> tuple[str, ...]:
        """Who has drawn on this case, in alphabetical order."""
        ...


@dataclass
class LabelsInMemory:
    """Labels of a session without a workspace."""

    drawn: dict[tuple[str, str], SemanticLabel] = field(default_factory=dict)

    def get(self, case: str, rater: str) -> SemanticLabel | None:
        """What this rater has drawn on this case, or None."""
        return self.drawn.get((case, rater))

    def put(self, case: str, rater: str, label: SemanticLabel) -> None:
        """Replaces what this rater has drawn on this case."""
        self.drawn[case, rater] = label

    def raters(self, case: str) -> tuple[str, ...]:
        """Who has drawn on this case, in alphabetical order."""
        return tuple(sorted(r for c, r in self.drawn if c == case))


@dataclass(frozen=True)
class Truth:
    """Complete labels that only an oracle and an evaluation may read: case -> rater -> source.

    `strokes` is what people have drawn by hand beside them, which an oracle may hand out piece by piece.
    """

    sources: Mapping[str, Mapping[str, LabelSource]] = field(default_factory=dict)
    strokes: Labels = field(default_factory=LabelsInMemory)

    def __contains__(self, case: str) -> bool:
        return case in self.sources

    def raters(self, case: str) -> tuple[str, ...]:
        """Whose complete labels exist for this case, in alphabetical order."""
        return tuple(sorted(self.sources.get(case, {})))

    def read(self, case: str, rater: str | None = None) -> SemanticLabel | InstanceLabel:
        """The complete label; the rater may be left out when there is one. Raises `DataError` otherwise."""
        raters = self.raters(case)
        if not raters:
            raise DataError(f"{case}: there is no complete label to measure against or to draw from")
        if rater is None and len(raters) > 1:
            raise DataError(f"{case}: several raters have drawn it ({', '.join(raters)}); name one of them")
        name = raters[0] if rater is None else rater
        if name not in raters:
            raise DataError(f"{case}: rater '{name}' has not drawn it{nearest(name, raters)}; raters: {raters}")
        return self.sources[case][name].read()

    def semantic(self, case: str, rater: str | None = None) -> SemanticLabel:
        """The complete label as classes; instances count as one class."""
        label = self.read(case, rater)
        return label.semantic() if isinstance(label, InstanceLabel) else label


class Pool:
    """The cases of a project in the order of their ids, their class names, what was drawn, and the hidden truth.

    Raises `DataError` for an empty pool and for duplicate ids.
    """

    def __init__(
        self,
        cases: Iterable[Case],
        classes: tuple[str, ...],
        *,
        labels: Labels | None = None,
        truth: Truth | None = None,
    ) -> None:
        self.cases = tuple(sorted(cases, key=lambda c: c.id))
        self.classes = classes
        self.labels: Labels = LabelsInMemory() if labels is None else labels
        self.truth = truth or Truth()
        if not self.cases:
            raise DataError("the pool is empty: no image was found")
        self._by_id = {c.id: c for c in self.cases}
        if len(self._by_id) < len(self.cases):
            ids = [c.id for c in self.cases]
            twice = sorted({i for i in ids if ids.count(i) > 1})
            raise DataError(f"several images have the same id: {', '.join(twice[:5])}; rename the files")

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, case: str) -> Case:
        if case not in self._by_id:
            raise DataError(f"there is no case '{case}' in the pool{nearest(case, self._by_id)}")
        return self._by_id[case]

    def fingerprint(self) -> str:
        """16 hex digits that change when a case comes, goes or changes; reads every image."""
        return fingerprint_json([case.source.fingerprint() for case in self.cases])

    def subset(self, ids: Iterable[str]) -> "Pool":
        """The pool of these cases only, with the same labels and truth."""
        return Pool([self[i] for i in ids], self.classes, labels=self.labels, truth=self.truth)

    def without_truth(self) -> "Pool":
        """The same cases with what was drawn; from this pool no hidden label can be reached."""
        return Pool(self.cases, self.classes, labels=self.labels)

    def label(self, case: str, rater: str | None = None) -> SemanticLabel | None:
        """What was drawn on the case; None when nothing was. Raises `DataError` when the rater must be named."""
        raters = self.labels.raters(case)
        if rater is None and len(raters) > 1:
            raise DataError(f"{case}: drawn by several raters ({', '.join(raters)}); name one, they are never merged")
        name = rater if rater is not None else (raters[0] if raters else None)
        return None if name is None else self.labels.get(case, name)

    def labelled(self, rater: str | None = None) -> list[str]:
        """The ids of the cases on which something was drawn."""
        drawn_by = {c.id: self.labels.raters(c.id) for c in self.cases}
        return [case for case, raters in drawn_by.items() if (raters if rater is None else rater in raters)]


Predict = Callable[[str], np.ndarray]
"""Case id -> array by the current model: class probabilities (C, *space) or features (K, *space)."""

Members = Callable[[str], Iterator[np.ndarray]]
"""Case id -> class probabilities (C, *space) by several models, or several draws of one, always the same number.

They come one after the other, so that a case's predictions never lie in memory together.
"""


@dataclass(frozen=True)
class PoolView:
    """What a strategy may see: images, what has been drawn, and what the current model says. No hidden truth.

    That holds for all objects that can be reached from a view that `frugalseg.strategies.viewing` makes. Files are not
    locked: a label may lie beside its image in one, and the recipe of a phantom's image makes its label too.

    `unit` and `axis` say what is bought, `round` counts from 0. By the current model are `probabilities` (C, *space)
    float32, the `features` (K, *space) before its head, and the predictions of `members`, all of the case as it is,
    without augmentation. They are None before the first model (members also where there is one opinion only); every
    strategy of the first round must do without. `bought` are units that somebody has drawn, perhaps with strokes:
    they are not offered again. `cache` is a folder for what a strategy learns once and reads again in later rounds
    (None: a temporary one), `seed` what that may depend on besides the images.
    """

    cases: tuple[Case, ...]
    drawn: Callable[[str], SemanticLabel | None]
    unit: UnitKind = "image"
    axis: int = 0
    probabilities: Predict | None = None
    features: Predict | None = None
    members: Members | None = None
    bought: frozenset[Unit] = frozenset()
    round: int = 0
    cache: Path | None = None
    seed: int = 0

    def units(self) -> list[Unit]:
        """Every unit that could still be bought, in the order (case, index): those that nobody has drawn.

        Strokes that came with the data count as those that were bought. A volume can be bought while one of its
        slices can, across the axis a person pages along; three planes once for each case of which nothing is drawn at
        all, to be placed later. Of a 2D image the unit is always the whole image.
        """
        return [unit for unit, is_free in self.all_units() if is_free]

    def all_units(self) -> list[tuple[Unit, bool]]:
        """Every unit in that order, and whether it could still be bought; planes that were drawn have no places."""
        return [unit for case in self.cases for unit in self._units(case)]

    def known(self, case: str) -> np.ndarray | None:
        """Where somebody has drawn on a case (*space), or None: a label in which nothing is known is none."""
        label = self.drawn(case)
        known = None if label is None else label.known
        return known if known is not None and known.any() else None

    def _units(self, case: Case) -> Sequence[tuple[Unit, bool]]:
        if self.unit == "image" or case.geometry.ndim == 2:
            (axis,) = paging_axes(Unit(case.id), case.geometry)
            return [(Unit(case.id, "image"), not self._slices_drawn(case, axis).all())]
        if self.unit == "planes":
            return [(Unit(case.id, "planes"), case.id not in self._acts and self.known(case.id) is None)]
        if self.unit != "slice":
            raise DataError("patches are proposed by the strategy itself; a view lists images, slices or planes")
        if not 0 <= self.axis < 3:
            raise SettingsError(f"axis={self.axis}: slices of a volume lie across axis 0, 1 or 2")
        drawn = enumerate(self._slices_drawn(case, self.axis))
        return [(Unit(case.id, "slice", self.axis, (k,)), not is_drawn) for k, is_drawn in drawn]

    def _slices_drawn(self, case: Case, axis: int) -> np.ndarray:
        """Which slices of a volume across an axis somebody has drawn, as booleans; a 2D image is one slice."""
        shape, acts = case.geometry.shape, self._acts.get(case.id, ())
        known = self.known(case.id)
        if known is None and not acts:
            return np.zeros(shape[axis] if len(shape) == 3 else 1, bool)
        known = np.zeros(shape, bool) if known is None else known
        return is_slice_drawn(known, axis, acts) if len(shape) == 3 else np.array([is_image_drawn(known, acts)])

    @cached_property
    def _acts(self) -> Mapping[str, Sequence[Unit]]:
        """What was bought of each case, where anything was."""
        acts: dict[str, list[Unit]] = {}
        for unit in self.bought:
            acts.setdefault(unit.case, []).append(unit)
        return acts
