"""What a generalist answers: candidate masks as logits, each with a score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from frugalseg.errors import DataError
from frugalseg.generalists.frame import Frame


@dataclass(frozen=True, eq=False)
class Masks:
    """M candidates for each of P prompts, at the network's resolution.

    `logits` (P, M, h, w) cover the input square of each prompt's frame; `scores` (P, M) are the IoU with the meant
    object as the generalist expects it. `features` are, when asked for, the image tokens (P, C, h', w') after the
    decoder has attended to the prompt. All of them lie in the CPU's memory.
    """

    logits: Tensor
    scores: Tensor
    frames: tuple[Frame, ...]
    features: Tensor | None = None

    def __post_init__(self) -> None:
        if self.logits.ndim != 4 or self.scores.shape != self.logits.shape[:2] or len(self.frames) != len(self.logits):
            raise DataError(
                f"logits {tuple(self.logits.shape)}, scores {tuple(self.scores.shape)} and {len(self.frames)} frames "
                "do not belong together"
            )

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, which: np.ndarray | Sequence[int]) -> "Masks":
        """The answers to the prompts of an array of indices, in that order."""
        chosen = torch.as_tensor(np.asarray(which))
        features = None if self.features is None else self.features[chosen]
        return Masks(self.logits[chosen], self.scores[chosen], tuple(self.frames[int(k)] for k in chosen), features)

    @property
    def best(self) -> Tensor:
        """The candidate (P,) with the highest score of each prompt, the first one of equals."""
        return self.scores.argmax(1)

    def at_image(self, prompt: int, candidate: int | None = None) -> np.ndarray:
        """Logits (H, W) float32 on the image's own pixels, of the best candidate by default.

        Logits are interpolated, never masks, so borders are smooth at any zoom.
        """
        chosen = int(self.best[prompt]) if candidate is None else candidate
        logits = self.frames[prompt].back(self.logits[prompt, chosen][None].float())
        return np.asarray(logits[0].numpy())

    def mask(
        self, prompt: int, candidate: int | None = None, *, largest: bool = False, filled: bool = False
    ) -> np.ndarray:
        """The mask (H, W) of one candidate: logits above 0, on request only the largest piece, without holes."""
        mask = self.at_image(prompt, candidate) > 0
        if largest:
            mask = largest_piece(mask)
        return np.asarray(ndimage.binary_fill_holes(mask)) if filled else mask


def join_masks(parts: Sequence[Masks]) -> Masks:
    """Answers to several groups of prompts behind each other, at the finest resolution among them, without features.

    Where one group has fewer candidates than another, its first is repeated with a score below all others.
    """
    most = max(p.logits.shape[1] for p in parts)
    finest = max(p.logits.shape[-1] for p in parts)
    return Masks(
        torch.cat([_logits(p.logits, most, finest) for p in parts]),
        torch.cat([_scores(p.scores, most) for p in parts]),
        tuple(f for p in parts for f in p.frames),
    )


def _logits(logits: Tensor, most: int, finest: int) -> Tensor:
    if logits.shape[-1] != finest:
        logits = F.interpolate(logits, size=(finest, finest), mode="bilinear", align_corners=False)
    return torch.cat([logits, logits[:, :1].expand(-1, most - logits.shape[1], -1, -1)], 1)


def _scores(scores: Tensor, most: int) -> Tensor:
    return torch.cat([scores, scores.new_full((len(scores), most - scores.shape[1]), -torch.inf)], 1)


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest 8-connected piece of a mask; of equals the one met first in array order."""
    pieces, n = ndimage.label(mask, structure=np.ones((3, 3)))
    if n < 2:
        return mask
    return np.asarray(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))
