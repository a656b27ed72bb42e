"""Labels that a generalist makes of the cases nobody has drawn, kept in a folder and renewed where prompts have moved.

A file holds the label of one case as of one step of a training: what was said, the prompts it answers, and each view's
votes, so that a later step asks again about those slices only whose prompts have moved. It is written whole or not at
all, and only when something has changed. A training that was killed and goes on from an older step finds the labels of
that step, and refreshing again gives the same bits: prompts are compared with those that were answered last.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from pydantic import Field

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError, SettingsError
from frugalseg.files import fingerprint_array, fingerprint_json
from frugalseg.generalists.generalist import Generalist, GeneralistInfo, foreign_kinds
from frugalseg.prompt.company import Needs, in_company
from frugalseg.prompt.fusion import FusionSettings, PseudoLabel, Votes, fuse, with_expert
from frugalseg.prompt.guard import guarded
from frugalseg.prompt.label_file import LabelState, case_folder, newest_state, state_files, write_state
from frugalseg.prompt.prototypes import Belief
from frugalseg.prompt.slices import NOTHING, Asked, PromptSettings, moved
from frugalseg.prompt.views import (
    Answer,
    Place,
    ViewSettings,
    Work,
    answers,
    ask,
    asked_about,
    revised,
    viewing_axes,
    without_unasked,
    without_unconfirmed,
)
from frugalseg.settings import Settings

FORMAT = 4
"""Counts up when the same prompts would be made or answered otherwise."""


class PseudoLabelSettings(Settings):
    """How pseudo-labels are made."""

    prompts: PromptSettings = PromptSettings()
    views: ViewSettings = ViewSettings()
    fusion: FusionSettings = FusionSettings()
    least_iou: float = Field(0.95, ge=0, le=1)  # of a box with that answered last, below which it has moved; ours


PUBLISHED = PseudoLabelSettings(
    prompts=PromptSettings(rule="published", add_point=2),
    views=ViewSettings(axes=(0, 1, 2), least_overlap=0, unconfirmed="silent"),
    fusion=FusionSettings(label_strategy="majority", short_of_votes="background", weighted=False),
    least_iou=1.0,
)
"""GM-ABS's script. A generalist of boxes alone needs ``add_point=0``."""


def check_askable(
    info: GeneralistInfo, settings: PseudoLabelSettings, geometries: Iterable[Geometry], *, channels: int
) -> None:
    """Raises `SettingsError` when a generalist does not know such prompts or pictures, or images have no such axes.

    Before a training, which would get as far as its first labels.
    """
    if foreign := foreign_kinds(info, settings.prompts.kinds):
        raise SettingsError(f"labels.prompts: {foreign}")
    for geometry in geometries:
        viewing_axes(geometry, settings.views)
        if channels not in (1, 3) and (geometry.ndim, channels) != (2, 4):  # a picture's fourth channel is its opacity
            raise SettingsError(
                f"a generalist sees grey pictures or red, green and blue, and these images have {channels} channels;"
                " take those of them that show most, or train without a generalist (generalist: null)"
            )


@dataclass(frozen=True)
class Refreshed:
    """What a refresh has done: slices with prompts, those that were asked anew or emptied, and what that has cost."""

    case: str
    asked: int
    changed: int
    work: Work


class PseudoLabels:
    """The pseudo-labels of a training, in a folder of its own; cases may be refreshed by several processes."""

    def __init__(
        self, folder: Path, generalist: Generalist, settings: PseudoLabelSettings | None = None, *, seed: int = 0
    ):
        self.folder = folder
        self.generalist = generalist
        self.settings = settings or PseudoLabelSettings()
        self.seed = seed

    def refresh(
        self,
        case: str,
        image: Image,
        belief: Belief,
        *,
        expert: UInt8[np.ndarray, "*space"] | None = None,
        step: int = 0,
        without: Collection[int] = (),
    ) -> Refreshed:
        """Brings a case's label up to what the specialist believes of it now.

        The classes `without` are not asked about. Slices whose prompts have not moved keep their answers; when none has
        and `expert` is as it was, nothing is written and the generalist is not called. Labels of later steps are left
        alone. Raises `DataError` for arrays of other shapes, and what the generalist raises: `DataError` for prompts it
        was not trained on, `DiskFull`.
        """
        drawn = _checked(case, image, belief, expert)
        axes = viewing_axes(image.geometry, self.settings.views)
        prompts, views = self.settings.prompts, self.settings.views
        wanted = ask(belief, axes, prompts, views, seed=self.seed, case=case, without=without)
        key = self._key(image, len(belief.similarity))
        last = self._last(case, step)
        if last is not None and last.key != key:
            last = None
        kept: Mapping[Place, Asked] = {}
        votes, changed = Votes.none(len(axes), len(belief.similarity), drawn.shape), wanted
        if last is not None:
            votes, kept = last.votes, last.asked
            changed = {p: new for p, new in wanted.items() if self._moved(new, kept.get(p, NOTHING))}
        n_asked = sum(len(asked) > 0 for asked in wanted.values())
        if last is not None and not changed and np.array_equal(last.expert, drawn):
            return Refreshed(case, n_asked, 0, Work())
        replies = list(self._answers(case, image, belief, changed))
        votes = revised(votes, axes, replies)
        said = self._label(votes, belief, axes, wanted, without)
        state = LabelState(key, dict(sorted({**kept, **changed}.items())), votes, said, belief.classes, drawn)
        write_state(self._path(case, step), state)
        return Refreshed(case, n_asked, len(changed), sum((r.work for r in replies), Work()))

    def load(
        self,
        case: str,
        *,
        step: int | None = None,
        weights: Float64[np.ndarray, " C"] | None = None,
        needs: Needs | None = None,
        spacing: Sequence[float] = (),
    ) -> PseudoLabel | None:
        """The label of a case as of a step (by default the last), what the expert had drawn written over it.

        `weights` are a guard's, one a class, `needs` the company that each class needs in a case of this `spacing`
        (mm). None when the case has not been refreshed by then.
        """
        state = self._last(case, step)
        if state is None:
            return None
        said = in_company(state.said, needs or {}, spacing)
        said = said if weights is None else guarded(said, state.classes, weights)
        return with_expert(said, state.expert)

    def said(self, case: str, *, step: int | None = None) -> PseudoLabel | None:
        """What the generalist alone has said of a case as of a step: what a guard examines."""
        state = self._last(case, step)
        return None if state is None else state.said

    def forget(self, *, before: int) -> None:
        """Deletes the labels that no step from `before` on reads any more: no training goes back beyond that."""
        for folder in sorted(self.folder.glob("*/")):
            past = [file for file in state_files(folder) if int(file.stem) <= before]
            for file in past[:-1]:
                file.unlink(missing_ok=True)

    def _answers(self, case: str, image: Image, belief: Belief, asked: Mapping[Place, Asked]) -> Iterator[Answer]:
        least = self.settings.views.least_overlap
        return answers(self.generalist, image, belief, asked, case=case, least_overlap=least)

    def _label(
        self,
        votes: Votes,
        belief: Belief,
        axes: Sequence[int],
        asked: Mapping[Place, Asked],
        without: Collection[int],
    ) -> PseudoLabel:
        """The fused label; unknown everywhere when the specialist saw no object, for then nobody was asked."""
        views = self.settings.views
        if not any(map(len, asked.values())):
            votes = Votes(votes.claims, np.ones_like(votes.silent))
        else:
            about = asked_about(belief.classes, axes, asked)
            votes = without_unasked(votes, belief.classes, about, without=without)
            if views.unconfirmed == "background":
                votes = without_unconfirmed(votes, belief.classes, axes, about, every=views.every)
        return fuse(votes, belief.similarity, self.settings.fusion)

    def _moved(self, new: Asked, last: Asked) -> bool:
        return moved(new, last, least_iou=self.settings.least_iou)

    def _key(self, image: Image, n_classes: int) -> str:
        """All that the label depends on besides the belief and the expert."""
        info = self.generalist.info
        content = [fingerprint_array(image.array), list(image.geometry.spacing), n_classes]
        return fingerprint_json(
            [FORMAT, self.settings.model_dump(), self.seed, info.fingerprint, info.settings, content]
        )

    def _path(self, case: str, step: int) -> Path:
        return self._folder(case) / f"{step:09d}.npz"

    def _folder(self, case: str) -> Path:
        return self.folder / case_folder(case)

    def _last(self, case: str, step: int | None) -> LabelState | None:
        return newest_state(self._folder(case), step)


def _checked(case: str, image: Image, belief: Belief, expert: np.ndarray | None) -> np.ndarray:
    shape = image.geometry.shape
    drawn = np.full(shape, UNKNOWN, np.uint8) if expert is None else expert
    if belief.classes.shape != shape or drawn.shape != shape:
        raise DataError(
            f"{case}: image {shape}, belief {belief.classes.shape} and drawn label {drawn.shape} have different shapes"
        )
    return drawn
