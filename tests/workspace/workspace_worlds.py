"""A small pool and what raters hand in, for the tests of the workspace and the processes they start."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frugalseg.annotator import Annotation
from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.data.splits import Split
from frugalseg.data.unit import Unit
from frugalseg.files import fingerprint_array
from frugalseg.workspace import Workspace

CLASSES = ("background", "head", "tail")
SHAPE = (4, 5, 6)
TILTED = Geometry.from_affine(SHAPE, np.array([[0, -2, 0, 7], [1.5, 0, 0, -3], [0, 0, 3, 11], [0, 0, 0, 1.0]]))


@dataclass
class Noise:
    """An image source that makes its own image."""

    geometry: Geometry
    seed: int

    def read(self) -> Image:
        return Image(np.random.default_rng(self.seed).random(self.geometry.shape, np.float32), self.geometry)

    def fingerprint(self) -> str:
        return fingerprint_array(self.read().array)


def make_pool(n: int = 4) -> Pool:
    """Volumes v0, v1, ... and one 2D image with an id that no file system likes."""
    volumes = [Case(f"v{k}", f"patient {k}", TILTED, Noise(TILTED, k)) for k in range(n)]
    flat = Geometry.plain((7, 8))
    return Pool([*volumes, Case("a/b: ü*?", "slide", flat, Noise(flat, 99))], CLASSES)


def make_label(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> SemanticLabel:
    array = np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint8)
    array.flat[::3] = 255
    return SemanticLabel(array, CLASSES)


def draw(unit: Unit, rater: str = "ada", *, seconds: float = 30.0, seed: int = 0) -> Annotation:
    """What a rater hands in for a unit of a volume: class 1 with some noise, known inside of the unit only."""
    whole = SemanticLabel(np.random.default_rng(seed).integers(0, 3, SHAPE).astype(np.uint8), CLASSES)
    return Annotation(unit, rater, whole.only(unit.mask(SHAPE)), seconds)


def make_workspace(folder: Path, pool: Pool | None = None) -> Workspace:
    pool = pool or make_pool()
    split = Split(train=("v0", "v1"), validation=("v2",), test=("v3",))
    return Workspace.create(folder, pool, data="folder=scans", split=split, settings={"axis": 2})
