"""The contract of a frozen promptable model: `embed` is dear and done once, `decode` is cheap."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from frugalseg.errors import DataError
from frugalseg.generalists.frame import Frame, Window
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.prompts import PromptKind, Prompts

Side = Literal["auto"] | int
"""Pixels of the square that a picture is brought to, for a generalist that has several; auto: what it needs."""


@dataclass(frozen=True)
class GeneralistInfo:
    """What is known of a generalist: its name, its weights' licence and fingerprint, the prompts it was trained on.

    `settings` is everything else that changes an embedding (the input size), as a phrase for keys of the cache.
    """

    name: str
    licence: str
    fingerprint: str
    prompts: frozenset[PromptKind]
    settings: str = ""


@dataclass(frozen=True)
class View:
    """A picture to embed: pixels of any real dtype, the part to look at (all by default) and the pixels' spacing.

    `array` is (H, W) or (H, W, 3); `spacing` are the mm of a pixel along rows and columns; `least_side` and
    `most_side` are the smallest and the largest input that do, for a generalist that has several.
    """

    array: np.ndarray
    window: Window | None = None
    spacing: tuple[float, float] = (1.0, 1.0)
    least_side: int = 0
    most_side: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the picture."""
        return int(self.array.shape[0]), int(self.array.shape[1])


@dataclass(frozen=True, eq=False)
class Embedding:
    """What the encoder has made of a view: feature maps (K, h, w) each, from coarse to fine, and where they lie.

    `owner` is the fingerprint of the weights that made it; another generalist refuses it. The maps lie in the CPU's
    memory, wherever the generalist computes.
    """

    features: tuple[Tensor, ...]
    frame: Frame
    owner: str


class Generalist(Protocol):
    """A frozen promptable model."""

    @property
    def info(self) -> GeneralistInfo:
        """What is known of it."""

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """The embedding of each view; views of one input size go through the encoder as a batch."""

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """The candidates for each prompt; `features` asks for the prompt-conditioned image tokens too."""


Question = tuple[Embedding, Prompts]
"""An embedding, and what is asked about it."""


@runtime_checkable
class DecodesMany(Protocol):
    """A generalist that decodes prompts on several embeddings together, where that is faster."""

    def decode_many(self, questions: Sequence[Question]) -> list[Masks]:
        """What `decode` answers to each, but for the last bits."""


def decode_all(generalist: Generalist, questions: Sequence[Question]) -> list[Masks]:
    """The answer to each question, together where the generalist can. Raises what its `decode` raises."""
    if isinstance(generalist, DecodesMany):
        return generalist.decode_many(questions)
    return [generalist.decode(embedding, prompts) for embedding, prompts in questions]


def check_prompts(info: GeneralistInfo, embedding: Embedding, prompts: Prompts) -> None:
    """Raises `DataError` when a generalist was not trained on such prompts or the embedding is another's."""
    if embedding.owner != info.fingerprint:
        raise DataError(f"this embedding was made by other weights than those of {info.name}; embed the image again")
    if foreign := foreign_kinds(info, prompts.kinds):
        raise DataError(foreign)


def foreign_kinds(info: GeneralistInfo, kinds: Collection[PromptKind]) -> str | None:
    """What is wrong with asking a generalist in these ways; None where it was trained on all of them."""
    foreign = sorted({*kinds} - info.prompts)
    if not foreign:
        return None
    return (
        f"{info.name} was trained on {' and '.join(sorted(info.prompts))} only and answers {' and '.join(foreign)} "
        "with nonsense; take lite-medsam-clicks or another generalist"
    )
