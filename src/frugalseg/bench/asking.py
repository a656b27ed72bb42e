"""Asking for one object: a jittered box, then users who click where the answer is wrong; and how long that takes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from frugalseg.bench.targets import Picture, Target
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.generalists.generalist import Embedding, Generalist, GeneralistInfo, View
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.predictor import Predictor, Zoom
from frugalseg.generalists.prompts import Prompts
from frugalseg.metrics.overlap import iou
from frugalseg.prompt.simulate import UserSettings, click_session, jittered_box
from frugalseg.report.answers import Answer
from frugalseg.seeds import stream

User = Literal["centre", "noisy"]
"""Clicks into the middle of the largest error, or somewhere into it with an unsteady hand."""

REPORTED = (1, 3, 5, 10)
"""Numbers of clicks after which the overlap is reported."""

USERS: Mapping[User, UserSettings] = {"centre": UserSettings(noise=0.0), "noisy": UserSettings(noise=1.0)}
"""They make all the clicks they are allowed, as long as there is something to correct."""

SHOWN = 3
"""The answer after so many clicks is the one in the pictures."""

_MARGIN, _LEAST = 0.6, 12  # of the object's side, and pixels around it, in the pictures


@dataclass(frozen=True)
class Reply:
    """How good an answer was, and how good the generalist thought it was."""

    iou: float
    score: float


@dataclass(frozen=True, eq=False)
class Asked:
    """All that was said about one object: the reply to its box, the replies to each user's 1st, 2nd, ... click.

    `strokes` are the replies to what people have drawn, each without any click. There is no reply to what the
    generalist was not trained on. `image`, `meant`, `answers` are cut around the object.
    """

    target: Target
    box: Reply | None
    clicks: Mapping[User, tuple[Reply, ...]]
    strokes: Mapping[str, Reply]
    image: Image
    meant: np.ndarray
    answers: tuple[Answer, ...]


class Timed:
    """A generalist whose work is timed: milliseconds of each view that was embedded and of each prompt decoded."""

    def __init__(self, generalist: Generalist):
        self.generalist = generalist
        self.embed_ms: list[float] = []
        self.decode_ms: list[float] = []

    @property
    def info(self) -> GeneralistInfo:
        """What is known of it."""
        return self.generalist.info

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """Its embeddings."""
        began = time.perf_counter()
        found = self.generalist.embed(views)
        self.embed_ms += [1000 * (time.perf_counter() - began) / len(views)] * len(views)
        return found

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """Its answers."""
        began = time.perf_counter()
        found = self.generalist.decode(embedding, prompts, features=features)
        self.decode_ms += [1000 * (time.perf_counter() - began) / len(prompts)] * len(prompts)
        return found

    def medians(self) -> dict[str, float]:
        """The medians over all views and prompts so far, as metrics; those of nothing are left out."""
        taken = {"embed_ms": self.embed_ms, "decode_ms": self.decode_ms}
        return {name: float(np.median(values)) for name, values in taken.items() if values}


@dataclass(frozen=True)
class Asking:
    """Who asks, and how: pixels by which boxes are too large, the users, the clicks each of them makes at most.

    With `feedback` the last answer goes in as a rough mask with the next click, where masks are understood.
    """

    jitter: tuple[int, int]
    users: tuple[User, ...]
    max_clicks: int
    feedback: bool
    seed: int

    def ask(self, generalist: Generalist, picture: Picture, *, zoom: Zoom) -> Iterator[Asked]:
        """Asks for every object of a picture."""
        predictor = Predictor(generalist, zoom=zoom)
        spacing = picture.image.geometry.spacing
        predictor.set_image(picture.image.array, spacing=(spacing[0], spacing[1]))
        for target, mask in picture.masks:
            question = _Question(predictor, mask, picture.known, picture.scribbles(target, mask))
            yield self._ask(question, target, picture.image)

    def _ask(self, question: "_Question", target: Target, image: Image) -> Asked:
        kinds = question.predictor.generalist.info.prompts
        cut = _around(question.mask)
        box, clicks, strokes, answers = None, {}, {}, []
        if "boxes" in kinds:
            rng = stream(self.seed, "box", str(target), target.number)
            prompts = Prompts.at(box=jittered_box(question.mask, rng, pixels=self.jitter))
            box = question.put(prompts)
            answers.append(_cut_answer(f"box {box.iou:.2f}", box.mask, prompts, cut))
        if "points" in kinds:
            for user in self.users:
                rng = stream(self.seed, "user", user, str(target), target.number)
                clicks[user], answer = self._session(question, rng, user, cut=cut)
                answers.append(answer)
            for person, scribble in question.scribbles.items():
                strokes[person] = question.judged(question.predictor.trace(scribble)).reply
        geometry = Geometry.plain(question.mask[cut].shape, image.geometry.spacing)
        pixels = Image(image.array[cut], geometry)
        replies = {user: tuple(answer.reply for answer in session) for user, session in clicks.items()}
        said = None if box is None else box.reply
        return Asked(target, said, replies, strokes, pixels, question.mask[cut], tuple(answers))

    def _session(
        self, question: "_Question", rng: np.random.Generator, user: User, *, cut: tuple[slice, slice]
    ) -> tuple[list["_Put"], Answer]:
        """What came of one user's clicks, and the answer for the picture."""
        takes_masks = self.feedback and "masks" in question.predictor.generalist.info.prompts
        came: list[_Put] = []

        def answer(prompts: Prompts) -> np.ndarray:
            rough = came[-1].logits[None] if came and takes_masks else None
            came.append(question.put(replace(prompts, masks=rough)))
            return np.asarray(came[-1].mask & question.known)

        results = click_session(answer, question.mask, clicks=self.max_clicks, rng=rng, user=USERS[user])
        k = min(SHOWN, len(came)) - 1
        clicks = "1 click" if k == 0 else f"{k + 1} clicks"
        title = f"{user}, {clicks} {came[k].iou:.2f}"
        return came, _cut_answer(title, came[k].mask, results[k].prompts, cut)


@dataclass(frozen=True, eq=False)
class _Put:
    """What came of one prompt: the mask (H, W), its logits, its overlap with what was meant, its score."""

    mask: np.ndarray
    logits: np.ndarray
    iou: float
    score: float

    @property
    def reply(self) -> Reply:
        """The two numbers that are kept."""
        return Reply(self.iou, self.score)


@dataclass(frozen=True, eq=False)
class _Question:
    """An object (H, W) in the picture before a predictor, and people's scribbles on it; only what is known counts."""

    predictor: Predictor
    mask: np.ndarray
    known: np.ndarray
    scribbles: Mapping[str, np.ndarray]

    def put(self, prompts: Prompts) -> _Put:
        """Has one prompt answered."""
        return self.judged(self.predictor.segment(prompts))

    def judged(self, masks: Masks) -> _Put:
        """What an answer is worth."""
        logits = masks.at_image(0)
        score = float(masks.scores[0, masks.best[0]])
        return _Put(logits > 0, logits, iou((logits > 0) & self.known, self.mask), score)


def _around(mask: np.ndarray) -> tuple[slice, slice]:
    """The part of a picture that shows an object and what lies around it."""
    rows, columns = np.nonzero(mask)
    first, last = np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()]) + 1
    room = max(_LEAST, int(_MARGIN * (last - first).max()))
    start, stop = np.maximum(first - room, 0), np.minimum(last + room, mask.shape)
    return slice(int(start[0]), int(stop[0])), slice(int(start[1]), int(stop[1]))


def _cut_answer(title: str, mask: np.ndarray, prompts: Prompts, cut: tuple[slice, slice]) -> Answer:
    corner = np.array([cut[0].start, cut[1].start])
    boxes = None if prompts.boxes is None else prompts.boxes - np.tile(corner, 2)
    return Answer(title, mask[cut], Prompts(prompts.points - corner, prompts.labels, boxes))
