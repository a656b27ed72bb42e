"""Measuring a model, or a folder of masks, against complete labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np

from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.data.sources import ClassMap
from frugalseg.errors import DataError
from frugalseg.metrics.semantic import Scores, semantic_scores
from frugalseg.specialist.model import Model


@dataclass(frozen=True)
class CaseScore:
    """The metrics of one case by name, as `frugalseg.metrics` defines them."""

    case: str
    scores: dict[str, float]


def evaluate(
    model: Model,
    pool: Pool,
    cases: Iterable[str] | None = None,
    *,
    rater: str | None = None,
    also: Scores | None = None,
) -> Iterator[CaseScore]:
    """Predicts and scores each case that has a complete label (all of them, or the ids given), one record a case.

    `also` are the scores of a published protocol, which are added to the usual ones.
    """
    for case in cases if cases is not None else [c.id for c in pool.cases if c.id in pool.truth]:
        yield score_case(pool, case, model.predict(pool[case]).label, rater=rater, also=also)


def evaluate_masks(
    folder: Path, pool: Pool, cases: Iterable[str], *, rater: str | None = None, also: Scores | None = None
) -> Iterator[CaseScore]:
    """Scores the masks in a folder, named like the cases, against their complete labels, one record a case.

    A mask holds class numbers, or 255 for the only class. Raises `DataError` for a missing mask, for one of another
    shape or affine, and for one that holds anything else.
    """
    from frugalseg.data.formats import read_values

    for case in cases:
        files = sorted(f for f in folder.glob(f"{escape(case)}.*") if f.is_file())
        if len(files) != 1:
            raise DataError(f"{folder}: there must be one mask '{case}.*', but there are {len(files)}")
        values, geometry = read_values(files[0])
        if gap := geometry.differs(pool[case].geometry):
            raise DataError(f"{files[0]}: it does not lie on its image: {gap}")
        yield score_case(pool, case, _mask(files[0], values, pool.classes), rater=rater, also=also)


def _mask(file: Path, values: np.ndarray, classes: tuple[str, ...]) -> SemanticLabel:
    try:
        label = ClassMap(classes, tuple(range(1, len(classes)))).apply(values)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    if not label.known.all():
        raise DataError(f"{file}: a mask to measure says something everywhere, but it holds unknown voxels (255)")
    return label


def score_case(
    pool: Pool, case: str, prediction: SemanticLabel, *, rater: str | None = None, also: Scores | None = None
) -> CaseScore:
    """The metrics of one prediction against the complete label, in the case's own geometry.

    Those of `also` are added; raises `DataError` that names the case where it has no value.
    """
    truth = pool.truth.semantic(case, rater)
    if truth.classes != prediction.classes:
        raise DataError(f"{case}: the model knows the classes {prediction.classes}, its label has {truth.classes}")
    scores = semantic_scores(prediction, truth, spacing=pool[case].geometry.spacing)
    try:
        return CaseScore(case, scores if also is None else {**scores, **also(prediction, truth)})
    except DataError as error:
        raise DataError(f"{case}: {error}") from error


def mean_scores(scores: Sequence[CaseScore]) -> dict[str, float]:
    """The mean of each metric over the cases; raises `DataError` for no case."""
    if not scores:
        raise DataError("no case was measured: give complete labels for some of them")
    return {name: float(np.mean([s.scores[name] for s in scores])) for name in scores[0].scores}
