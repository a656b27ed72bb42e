"""A batch of simulated users, each with one object in mind, on the input's pixels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from frugalseg.data.phantoms.noise import smooth_field
from frugalseg.generalists.prompts import OBJECT, PADDING
from frugalseg.prompt.simulate import first_click, jittered_box, next_click, points_of_scribble
from frugalseg.seeds import stream

Opening = Literal["click", "box", "scribble", "mask"]
"""How a session begins: one click, a box, a stroke, or a rough mask somebody else has made."""

SURE = 6.0
"""Logit of a rough mask that is given as yes or no."""


class Session:
    """What the users of a batch have said so far; labels (B, S, S) are 1 on the object each one means.

    A share `noise` of the users is noisy: they do not click into the middle of what they see.
    """

    def __init__(self, labels: np.ndarray, *, opening: Opening, noise: float, seeds: Sequence[int]):
        self.truth = labels == 1
        self.side = labels.shape[-1]
        self.rngs = [stream(seed, "user") for seed in seeds]
        self.noisy = [rng.random() < noise for rng in self.rngs]
        self.points: list[np.ndarray] = []  # each (B, 2), (row, col)
        self.labels: list[np.ndarray] = []  # each (B,)
        self.boxes: np.ndarray | None = None
        self.mask: Tensor | None = None
        self.is_ambiguous = opening == "click"
        _OPENINGS[opening](self)

    def prompts(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """The arguments of a decoder: points and boxes as (x, y) in parts of the side, labels, the mask so far."""
        n = len(self.truth)
        points = np.stack(self.points, 1) if self.points else np.zeros((n, 0, 2))
        labels = np.stack(self.labels, 1) if self.labels else np.zeros((n, 0), int)
        boxes = None if self.boxes is None else self._parts(self.boxes.reshape(n, 2, 2)).reshape(n, 4).to(device)
        mask = None if self.mask is None else self.mask[:, None].to(device)
        return self._parts(points).to(device), torch.from_numpy(labels.astype(np.int64)).to(device), boxes, mask

    def answer(self, logits: Tensor) -> None:
        """The users see the masks (B, S, S); each clicks where the largest error is, one without says nothing."""
        self.is_ambiguous = False
        self.mask = logits.clamp(-16, 16)
        shown = (logits > 0).cpu().numpy()
        clicks = [self._correction(k, shown[k]) for k in range(len(shown))]
        self._add([point for point, _ in clicks], [label for _, label in clicks])

    def _correction(self, k: int, shown: np.ndarray) -> tuple[tuple[float, float], int]:
        click = next_click(self.truth[k], shown, self.rngs[k], noise=self.noisy[k])
        return ((0.0, 0.0), PADDING) if click is None else click

    def _add(self, points: Sequence[tuple[float, float]], labels: Sequence[int]) -> None:
        self.points.append(np.array(points, float))
        self.labels.append(np.array(labels))

    def _parts(self, points: np.ndarray) -> Tensor:
        return torch.from_numpy((points[..., ::-1] + 0.5) / self.side).float()


def _open_with_click(session: Session) -> None:
    users = zip(session.truth, session.rngs, session.noisy, strict=True)
    points = [first_click(mask, rng, noise=noisy) for mask, rng, noisy in users]
    session._add(points, [OBJECT] * len(points))


def _open_with_box(session: Session) -> None:
    users = zip(session.truth, session.rngs, strict=True)
    most = session.side // 16
    session.boxes = np.stack([jittered_box(mask, rng, pixels=(0, most)) for mask, rng in users])


def _open_with_scribble(session: Session) -> None:
    n = int(session.rngs[0].integers(2, 7))
    for points in zip(
        *[points_of_scribble(m, n, r) for m, r in zip(session.truth, session.rngs, strict=True)], strict=True
    ):
        session._add(points, [OBJECT] * len(points))


def _open_with_mask(session: Session) -> None:
    users = zip(session.truth, session.rngs, strict=True)
    session.mask = torch.from_numpy(np.stack([rough_mask(mask, rng) for mask, rng in users]))


_OPENINGS = {
    "click": _open_with_click,
    "box": _open_with_box,
    "scribble": _open_with_scribble,
    "mask": _open_with_mask,
}


def rough_mask(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Logits (S, S) of a mask as a careless hand or a weak model draws it: wider, narrower, wavy, with holes."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] - ndimage.distance_transform_edt(~mask)
    size = float(np.sqrt(mask.sum()))
    waves = smooth_field(mask.shape, (6, 6), rng) * 0.12 * size
    rough = depth + waves + rng.normal(0, 0.08) * size > 0
    shift = np.rint(rng.normal(0, 0.06 * size, 2)).astype(int)
    return np.where(np.roll(rough, tuple(shift), (0, 1)), SURE, -SURE).astype(np.float32)
