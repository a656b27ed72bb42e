"""Company: an object that in the drawn slices never comes without another one is doubtful where it comes alone.

A generalist outlines what it is shown; what it is called is the teacher's word. A teacher that takes one class for
another gets a good outline under a wrong name, and no single answer tells. The slice does, often: where the heart's
right ventricle is drawn the left one is too, and a left ventricle that is taken for the right leaves no left one.

So in the slices that an expert has drawn whole we look at what the generalist says (its own label, for some classes it
answers less often than they are there): a class needs another one where it was said in at least `least_slices` of them
and the other beside it in nearly all. Any other slice that has a class without what it needs says nothing at all.
Slices across different axes are counted apart.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from pydantic import Field

from frugalseg.data.label import UNKNOWN
from frugalseg.prompt.fusion import PseudoLabel
from frugalseg.settings import Settings

Needs = Mapping[int, Bool[np.ndarray, "C C"]]
"""By the axis that slices lie across: which class (row) never comes without which (column)."""


class CompanySettings(Settings):
    """When a class is thought to need another one; ours."""

    least_slices: int = Field(10, ge=1)  # drawn slices in which a class must have been said
    share: float = Field(0.95, gt=0, le=1)  # of them the part that has the other one too


def needed_company(
    drawn: Iterable[tuple[UInt8[np.ndarray, "*space"], PseudoLabel]],
    axes: Sequence[int],
    n_classes: int,
    settings: CompanySettings | None = None,
) -> Needs:
    """What each class needs, from what experts drew (`UNKNOWN` elsewhere) and the generalist says of these cases."""
    settings, cases = settings or CompanySettings(), list(drawn)
    return {axis: _needed(cases, axis, n_classes, settings) for axis in axes}


def _needed(
    cases: Iterable[tuple[np.ndarray, PseudoLabel]], axis: int, n_classes: int, settings: CompanySettings
) -> Bool[np.ndarray, "C C"]:
    together = np.zeros((n_classes, n_classes), np.int64)
    for expert, said in cases:
        for drawn, has in zip(_slices(expert, axis), _present(said, axis, n_classes), strict=True):
            if (drawn != UNKNOWN).all():
                together += np.outer(has, has)
    alone = np.diagonal(together)[:, None]
    return (alone >= settings.least_slices) & (together >= settings.share * alone) & ~np.eye(n_classes, dtype=bool)


def in_company(said: PseudoLabel, needs: Needs) -> PseudoLabel:
    """A label without the slices that have a class without what it needs: they are `UNKNOWN`."""
    label, weight = said.label.copy(), said.weight.copy()
    for axis, needed in needs.items():
        present = np.stack([*_present(said, axis, len(needed))])  # slices, classes
        lacks = (present[:, :, None] & needed[None] & ~present[:, None, :]).any((1, 2))
        where = (slice(None),) * axis + (lacks,) if axis >= 0 else (slice(None),) * 2
        if lacks.any():
            label[where], weight[where] = UNKNOWN, 0
    return PseudoLabel(label, weight)


def _slices(array: np.ndarray, axis: int) -> Iterator[np.ndarray]:
    """The slices across an axis; of a picture, whose axis is -1, the picture."""
    yield from [array] if axis < 0 else np.moveaxis(array, axis, 0)


def _present(said: PseudoLabel, axis: int, n_classes: int) -> Iterator[Bool[np.ndarray, " C"]]:
    """Slice by slice which object classes are said."""
    for label in _slices(said.label, axis):
        found = np.bincount(label.ravel(), minlength=UNKNOWN + 1)[:n_classes] > 0
        found[0] = False
        yield found
