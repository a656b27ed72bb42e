"""Made-up measurements and cases for the tests of the report."""

import numpy as np

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.report.records import CurvePoint

CLASSES = ("background", "core", "rim")


def make_points(rounds: int = 3, seeds: int = 3) -> tuple[CurvePoint, ...]:
    """Two arms over rounds and a bound that was trained once; arm ``good`` is 0.1 better in every seed."""
    points = []
    for arm, gain in (("good", 0.1), ("plain", 0.0)):
        for seed in range(seeds):
            for number in range(rounds):
                dice = 0.5 + gain + 0.05 * number + 0.01 * seed
                metrics = {"dice": dice, "hd95_mm": 10 * (1 - dice), "seconds": 20.0}
                points.append(CurvePoint(arm, seed, number, 120.0 * (number + 1), 8 * (number + 1), metrics))
    bound = {"dice": 0.9, "hd95_mm": 1.0, "seconds": 90.0}
    return (*points, *(CurvePoint("bound", seed, 0, 36000.0, 3000, bound) for seed in range(seeds)))


def make_volume(affine: np.ndarray | None = None, shape: tuple[int, int, int] = (8, 10, 12)) -> Image:
    geometry = Geometry.plain(shape) if affine is None else Geometry.from_affine(shape, affine)
    return Image(np.random.default_rng(0).random(shape, np.float32), geometry)


def make_label(shape: tuple[int, ...] = (8, 10, 12), value: int = 1) -> SemanticLabel:
    """A box of one class around the middle, in slices 2 to 4 of the first axis."""
    array = np.zeros(shape, np.uint8)
    array[(slice(2, 5), *(slice(n // 4, n - n // 4) for n in shape[1:]))] = value
    return SemanticLabel(array, CLASSES)
