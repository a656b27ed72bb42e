"""The views of a case: its slices along each axis that shows square enough pixels, asked of a generalist.

Only slices that carry an object are encoded. What the generalist answers is painted into one volume a class and axis.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt8
from pydantic import Field
from scipy import ndimage

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.unit import Unit
from frugalseg.errors import SettingsError
from frugalseg.generalists.ahead import view_of
from frugalseg.generalists.cache import Cached
from frugalseg.generalists.generalist import Embedding, Generalist, View, decode_all
from frugalseg.generalists.masks import Masks
from frugalseg.metrics.overlap import iou
from frugalseg.prompt.fusion import Votes
from frugalseg.prompt.prototypes import Belief
from frugalseg.prompt.slices import Asked, PromptSettings, slice_prompts
from frugalseg.seeds import stream
from frugalseg.settings import Settings

Place = tuple[int, int]
"""Axis and index of a slice; axis -1, index 0 is the picture of a 2D case."""

AT_ONCE = 8
"""Slices that are embedded and asked about together: what is in memory at a time, and what a kill costs."""


class ViewSettings(Settings):
    """Which slices are shown to the generalist, and which answers are believed."""

    axes: tuple[int, ...] | None = None  # None: those that are square enough; GM-ABS has 0, 1, 2
    anisotropy: float = Field(2.0, ge=1)  # largest ratio of a slice's two spacings; ours
    narrowest: int = Field(20, ge=1)  # pixels of a slice's shorter side at least; ours
    every: int = Field(1, ge=1)  # only slices whose index is a multiple; the others say nothing; ours
    least_overlap: float = Field(0.7, ge=0, le=1)  # IoU of an answer and what was asked about; ours, GM-ABS has 0
    unconfirmed: Literal["background", "silent"] = "background"  # what a lesser object is that no answer fits; ours


@dataclass(frozen=True)
class Work:
    """What an asking has cost: slices that were shown, those of them that were encoded, and prompts decoded."""

    shown: int = 0
    encoded: int = 0
    decoded: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.shown + other.shown, self.encoded + other.encoded, self.decoded + other.decoded)


def viewing_axes(geometry: Geometry, settings: ViewSettings) -> tuple[int, ...]:
    """The axes across which slices are shown: -1 for a 2D case.

    Of a stack of thick slices only those as they were taken: the pixels of other cuts are longer than `anisotropy`
    allows or, where a file has lost its spacing, the cuts are a few pixels narrow. Where no axis passes it is the one
    with the squarest pixels, of equals with the largest slices. Raises `SettingsError` for axes that no volume has.
    """
    if geometry.ndim == 2:
        return (-1,)
    if settings.axes is not None:
        wrong = [a for a in settings.axes if not 0 <= a < 3]
        if wrong or not settings.axes or len(set(settings.axes)) < len(settings.axes):
            raise SettingsError(f"axes {settings.axes}: slices of a volume lie across axis 0, 1 or 2; name each once")
        return tuple(sorted(settings.axes))
    square = [a for a in range(3) if _ratio(geometry, a) <= settings.anisotropy]
    passing = tuple(a for a in square if _side(geometry, a) >= settings.narrowest)
    return passing or (min(range(3), key=lambda a: (_ratio(geometry, a), -_side(geometry, a), a)),)


def slices_shown(case: str, geometry: Geometry) -> Iterator[Unit]:
    """Every slice of a case that may be shown by default: all that carry an object are among them."""
    for axis in viewing_axes(geometry, ViewSettings()):
        for index in range(1 if axis < 0 else geometry.shape[axis]):
            yield _unit(case, (axis, index))


def _ratio(geometry: Geometry, axis: int) -> float:
    """The larger spacing of a slice over the smaller."""
    rows, columns = (s for a, s in enumerate(geometry.spacing) if a != axis)
    return max(rows, columns) / min(rows, columns)


def _side(geometry: Geometry, axis: int) -> int:
    """Pixels of a slice's shorter side."""
    return min(n for a, n in enumerate(geometry.shape) if a != axis)


def ask(
    belief: Belief,
    axes: Sequence[int],
    prompts: PromptSettings,
    views: ViewSettings,
    *,
    seed: int,
    case: str,
    without: Collection[int] = (),
) -> dict[Place, Asked]:
    """The prompts of every slice that is looked at, in order; slices without an object have none.

    The classes `without` are not asked about.
    """
    asked = {}
    for axis in axes:
        for index in range(0, belief.classes.shape[axis] if axis >= 0 else 1, views.every):
            place = (axis, index)

            def rng(value: int, place: Place = place) -> np.random.Generator:
                return stream(seed, "prompts", case, *place, value)

            asked[place] = slice_prompts(belief.slice(axis, index), prompts, rng=rng, without=without)
    return asked


@dataclass(frozen=True, eq=False)
class Answer:
    """What the generalist says of a slice: `claims` (N, H, W) for N object classes, `silent` (H, W), and its cost."""

    place: Place
    claims: Bool[np.ndarray, "N H W"]
    silent: Bool[np.ndarray, "H W"]
    work: Work


def answers(
    generalist: Generalist,
    image: Image,
    belief: Belief,
    asked: Mapping[Place, Asked],
    *,
    case: str,
    least_overlap: float,
) -> Iterator[Answer]:
    """The answer to the prompts of each slice; one without prompts is background, and comes before the others.

    What is not in the generalist's cache is encoded, several slices at a time. Raises `DataError` for prompts that the
    generalist was not trained on.
    """
    n_objects = len(belief.similarity) - 1
    shown = [place for place, prompts in asked.items() if len(prompts)]
    for place in (p for p in asked if p not in shown):
        empty = np.zeros(belief.slice(*place).classes.shape, bool)
        yield Answer(place, np.repeat(empty[None], n_objects, 0), empty, Work())
    for start in range(0, len(shown), AT_ONCE):
        places = shown[start : start + AT_ONCE]
        views = [view_of(image, _unit(case, place)) for place in places]
        embedded = _embedded(generalist, views)
        found = decode_all(generalist, [(e, asked[p].prompts) for p, (e, _) in zip(places, embedded, strict=True)])
        for place, (_, is_fresh), masks in zip(places, embedded, found, strict=True):
            here = asked[place]
            claims, silent = painted(
                masks, here, belief.slice(*place), n_objects=n_objects, least_overlap=least_overlap
            )
            yield Answer(place, claims, silent, Work(1, int(is_fresh), len(here)))


def _embedded(generalist: Generalist, views: Sequence[View]) -> list[tuple[Embedding, bool]]:
    """The embedding of each view, and whether it had to be encoded."""
    if isinstance(generalist, Cached):
        return generalist.embedded(views)
    return [(embedding, True) for embedding in generalist.embed(views)]


def _slice_at(axis: int, index: int) -> tuple[slice | int, ...]:
    """Where a slice lies in the volume; axis -1: the whole picture."""
    return (slice(None),) * axis + (index,) if axis >= 0 else (slice(None),) * 2


def _unit(case: str, place: Place) -> Unit:
    axis, index = place
    return Unit(case) if axis < 0 else Unit(case, "slice", axis, (index,))


def revised(votes: Votes, axes: Sequence[int], replies: Iterable[Answer]) -> Votes:
    """The votes of the views across these axes with what has been answered anew."""
    claims, silent = votes.claims.copy(), votes.silent.copy()
    for answer in replies:
        axis, index = answer.place
        view, where = list(axes).index(axis), _slice_at(axis, index)
        claims[(view, slice(None), *where)] = answer.claims
        silent[(view, *where)] = answer.silent
    return Votes(claims, silent)


def painted(
    masks: Masks, asked: Asked, belief: Belief, *, n_objects: int, least_overlap: float
) -> tuple[np.ndarray, np.ndarray]:
    """What the answers claim of a slice (N, H, W) for N object classes, and where the generalist has said nothing.

    An answer that is about something else than the piece it was asked about is thrown away: the pixels of its box that
    no other answer claims are then silent, since calling them background would teach that the object is not there (but
    see `without_unconfirmed`).
    """
    claims = np.zeros((n_objects, *belief.classes.shape), bool)
    silent = np.zeros(belief.classes.shape, bool)
    for k, (value, box) in enumerate(zip(asked.classes, _boxes(asked), strict=True)):
        answer = masks.mask(k)
        if iou(answer[box], belief.classes[box] == value) >= least_overlap:
            claims[value - 1] |= answer
        else:
            silent[box] = True
    return claims, silent & ~claims.any(0)


def _boxes(asked: Asked) -> Iterator[tuple[slice, slice]]:
    """The pixels of each prompt's box."""
    for top, left, bottom, right in np.rint(asked.boxes).astype(int):
        yield slice(top, bottom + 1), slice(left, right + 1)


def asked_about(
    classes: UInt8[np.ndarray, "*space"], axes: Sequence[int], asked: Mapping[Place, Asked]
) -> Bool[np.ndarray, "V *space"]:
    """Which voxels lie in a box of their own class, view by view."""
    about = np.zeros((len(axes), *classes.shape), bool)
    for (axis, index), here in asked.items():
        where = _slice_at(axis, index)
        seen, inside = classes[where], np.zeros(classes[where].shape, bool)
        for value, box in zip(here.classes, _boxes(here), strict=True):
            inside[box] |= seen[box] == value
        about[(list(axes).index(axis), *where)] = inside
    return about


def without_unasked(
    votes: Votes,
    classes: UInt8[np.ndarray, "*space"],
    about: Bool[np.ndarray, "V *space"],
    *,
    without: Collection[int] = (),
) -> Votes:
    """The votes in which a view says nothing of objects that it was not asked `about` and claims for no class.

    They were too small for a prompt, or too many: that the generalist names none there does not make them background.
    Classes that nobody was to be asked about, `without`, are left as they are.
    """
    unasked = (classes > 0) & ~np.isin(classes, [*without]) & ~about
    return Votes(votes.claims, votes.silent | (unasked & ~votes.claims.any(1)))


def without_unconfirmed(
    votes: Votes,
    classes: UInt8[np.ndarray, "*space"],
    axes: Sequence[int],
    about: Bool[np.ndarray, "V *space"],
    *,
    every: int,
) -> Votes:
    """The votes in which objects that no answer has fitted are background, beside a larger one of their class that has.

    An object is a piece of a class in 3D, touching corners included, that was asked `about` in some slice; an answer
    has fitted where some view claims a voxel of it for that class. In the slices of a doubtful object that were shown,
    each `every`th, the view then is not silent. An object of which some slices were confirmed keeps the others silent,
    and so does a class of which nothing larger was: there it may be the generalist who fails. (ACDC, first labels of 37
    scans: of 972 such objects of both cavities six were true, 0.4 % of the voxels; of 82 beside nothing confirmed five
    were, 19 % of the voxels.) A picture has no further slices that could confirm a piece: votes on it are left as they
    are.
    """
    if classes.ndim < 3:
        return votes
    doubtful = np.zeros(classes.shape, bool)
    for value in range(1, votes.claims.shape[1] + 1):
        pieces, n = ndimage.label(classes == value, structure=np.ones((3, 3, 3)))
        confirmed, asked = np.zeros(n + 1, bool), np.zeros(n + 1, bool)
        confirmed[np.unique(pieces[votes.claims[:, value - 1].any(0)])] = True
        asked[np.unique(pieces[about.any(0)])] = True
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)
        sizes[0] = 0  # the background is no object
        largest = sizes[confirmed].max(initial=0)
        doubtful |= (asked & (sizes > 0) & (sizes < largest) & ~confirmed)[pieces]
    silent = votes.silent.copy()
    for view, axis in enumerate(axes):
        shown = (slice(None),) * axis + (slice(None, None, every),)
        silent[(view, *shown)] &= ~doubtful[shown]
    return Votes(votes.claims, silent)
