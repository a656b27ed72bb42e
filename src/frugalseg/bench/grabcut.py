"""GrabCut as a generalist, to compare with: Rother, Kolmogorov, Blake, GrabCut (SIGGRAPH 2004).

Two mixtures of five Gaussians model the colours of object and background, a graph cut finds the cheapest border, and
both are repeated. A box makes everything beside it background, as in the paper. Clicks alone are not in the paper:
the first colours of the object are then those of discs around the clicks on it, everything else is background at
first, and the clicks themselves never change sides. We differ: mixtures are fitted by EM; the picture, or the part
around a box, is reduced to 96 pixels, since the cut is general-purpose; the border weighs less; a cut that loses the
object is not taken; and where there are clicks on the object, pieces without one are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage, sparse
from torch import Tensor

from frugalseg.errors import DataError
from frugalseg.generalists.classic import working_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View, check_prompts
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.pixels import to_rgb
from frugalseg.generalists.prompts import BACKGROUND, OBJECT, Prompts

LARGEST = 96
"""Pixels of the picture that is cut."""

COMPONENTS = 5
"""Gaussians of each mixture (section 3.1)."""

SMOOTHNESS = 5.0
"""Weight of the border (gamma, section 2.2). The paper's 50, for photographs, erases small objects at this size."""

ROUNDS = 5
"""Most repetitions; it ends before when nothing changes."""

_LEAST = 0.05  # part of the first guess; a cut that leaves less, or the clicks alone, has lost the object
_ROOM = 0.5  # of the box's longer side, around the box
_CLICK = 2.0  # radius in pixels of what a click makes certain
_DISC = 0.1  # radius of the discs around clicks, in parts of the picture that is cut
_UNIT = 100  # capacities of the graph are integers of this fraction of a nat
_ALWAYS = 10**6  # capacity, in those, of what is known
_STEEPNESS = 16.0  # of the logits at the border
_OUTSIDE = -8.0


class GrabCut:
    """Segments from points and boxes; one candidate a prompt."""

    @property
    def info(self) -> GeneralistInfo:
        """What is known of it."""
        return GeneralistInfo("grabcut", "Apache-2.0", "grabcut-2", frozenset({"points", "boxes"}), "side 64-256")

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """The pictures themselves, at a side of 64 to 256 pixels, from 0 to 1."""
        frames = [working_frame(view) for view in views]
        pictures = [frame.cut(to_rgb(view.array)) / 255 for view, frame in zip(views, frames, strict=True)]
        owner = self.info.fingerprint
        return [Embedding((p,), frame, owner) for p, frame in zip(pictures, frames, strict=True)]

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """One candidate for each prompt; its score is how sure the colours of the mask's pixels are, 0 to 1.

        Raises `DataError` for features, which it has none, for another generalist's embedding and for prompts of
        background points alone.
        """
        check_prompts(self.info, embedding, prompts)
        if features:
            raise DataError("grabcut has no image tokens to give as features; take another generalist")
        found = [_answer(embedding, prompts, k) for k in range(len(prompts))]
        side = embedding.frame.side
        logits = torch.cat([torch.zeros(0, side, side), *(m[None] for m, _ in found)])
        scores = torch.tensor([s for _, s in found], dtype=torch.float32)
        return Masks(logits[:, None], scores[:, None], (embedding.frame,) * len(found))


def _answer(embedding: Embedding, prompts: Prompts, k: int) -> tuple[Tensor, float]:
    """The logits (side, side) of one prompt, and its score."""
    frame = embedding.frame
    points, labels = frame.points_in(prompts.points[k]), prompts.labels[k]
    box = None if prompts.boxes is None else frame.boxes_in(prompts.boxes[k])
    if box is None and not (labels == OBJECT).any():
        raise DataError("a prompt of background points alone names no object; add a click on it or a box")
    first, last = _part(box, frame.content)
    part = embedding.features[0][:, first[0] : last[0], first[1] : last[1]]
    scale = min(1.0, LARGEST / max(part.shape[1:]))
    rows, columns = (max(1, round(n * scale)) for n in part.shape[1:])
    small = F.interpolate(part[None], size=(rows, columns), mode="bilinear", antialias=True)[0].cpu().numpy()
    to_small = np.array([rows, columns]) / np.array(part.shape[1:])
    clicks = (points - first + 0.5) * to_small - 0.5
    start = _start(
        (rows, columns),
        box=None if box is None else (box + np.repeat([0, 1], 2) - np.tile(first, 2)) * np.tile(to_small, 2),
        inside=clicks[labels == OBJECT],
        beside=clicks[labels == BACKGROUND],
    )
    mask, score = _grabcut(small.transpose(1, 2, 0), start)
    if start.inside.any():
        pieces, _ = ndimage.label(mask, structure=np.ones((3, 3)))
        mask &= np.isin(pieces, np.unique(pieces[start.inside]))
    smooth = torch.from_numpy(_STEEPNESS * (ndimage.gaussian_filter(mask.astype(np.float32), 0.7) - 0.5))
    logits = torch.full((frame.side, frame.side), _OUTSIDE)
    logits[first[0] : last[0], first[1] : last[1]] = F.interpolate(
        smooth[None, None], size=tuple(part.shape[1:]), mode="bilinear", align_corners=False
    )[0, 0]
    return logits, score


def _part(box: np.ndarray | None, content: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """First and behind the last pixel of what is looked at: all, or the surroundings of a box."""
    whole = np.array(content)
    if box is None:
        return np.zeros(2, int), whole
    room = 4 + _ROOM * float((box[2:] - box[:2] + 1).max())
    first = np.clip(np.floor(box[:2] - room).astype(int), 0, whole - 1)
    return first, np.maximum(np.clip(np.ceil(box[2:] + 1 + room).astype(int), 0, whole), first + 1)


@dataclass(frozen=True, eq=False)
class _Start:
    """What is known before anything is learnt (H, W): the first guess, and what never changes sides."""

    guess: np.ndarray
    inside: np.ndarray
    beside: np.ndarray


def _start(size: tuple[int, int], *, box: np.ndarray | None, inside: np.ndarray, beside: np.ndarray) -> _Start:
    """From a box, which names its first pixel and that behind its last, and points (N, 2); all may be missing."""
    rows, columns = np.ogrid[: size[0], : size[1]]

    def around(points: np.ndarray, radius: float) -> np.ndarray:
        near = np.zeros(size, bool)
        for row, column in np.clip(points, 0, np.array(size) - 1):
            near |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        return near

    fixed, never = around(inside, _CLICK), around(beside, _CLICK)
    if box is None:
        guess = around(inside, max(2.0, _DISC * max(size)))
    else:
        guess = (rows >= box[0] - 0.5) & (rows + 0.5 <= box[2]) & (columns >= box[1] - 0.5) & (columns + 0.5 <= box[3])
        never |= ~guess & ~fixed
    never &= ~fixed
    return _Start((guess | fixed) & ~never, fixed, never)


def _grabcut(picture: np.ndarray, start: _Start) -> tuple[np.ndarray, float]:
    """The mask (H, W) of a picture (H, W, 3), and how sure the colours of its pixels are."""
    colours = picture.reshape(-1, picture.shape[-1])
    border = _border(picture)
    mask = start.guess
    surer = np.zeros(mask.shape)
    for _ in range(ROUNDS):
        if not mask.any() or mask.all():
            break
        surer = (_likelihood(colours, mask.ravel()) - _likelihood(colours, ~mask.ravel())).reshape(mask.shape)
        found = _cut(surer, border, start)
        is_lost = found.sum() <= max(start.inside.sum(), _LEAST * start.guess.sum())
        if is_lost or (found == mask).all():
            break
        mask = found
    return mask, float(np.mean(1 / (1 + np.exp(-np.clip(surer[mask], -30, 30))))) if mask.any() else 0.0


def _likelihood(colours: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The log-likelihood (N,) of all colours (N, K) under a mixture that is fitted to some of them."""
    from sklearn.mixture import GaussianMixture

    own = colours[which].astype(np.float64)
    own = own if len(own) > 1 else np.repeat(own, 2, axis=0)
    n = min(COMPONENTS, len(np.unique(own.round(6), axis=0)), 1 + len(own) // 10)
    mixture = GaussianMixture(n, tol=1e-2, reg_covar=1e-4, max_iter=200, random_state=0).fit(own)
    return np.asarray(mixture.score_samples(colours.astype(np.float64)))


def _border(picture: np.ndarray) -> sparse.coo_array:
    """What it costs to part each pixel from its eight neighbours (equation 11), as a symmetric matrix."""
    rows, columns = picture.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    pairs, lengths = [], []
    for first, second, length in (
        (number[:-1], number[1:], 1.0),
        (number[:, :-1], number[:, 1:], 1.0),
        (number[:-1, :-1], number[1:, 1:], np.sqrt(2)),
        (number[:-1, 1:], number[1:, :-1], np.sqrt(2)),
    ):
        pairs.append(np.stack([first.ravel(), second.ravel()]))
        lengths.append(np.full(first.size, length))
    a, b = np.concatenate(pairs, axis=1)
    colours = picture.reshape(rows * columns, -1)
    change = ((colours[a] - colours[b]) ** 2).sum(1)
    usual = 2 * float(change.mean()) if len(change) else 1.0
    cost = SMOOTHNESS * np.exp(-change / (usual or 1.0)) / np.concatenate(lengths)
    capacity = np.rint(_UNIT * cost).astype(np.int32)
    ends = (np.concatenate([a, b]), np.concatenate([b, a]))
    return sparse.coo_array((np.tile(capacity, 2), ends), shape=(number.size, number.size))


def _cut(surer: np.ndarray, border: sparse.coo_array, start: _Start) -> np.ndarray:
    """The side of the object (H, W) of the cheapest cut; `surer` (H, W) is the log-ratio of object to background."""
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    n = surer.size
    pixels, source, sink = np.arange(n), n, n + 1
    pull = np.rint(_UNIT * np.clip(surer, -1000, 1000)).ravel().astype(np.int64)
    pull = np.where(start.inside.ravel(), _ALWAYS, np.where(start.beside.ravel(), -_ALWAYS, pull))
    rows, columns = border.coords
    capacities = sparse.coo_array(
        (
            np.concatenate([border.data, np.maximum(pull, 0), np.maximum(-pull, 0)]).astype(np.int32),
            (
                np.concatenate([rows, np.full(n, source), pixels]),
                np.concatenate([columns, pixels, np.full(n, sink)]),
            ),
        ),
        shape=(n + 2, n + 2),
    ).tocsr()
    left = capacities - maximum_flow(capacities, source, sink).flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = np.zeros(n + 2, bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[:n].reshape(surer.shape)
