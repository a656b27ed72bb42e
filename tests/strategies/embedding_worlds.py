"""A pool of stripes: each patient has its own direction and width of stripes, each slice its own phase of them."""

import sys
from pathlib import Path

import numpy as np

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import PoolView
from frugalseg.files import fingerprint_array
from frugalseg.learn.hardware import Hardware
from frugalseg.settings import override, parse
from frugalseg.strategies.coreclr import CoreClr
from frugalseg.strategies.embedding.contrastive import ContrastSettings, GroupContrastive
from frugalseg.strategies.embedding.embedder import unit_length
from frugalseg.strategies.embedding.pictures import pictures_of

SIDE = 24
CLASSES = ("background", "object")
TINY = {"side": 16, "widths": [8, 16], "batch": 12, "fit.steps": 2, "fit.checkpoint_every": 1}


def tiny_contrast(**changes):
    """An embedding that is learnt in a moment."""
    settings = parse(ContrastSettings, override(ContrastSettings().model_dump(), {**TINY, **changes}), where="test")
    return GroupContrastive(settings, Hardware(device="cpu", threads=1))


class Held:
    """An image in memory."""

    def __init__(self, array):
        self.array = array
        self.geometry = Geometry.plain(array.shape)

    def read(self):
        return Image(self.array, self.geometry)

    def fingerprint(self):
        return fingerprint_array(self.array)


class Given:
    """An embedder that knows the answer, and counts how often it was asked."""

    def __init__(self, vectors):
        self.vectors = unit_length(np.asarray(vectors, float))
        self.asked = 0

    def embed(self, view, pictures, folder):
        self.asked += 1
        return self.vectors


def volume(look, n, seed):
    """Slices (n, SIDE, SIDE) of one look, 0 to 7, with noise."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE] / SIDE
    angle = np.pi * look / 8
    along = rows * np.cos(angle) + cols * np.sin(angle)
    phases = np.linspace(0, 1, n)[:, None, None]
    stripes = np.sin(2 * np.pi * ((2 + look % 3) * along + 0.3 * phases))
    return (stripes + rng.normal(0, 0.1, (n, SIDE, SIDE))).astype(np.float32)


def view_of_volumes(looks, n=5, *, unit="slice", drawn=None, probabilities=None, cache=None, seed=0, phases=None):
    """One volume of `n` slices for each entry PATIENT: LOOK of `looks`, a list of pairs."""
    cases = []
    for k, (patient, look) in enumerate(looks):
        source = Held(volume(look, n, k))
        cases.append(Case(f"v{k:02d}", patient, source.geometry, source, phases[k] if phases else ""))
    drawn = drawn or {}
    return PoolView(tuple(cases), drawn.get, unit, 0, probabilities, cache=cache, seed=seed)


def label_of(shape, *places):
    """A label in which the voxels at these index expressions are known."""
    array = np.full(shape, 255, np.uint8)
    for place in places:
        array[place] = 1
    return SemanticLabel(array, CLASSES)


REDUNDANT = [("p", 0)] * 12 + [(f"q{k}", k) for k in range(1, 7)]
"""One patient was scanned twelve times; six others look each its own way."""

SIX_STEPS = {"fit.steps": 6, "fit.checkpoint_every": 2}


if __name__ == "__main__":  # runs in a process of its own, to be killed
    view, embedder = view_of_volumes(REDUNDANT[8:], cache=Path(sys.argv[1])), tiny_contrast(**SIX_STEPS)
    for step in embedder.run(view, pictures_of(view), Path(sys.argv[1]) / "embeddings").steps():
        print(step.index, flush=True)  # noqa: T201
    embedder.embed(view, pictures_of(view), Path(sys.argv[1]) / "embeddings")
    print("embedded", flush=True)  # noqa: T201
    CoreClr(embedder).rank(view, 8, np.random.default_rng(0))
