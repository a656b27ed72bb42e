"""Who draws. A person in the studio and the oracle that draws from complete labels have one face."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from frugalseg.data.case import Case
from frugalseg.data.cost import CostModel, paging_axes
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.pool import Pool, Truth
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
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

    style: Literal["dense", "scribbles"] = "dense"
    planes: Literal["as-placed", "truth-centre"] = "as-placed"  # truth-centre: the middle of the true object (GM-ABS)
    rater: str = "oracle"  # under which name its labels are kept
    truth_rater: str | None = None  # whose complete labels it copies, when there are several
    scribbles: ScribbleSettings = ScribbleSettings()
    cost: CostModel = CostModel()


class Oracle:
    """Draws from complete labels what a person would draw, at a stated cost. Equal seeds draw equal strokes."""

    def __init__(self, truth: Truth, settings: OracleSettings | None = None, *, seed: int = 0) -> None:
        self.truth = truth
        self.settings = settings or OracleSettings()
        self.seed = seed

    def annotate(self, case: Case, unit: Unit) -> Annotation:
        """Draws the unit. Raises `DataError` when the case has no complete label, or planes are not placed."""
        truth = self.truth.semantic(case.id, self.settings.truth_rater)
        if unit.kind == "planes" and self.settings.planes == "truth-centre":
            unit = _centred(unit, truth)
        seen = truth.only(unit.mask(truth.array.shape))
        label = STYLES[self.settings.style](self, case, unit, seen)
        seconds = self.settings.cost.seconds(label, unit, case.geometry)
        return Annotation(unit, self.settings.rater, label, seconds)

    def _dense(self, _case: Case, _unit: Unit, seen: SemanticLabel) -> SemanticLabel:
        return seen

    def _scribbles(self, case: Case, unit: Unit, seen: SemanticLabel) -> SemanticLabel:
        """Strokes in each slice of the unit; where planes cross, the strokes of both are kept."""
        strokes = np.full_like(seen.array, UNKNOWN)
        axes = paging_axes(unit, case.geometry)
        for number, (region, axis) in enumerate(zip(unit.regions(seen.array.shape), axes, strict=True)):
            rng = stream(self.seed, "strokes", str(unit), number)
            drawn = self._stroked(seen.array[region], axis, rng)
            strokes[region] = np.where(drawn != UNKNOWN, drawn, strokes[region])
        return SemanticLabel(strokes, seen.classes)

    def _stroked(self, part: np.ndarray, axis: int, rng: np.random.Generator) -> np.ndarray:
        if part.ndim == 2:
            return scribble(part, self.settings.scribbles, rng=rng)
        slices = [scribble(s, self.settings.scribbles, rng=rng) for s in np.moveaxis(part, axis, 0)]
        return np.moveaxis(np.stack(slices), 0, axis)


Style = Callable[[Oracle, Case, Unit, SemanticLabel], SemanticLabel]

STYLES: Mapping[str, Style] = {"dense": Oracle._dense, "scribbles": Oracle._scribbles}
"""How what was seen becomes what is drawn."""


def _centred(unit: Unit, truth: SemanticLabel) -> Unit:
    """The planes through the middle of the foreground's bounding box; where they were when there is no foreground."""
    where = np.argwhere((truth.array > 0) & truth.known)
    if len(where) == 0:
        return unit
    i, j, k = ((where.min(0) + where.max(0)) // 2).tolist()
    return unit.placed((i, j, k))


def annotate(
    pool: Pool, units: Iterable[Unit], *, by: Literal["oracle"] | Annotator = "oracle", seed: int = 0
) -> list[Annotation]:
    """Has the units drawn, joins each with what the same rater has drawn before, and returns the acts with their cost.

    Raises `DataError` when the oracle is asked but the pool has no complete labels.
    """
    if by == "oracle":
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
