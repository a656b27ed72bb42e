"""Bright balls on noise, a specialist that half knows them, and a generalist that finds what is bright in a box."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.generalists.frame import fit_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View, check_prompts
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.pixels import to_rgb
from frugalseg.generalists.prompts import PromptKind, Prompts
from frugalseg.prompt.prototypes import Belief, believe
from frugalseg.seeds import stream

SIDE = 32
SHAPE = (22, 26, 24)


class BrightInBox:
    """Answers a box with its bright pixels; counts the views it encodes and the prompts it decodes."""

    def __init__(self, prompts: frozenset[PromptKind] = frozenset({"boxes"}), fingerprint: str = "f0"):
        self.info = GeneralistInfo("bright", "none", fingerprint, prompts)
        self.encoded = 0
        self.decoded = 0

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        self.encoded += len(views)
        frames = [fit_frame(view.size, SIDE, spacing=view.spacing) for view in views]
        pixels = [frame.cut(to_rgb(view.array)) for view, frame in zip(views, frames, strict=True)]
        return [Embedding((x.clone(),), f, self.info.fingerprint) for x, f in zip(pixels, frames, strict=True)]

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        check_prompts(self.info, embedding, prompts)
        self.decoded += len(prompts)
        is_bright = embedding.features[0].mean(0) > 128
        logits = torch.full((len(prompts), 1, SIDE, SIDE), -5.0)
        assert prompts.boxes is not None
        for k, box in enumerate(embedding.frame.boxes_in(prompts.boxes)):
            top, left, bottom, right = np.rint(box).astype(int)
            part = is_bright[top : bottom + 1, left : right + 1]
            logits[k, 0, top : bottom + 1, left : right + 1] = torch.where(part, 5.0, -5.0)
        return Masks(logits, torch.ones(len(prompts), 1), (embedding.frame,) * len(prompts))


def ball(centre: tuple[float, ...], radius: float, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    grid = np.indices(shape)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def scene() -> tuple[Image, np.ndarray]:
    """An image and its truth: two bright balls of different classes."""
    truth = np.zeros(SHAPE, np.uint8)
    truth[ball((8, 8, 8), 5)] = 1
    truth[ball((14, 18, 15), 4)] = 2
    noise = stream(0, "noise").normal(0, 0.05, SHAPE)
    return Image((truth > 0) + noise, Geometry.plain(SHAPE)), truth


def probabilities(truth: np.ndarray, *, blur: float = 1.0, n_classes: int = 3) -> np.ndarray:
    """What a specialist makes of it: the truth, smoothed."""
    maps = np.stack([ndimage.gaussian_filter((truth == c).astype(float), blur) for c in range(n_classes)])
    return (maps / maps.sum(0)).astype(np.float32)


def belief_of(truth: np.ndarray, **options) -> Belief:
    return believe(probabilities(truth, **options))
