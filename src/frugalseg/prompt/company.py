"""Company: an object that in the drawn slices never comes without another one near it is doubtful where it does.

A generalist outlines what it is shown; what it is called is the teacher's word. A teacher that takes one class for
another, or something that nobody has drawn for a class, gets a good outline under a wrong name, and no single answer
tells. The slice does, often: where the heart's right ventricle is drawn the left one is beside it, and a left ventricle
that is taken for the right leaves no left one.

So in the slices that an expert has drawn whole we look at what the generalist says (its own label, for some classes it
answers less often than they are there): a class needs another one where it was said in at least `least_slices` of them
and the other beside it in nearly all. How near, the expert's drawing tells: no piece of the class was ever further from
the other one than some distance. A piece that in any other slice is more than `REACH` times as far away and `SLACK`
pixels more says nothing, and where that is all that was said of the class, the slice says nothing at all: the
generalist was asked about the wrong thing there, so what it calls background may be the right one. Slices across
different axes are counted apart.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from pydantic import Field
from scipy import ndimage

from frugalseg.data.label import UNKNOWN
from frugalseg.prompt.fusion import PseudoLabel
from frugalseg.settings import Settings

REACH = 1.5
"""How many times as far as an expert has ever drawn it the other class may be."""

SLACK = 2
"""Pixels that it may be further: between classes that touch in an expert's drawing a generalist may leave a gap."""

Needs = Mapping[int, Float[np.ndarray, "C C"]]
"""By the axis that slices lie across: how near (mm) each class (row) needs which other (column); NaN: not at all."""

Known = tuple[UInt8[np.ndarray, "*space"], PseudoLabel, Sequence[float]]
"""A drawn case: what the expert drew (`UNKNOWN` elsewhere), what the generalist says of it, its spacing (mm)."""


class CompanySettings(Settings):
    """When a class is thought to need another one; ours."""

    least_slices: int = Field(10, ge=1)  # drawn slices in which a class must have been said
    share: float = Field(0.95, gt=0, le=1)  # of them the part that has the other one too


def needed_company(
    drawn: Iterable[Known], axes: Sequence[int], n_classes: int, settings: CompanySettings | None = None
) -> Needs:
    """What each class needs, and how near; infinitely far where no expert has drawn both in one slice."""
    settings, cases = settings or CompanySettings(), list(drawn)
    return {axis: _needed([*_drawn_whole(cases, axis)], n_classes, settings) for axis in axes}


class _Slice(NamedTuple):
    """A slice that an expert has drawn whole: that, what the generalist says of it, its two spacings."""

    drawn: np.ndarray
    said: np.ndarray
    spacing: Sequence[float]


def _drawn_whole(cases: Iterable[Known], axis: int) -> Iterator[_Slice]:
    for expert, said, spacing in cases:
        for drawn, label in zip(_slices(expert, axis), _slices(said.label, axis), strict=True):
            if (drawn != UNKNOWN).all():
                yield _Slice(drawn, label, _in_plane(spacing, axis))


def _needed(slices: Sequence[_Slice], n_classes: int, settings: CompanySettings) -> Float[np.ndarray, "C C"]:
    together = np.zeros((n_classes, n_classes), np.int64)
    for one in slices:
        has = _present(one.said, n_classes)
        together += np.outer(has, has)
    alone = np.diagonal(together)[:, None]
    needs = (alone >= settings.least_slices) & (together >= settings.share * alone) & ~np.eye(n_classes, dtype=bool)
    reach = np.full(needs.shape, np.nan)
    for a, b in np.argwhere(needs):
        reach[a, b] = REACH * max(_distances(slices, int(a), int(b)), default=np.inf)
    return reach


def _distances(slices: Iterable[_Slice], a: int, b: int) -> Iterator[float]:
    """How far pieces of a class are from another one, as drawn, in slices that have both."""
    for one in slices:
        is_a, is_b = one.drawn == a, one.drawn == b
        if is_a.any() and is_b.any():
            yield from _away(_pieces(is_a), is_b, one.spacing)


def in_company(said: PseudoLabel, needs: Needs, spacing: Sequence[float]) -> PseudoLabel:
    """A label without what lacks the company it needs: that is `UNKNOWN`. `spacing` (mm) is the case's."""
    label, weight = said.label.copy(), said.weight.copy()
    for axis, reach in needs.items():
        if np.isnan(reach).all():
            continue
        for before, after, count in zip(*(_slices(x, axis) for x in (said.label, label, weight)), strict=True):
            lacks = _lacking(before, reach, _in_plane(spacing, axis))
            after[lacks], count[lacks] = UNKNOWN, 0
    return PseudoLabel(label, weight)


def _lacking(label: np.ndarray, reach: np.ndarray, spacing: Sequence[float]) -> Bool[np.ndarray, "H W"]:
    """Where a slice says what lacks company; everywhere where a class is left without any piece that has it."""
    lacks = np.zeros(label.shape, bool)
    present = _present(label, len(reach))
    for a in np.flatnonzero(present & ~np.isnan(reach).all(1)):
        pieces = _pieces(label == a)
        far = np.zeros(pieces.max() + 1, bool)
        for b in np.flatnonzero(~np.isnan(reach[a])):
            if not present[b]:
                return np.ones(label.shape, bool)
            far[1:] |= _away(pieces, label == b, spacing) > reach[a, b] + SLACK * max(spacing)
        if far[1:].all():
            return np.ones(label.shape, bool)
        lacks |= far[pieces]
    return lacks


def _pieces(mask: np.ndarray) -> np.ndarray:
    """The pieces of a mask numbered from 1 on, touching corners included."""
    return np.asarray(ndimage.label(mask, structure=np.ones((3, 3)))[0])


def _away(pieces: np.ndarray, other: np.ndarray, spacing: Sequence[float]) -> Float[np.ndarray, " N"]:
    """How far (mm) each piece is from the nearest pixel of the other one."""
    away = ndimage.distance_transform_edt(~other, sampling=spacing)
    return np.asarray(ndimage.minimum(away, pieces, range(1, pieces.max() + 1)))


def _in_plane(spacing: Sequence[float], axis: int) -> list[float]:
    """The spacings of a slice's two axes."""
    return [s for a, s in enumerate(spacing) if a != axis]


def _slices(array: np.ndarray, axis: int) -> Iterator[np.ndarray]:
    """The slices across an axis, as views; of a picture, whose axis is -1, the picture."""
    yield from [array] if axis < 0 else np.moveaxis(array, axis, 0)


def _present(label: np.ndarray, n_classes: int) -> Bool[np.ndarray, " C"]:
    """Which object classes a slice has."""
    found = np.bincount(label.ravel(), minlength=UNKNOWN + 1)[:n_classes] > 0
    found[0] = False
    return found
