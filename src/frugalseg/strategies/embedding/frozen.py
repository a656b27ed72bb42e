"""The embedding of a frozen generalist: nothing is trained, and nothing depends on a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.files import fingerprint_json, held
from frugalseg.generalists.ahead import view_of
from frugalseg.generalists.generalist import Embedding, Generalist, Side
from frugalseg.learn.hardware import Hardware
from frugalseg.strategies.embedding.embedder import kept, standardised
from frugalseg.strategies.embedding.pictures import Picture, fingerprint


@dataclass(frozen=True)
class FrozenGeneralist:
    """Mean and deviation over the image tokens of a generalist's embedding. Raises `WeightsError` without weights.

    The small input of LiteMedSAM by default: 0.15 s a picture on one CPU thread.
    """

    name: str = "lite-medsam"
    input_size: Side = 64
    hardware: Hardware = field(default_factory=Hardware)

    def embed(self, view: PoolView, pictures: Sequence[Picture], folder: Path) -> Float32[np.ndarray, "N D"]:
        """Vectors of length 1; kept in the folder by weights and pool."""
        from frugalseg.generalists.registry import build_generalist

        generalist = build_generalist(self.name, input_size=self.input_size, device=self.hardware.own_device())
        words = [fingerprint(view, pictures, 0), generalist.info.fingerprint, generalist.info.settings]
        place = folder / f"frozen-{fingerprint_json(words)}"
        with held(place, wait=True):
            return kept(place / "features.npy", lambda: _embedded(generalist, view, pictures))


def _embedded(generalist: Generalist, view: PoolView, pictures: Sequence[Picture]) -> np.ndarray:
    cases = {case.id: case for case in view.cases}
    vectors = []
    for case, same in groupby(pictures, key=lambda picture: picture.case):
        image = cases[case].image()
        for picture in same:
            unit = Unit(case) if picture.axis < 0 else Unit(case, "slice", picture.axis, (picture.index,))
            vectors.append(_pooled(generalist.embed([view_of(image, unit)])[0]))
    return standardised(np.stack(vectors))


def _pooled(embedding: Embedding) -> np.ndarray:
    """Mean and deviation of each map over the part of the input that shows the picture, not over the padding."""
    parts = []
    for maps in embedding.features:
        rows, columns = (
            max(1, round(n * size / embedding.frame.side))
            for n, size in zip(embedding.frame.content, tuple(maps.shape[-2:]), strict=True)
        )
        tokens = maps[:, :rows, :columns].flatten(1).float()
        parts += [tokens.mean(1), tokens.std(1, correction=0)]
    return np.asarray(torch.cat(parts).numpy())
