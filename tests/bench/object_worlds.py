"""Pictures whose objects have a grey of their own, and a generalist that knows no more than that."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.pool import Pool, Truth
from frugalseg.files import fingerprint_array
from frugalseg.generalists.frame import fit_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View, check_prompts
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.prompts import OBJECT, Prompts

Label = InstanceLabel | SemanticLabel


@dataclass(frozen=True, eq=False)
class Held:
    """An image and its label in memory, as source of both."""

    image: np.ndarray
    label: Label
    spacing: tuple[float, ...]

    def geometry(self) -> Geometry:
        return Geometry.plain(self.label.array.shape, self.spacing)

    def fingerprint(self) -> str:
        return fingerprint_array(self.image)


class HeldImage(Held):
    def read(self) -> Image:
        return Image(self.image, self.geometry())


class HeldLabel(Held):
    def read(self) -> Label:
        return self.label


def pool_of(labels: dict[str, Label], classes: tuple[str, ...] = ("background", "object")) -> Pool:
    """A pool of these labels; each image shows its label's numbers as greys."""
    cases, truth = [], {}
    for name, label in labels.items():
        parts = (label.array.astype(np.float32) * 10, label, (1.0,) * label.array.ndim)
        cases.append(Case(name, name, HeldImage(*parts).geometry(), HeldImage(*parts)))
        truth[name] = {"exact": HeldLabel(*parts)}
    return Pool(cases, classes, truth=Truth(truth))


def discs(*places: tuple[int, int, int], shape: tuple[int, int] = (40, 48)) -> np.ndarray:
    """Ids 1, 2, ... of discs (row, column, radius)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ids = np.zeros(shape, np.int32)
    for number, (r, c, radius) in enumerate(places, 1):
        ids[(rows - r) ** 2 + (columns - c) ** 2 <= radius**2] = number
    return ids


class GreyGeneralist:
    """Answers with all pixels that are as grey as what it is shown, `loss` rows short of the object's end.

    Each click beside the first wins a row back; scores fall with what is missing.
    """

    def __init__(self, *kinds: str, loss: int = 0):
        self.loss = loss
        self.info = GeneralistInfo("grey", "none", f"grey-{loss}", frozenset(kinds or ("points", "boxes")))  # type: ignore[arg-type]
        self.views: list[View] = []
        self.prompts: list[Prompts] = []

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        self.views += views
        return [
            Embedding((torch.from_numpy(v.array)[None],), fit_frame(v.size, max(v.size)), self.info.fingerprint)
            for v in views
        ]

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        check_prompts(self.info, embedding, prompts)
        self.prompts.append(prompts)
        image, side = embedding.features[0][0].numpy(), embedding.frame.side
        logits, scores = torch.full((len(prompts), 1, side, side), -5.0), torch.ones(len(prompts), 1)
        for k in range(len(prompts)):
            mask = image == _grey(image, prompts, k)
            missing = max(0, self.loss - max(0, int((prompts.labels[k] == OBJECT).sum()) - 1))
            ends = np.flatnonzero(mask.any(1))
            mask[ends[len(ends) - missing :] if missing else []] = False
            logits[k, 0, : mask.shape[0], : mask.shape[1]][torch.from_numpy(mask)] = 5.0
            scores[k] = 1 - 0.1 * missing
        return Masks(logits, scores, (embedding.frame,) * len(prompts))


def _grey(image: np.ndarray, prompts: Prompts, k: int) -> float:
    if prompts.boxes is not None:
        r0, c0, r1, c1 = prompts.boxes[k].astype(int)
        values, counts = np.unique(image[r0 : r1 + 1, c0 : c1 + 1], return_counts=True)
        return float(values[values > 0][counts[values > 0].argmax()])
    row, column = prompts.points[k][prompts.labels[k] == OBJECT][0].astype(int)
    return float(image[row, column])
