"""Who draws. A person in the studio and the oracle that draws from complete labels have one face."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Literal, Protocol

import numpy as np

from frugalseg.data.case import Case
from frugalseg.data.cost import CostModel, paging_axes
from frugalseg.data.cross_labels import middle_planes
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.pool import Pool, Truth
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError, lookup
from frugalseg.prompt.scribbles import ScribbleSettings, scribble
from frugalseg.seeds import stream
from frugalseg.settings import Settings


@dataclass(frozen=True)
class Annotation:
    """One act of annotation: what was drawn of which unit by whom, and how long it took.

    `label` has the case's shape and is unknown outside of what was drawn.
    """

    unit: Unit
    rater: str
    label: SemanticLabel
    seconds: float


class Annotator(Protocol):
    """Somebody who draws one unit at a time."""

    def annotate(self, case: Case, unit: Unit) -> Annotation:
        """Draws the unit."""
        ...


class OracleSettings(Settings):
    """How the oracle draws, and what that costs."""

    style: Literal["dense", "scribbles", "by-hand"] = "dense"  # scribbles: drawn by rule; by-hand: those in the files
    planes: Literal["as-placed", "truth-centre"] = "as-placed"  # truth-centre: the middle of the true object (GM-ABS)
    rater: str = "oracle"  # under which name its labels are kept
    truth_rater: str | None = None  # whose complete labels it copies, when there are several
    scribbles: ScribbleSettings = ScribbleSettings()
    cost: CostModel = CostModel()


class Oracle:
    """Draws from complete labels what a person would draw, at a stated cost. Equal seeds draw equal strokes.

    With the style ``by-hand`` it hands out strokes that somebody has drawn and that lie beside the complete labels.
    """

    def __init__(self, truth: Truth, settings: OracleSettings | None = None, *, seed: int = 0) -> None:
        self.truth = truth
        self.settings = settings or OracleSettings()
        self.seed = seed
        self._last: tuple[str, SemanticLabel] | None = None

    def annotate(self, case: Case, unit: Unit) -> Annotation:
        """Draws the unit.

        Raises `DataError` when the case has no complete label or no strokes by hand, or planes are not placed.
        """
        truth = self._complete(case.id)
        if unit.kind == "planes" and self.settings.planes == "truth-centre":
            unit = _centred(unit, truth)
        parts = _parts(unit, truth.array.shape)
        drawn = [STYLES[self.settings.style](self, case, part, truth) for part in parts]
        prices = [self.settings.cost.seconds(d, part, case.geometry) for d, part in zip(drawn, parts, strict=True)]
        return Annotation(unit, self.settings.rater, reduce(SemanticLabel.updated, drawn), sum(prices))

    def _complete(self, case: str) -> SemanticLabel:
        """The complete label, or strokes by hand where these are handed out and nothing more was ever drawn.

        The last one is kept, since many slices of a case often follow each other.
        """
        if self._last is None or self._last[0] != case:
            is_all = self.settings.style == "by-hand" and case not in self.truth
            complete = self._strokes(case) if is_all else self.truth.semantic(case, self.settings.truth_rater)
            self._last = case, complete
        return self._last[1]

    def _dense(self, _case: Case, part: Unit, truth: SemanticLabel) -> SemanticLabel:
        return truth.only(part.mask(truth.array.shape))

    def _scribbles(self, case: Case, part: Unit, truth: SemanticLabel) -> SemanticLabel:
        strokes = np.full_like(truth.array, UNKNOWN)
        (region,), (axis,) = part.regions(strokes.shape), paging_axes(part, case.geometry)
        strokes[region] = self._stroked(truth.array[region], axis, stream(self.seed, "strokes", str(part)))
        return SemanticLabel(strokes, truth.classes)

    def _by_hand(self, case: Case, part: Unit, truth: SemanticLabel) -> SemanticLabel:
        return self._strokes(case.id).only(part.mask(truth.array.shape))

    def _strokes(self, case: str) -> SemanticLabel:
        raters = self.truth.strokes.raters(case)
        drawn = self.truth.strokes.get(case, raters[0]) if len(raters) == 1 else None
        if drawn is None:
            people = f"there are those of {', '.join(raters)}" if raters else "there are none"
            raise DataError(
                f"{case}: an oracle of the style 'by-hand' needs strokes of one person beside its complete label, "
                f"but {people}; add them to the data, or choose the style 'scribbles', which draws by rule"
            )
        return drawn

    def _stroked(self, part: np.ndarray, axis: int, rng: np.random.Generator) -> np.ndarray:
        if part.ndim == 2:
            return scribble(part, self.settings.scribbles, rng=rng)
        slices = [scribble(s, self.settings.scribbles, rng=rng) for s in np.moveaxis(part, axis, 0)]
        return np.moveaxis(np.stack(slices), 0, axis)


Style = Callable[[Oracle, Case, Unit, SemanticLabel], SemanticLabel]

STYLES: Mapping[str, Style] = {"dense": Oracle._dense, "scribbles": Oracle._scribbles, "by-hand": Oracle._by_hand}
"""How an oracle draws a part of a unit: oracle, case, part, complete label -> what is known then."""


def _parts(unit: Unit, shape: tuple[int, ...]) -> list[Unit]:
    """Three planes as three slices, which are drawn and paid one by one; else the unit itself."""
    unit.regions(shape)  # raises for planes that are not placed and for what lies outside
    if unit.kind != "planes":
        return [unit]
    return [Unit(unit.case, "slice", axis, (k,)) for axis, k in enumerate(unit.index)]


def _centred(unit: Unit, truth: SemanticLabel) -> Unit:
    """The planes through the middle of the foreground's bounding box; where they were when there is no foreground."""
    index = middle_planes(truth)
    return unit if index is None else unit.placed(index)


def annotate(
    pool: Pool, units: Iterable[Unit], *, by: Literal["oracle"] | Annotator = "oracle", seed: int = 0
) -> list[Annotation]:
    """Has the units drawn, joins each with what the same rater has drawn before, and returns the acts with their cost.

    Raises `DataError` when the oracle is asked but the pool has no complete labels.
    """
    if isinstance(by, str):
        lookup({"oracle": Oracle}, by, "annotator")
        if not pool.truth.sources:
            raise DataError("the oracle has nothing to draw from: open the pool with labels_are='truth'")
        by = Oracle(pool.truth, seed=seed)
    acts = []
    for unit in units:
        act = by.annotate(pool[unit.case], unit)
        before = pool.labels.get(unit.case, act.rater)
        pool.labels.put(unit.case, act.rater, act.label if before is None else before.updated(act.label))
        acts.append(act)
    return acts
