"""Looks at every image and label of a pool before anybody spends time on them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.data.splits import Split, split_problems
from frugalseg.errors import DataError

SPACING_MM = (0.01, 20.0)
"""Smallest and largest plausible distance of voxels in a file that knows its world; ours."""

LOST_HEADER_RATIO = 8
"""Spacing of exactly 1 mm on all axes is doubted where one axis is so many times longer than another; ours."""

Label = SemanticLabel | InstanceLabel


@dataclass(frozen=True)
class Finding:
    """What is wrong with a case, or with the split (`case` is then "split"). `str()` of it is one sentence.

    An error keeps the case from being used, a warning is for a person to look at.
    """

    case: str
    problem: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.case}: {self.problem}; {self.remedy}"


def check_pool(pool: Pool, *, split: Split | None = None) -> Iterator[Finding]:
    """Yields what is wrong with the split, then with each case, its drawn labels and its complete labels.

    Reads every file once and holds one case at a time. What cannot be read is a finding, and the next case follows.
    """
    if split is not None:
        yield from (Finding("split", problem, remedy) for problem, remedy in split_problems(split, pool.cases))
    part_of = {case: part for part, ids in split.parts.items() for case in ids} if split else {}
    seen: dict[str, str] = {}
    for case in pool.cases:
        yield from _check_image(case)
        yield from _check_repeated(case, seen, part_of)
        for rater in pool.labels.raters(case.id):
            yield from _check_drawn(pool, case, rater)
        for rater in pool.truth.raters(case.id):
            yield from _check_complete(pool, case, rater)


def raise_on_errors(findings: Iterable[Finding]) -> None:
    """Raises `DataError` with the first error and the number of the others; warnings pass."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise DataError(f"{errors[0]}{others}")


def _check_image(case: Case) -> Iterator[Finding]:
    try:
        image = case.image()
    except DataError as error:
        yield Finding(case.id, str(error), "repair or replace the image, or leave the case out")
        return
    difference = image.geometry.differs(case.geometry)
    if difference:
        yield Finding(case.id, f"the image is not what it was when the pool was opened: {difference}", "open it again")
    if _is_constant(image):
        yield Finding(case.id, "all voxels of the image have the same value", "replace the image or leave the case out")
    yield from _check_spacing(case)


def _is_constant(image: Image) -> bool:
    space = tuple(range(image.geometry.ndim))
    return bool((image.array.min(axis=space) == image.array.max(axis=space)).all())


def _check_spacing(case: Case) -> Iterator[Finding]:
    geometry = case.geometry
    if geometry.affine is None:
        return
    spacing = tuple(round(s, 6) for s in geometry.spacing)
    low, high = SPACING_MM
    if min(spacing) < low or max(spacing) > high:
        problem = f"voxels {spacing} mm apart are outside of {low:g} to {high:g} mm"
    elif set(spacing) == {1.0} and max(geometry.shape) > LOST_HEADER_RATIO * min(geometry.shape):
        problem = f"a spacing of 1 mm on all axes is unlikely for a shape of {geometry.shape}"
    else:
        return
    yield Finding(case.id, problem, "correct the header, or read no distance in millimetres", "warning")


def _check_repeated(case: Case, seen: dict[str, str], part_of: dict[str, str]) -> Iterator[Finding]:
    try:
        fingerprint = case.source.fingerprint()
    except DataError:  # reading the image has reported it
        return
    first = seen.setdefault(fingerprint, case.id)
    if first == case.id:
        return
    parts = part_of.get(first, ""), part_of.get(case.id, "")
    if all(parts) and parts[0] != parts[1]:
        problem = (
            f"the image is the same file as that of '{first}', and the split has them in {parts[1]} and {parts[0]}"
        )
        yield Finding(case.id, problem, "keep one of them")
    else:
        yield Finding(case.id, f"the image is the same file as that of '{first}'", "keep one of them", "warning")


def _check_drawn(pool: Pool, case: Case, rater: str) -> Iterator[Finding]:
    what = f"what '{rater}' has drawn"
    yield from _check_label(pool, case, what=what, read=lambda: pool.labels.get(case.id, rater))


def _check_complete(pool: Pool, case: Case, rater: str) -> Iterator[Finding]:
    what, source = f"the complete label by '{rater}'", pool.truth.sources[case.id][rater]
    try:
        own = source.geometry()
    except DataError as error:
        yield _unreadable(case, what, error)
        return
    difference = _difference(own, case.geometry)
    if difference:
        yield _misplaced(case, what, difference)
    else:
        yield from _check_label(pool, case, what=what, read=source.read)


def _check_label(pool: Pool, case: Case, *, what: str, read: Callable[[], Label | None]) -> Iterator[Finding]:
    try:
        label = read()
    except DataError as error:
        yield _unreadable(case, what, error)
        return
    if label is None:
        return
    if label.array.shape != case.geometry.shape:
        yield _misplaced(case, what, f"shape {label.array.shape} and {case.geometry.shape}")
    elif isinstance(label, SemanticLabel) and label.classes != pool.classes:
        problem = f"{what} has the classes {label.classes}, the pool has {pool.classes}"
        yield Finding(case.id, problem, "use the same classes in the same order")
    else:
        yield from _check_content(case, label, what=what)


def _check_content(case: Case, label: Label, *, what: str) -> Iterator[Finding]:
    semantic = label.semantic() if isinstance(label, InstanceLabel) else label
    if not semantic.known.any():
        yield Finding(case.id, f"{what} is unknown everywhere", "draw something or remove the label", "warning")
    elif not np.any(semantic.known & (semantic.array > 0)):
        yield Finding(case.id, f"{what} is background only", "check that nothing was forgotten", "warning")


def _difference(own: Geometry | None, image: Geometry) -> str:
    return "" if own is None else own.differs(image)


def _misplaced(case: Case, what: str, difference: str) -> Finding:
    problem = f"{what} does not lie on the image: {difference}"
    return Finding(case.id, problem, "write the label again in the space of the image, or leave the case out")


def _unreadable(case: Case, what: str, error: DataError) -> Finding:
    return Finding(case.id, f"{what} cannot be used: {error}", "repair or replace the label, or leave the case out")
