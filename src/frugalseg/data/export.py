"""What an export takes from a pool."""

from collections.abc import Iterable, Iterator

from frugalseg.data.case import Case
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.errors import DataError


def exported(
    pool: Pool, *, cases: Iterable[str] | None, rater: str | None
) -> Iterator[tuple[Case, SemanticLabel | InstanceLabel]]:
    """Yields the cases in the order of their ids, each with its label.

    These are the labels that were drawn; only where nothing at all was drawn in the pool, the complete labels that
    came with it. The two are never mixed. Raises `DataError` for a case without a label or with several raters.
    """
    drawn = pool.labelled(rater)
    from_truth = not any(pool.labels.raters(case.id) for case in pool.cases)
    available = [c.id for c in pool.cases if c.id in pool.truth] if from_truth else drawn
    wanted = available if cases is None else sorted({pool[case].id for case in cases})
    if not wanted:
        by = "" if rater is None else f" by rater '{rater}'"
        raise DataError(f"there is no label{by} to export: draw some, or name another rater")
    for case in wanted:
        label = pool.truth.read(case, rater) if from_truth else pool.label(case, rater)
        if label is None:
            raise DataError(f"{case}: nothing was drawn on it; leave it out of the cases to export")
        if label.array.shape != pool[case].geometry.shape:
            raise DataError(f"{case}: its label has shape {label.array.shape}, its image {pool[case].geometry.shape}")
        yield pool[case], label
