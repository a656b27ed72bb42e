"""The scores of a semantic prediction, as evaluations and benches report them."""

from collections.abc import Callable

import numpy as np

from frugalseg.data.label import SemanticLabel
from frugalseg.errors import DataError
from frugalseg.metrics.overlap import dice, iou
from frugalseg.metrics.surface import surface_distances

Scores = Callable[[SemanticLabel, SemanticLabel], dict[str, float]]
"""Prediction, truth -> metrics by name."""


def semantic_scores(prediction: SemanticLabel, truth: SemanticLabel, *, spacing: tuple[float, ...]) -> dict[str, float]:
    """Means over the foreground classes: dice, iou, hd95_mm, asd_mm, nsd; and dice_CLASS for each of them.

    Distances are in the unit of the spacing. The tolerance of NSD is the largest spacing: being off by one voxel along
    any axis is forgiven, whatever the scale of the images. A class that is in neither scores 1 and distance 0.

    Voxels where the truth is unknown are left out of the overlap; for distances both are background there, so a
    prediction loses nothing at what nobody drew. Raises `DataError` for unknown voxels in the prediction, a truth
    without any known voxel, and different shapes or classes.
    """
    _check(prediction, truth)
    known = truth.known
    scores: dict[str, list[float]] = {"dice": [], "iou": [], "hd95_mm": [], "asd_mm": [], "nsd": []}
    for value in range(1, len(truth.classes)):
        mine, real = (prediction.array == value) & known, truth.array == value
        distances = surface_distances(mine, real, spacing=spacing)
        scores["dice"].append(dice(mine, real))
        scores["iou"].append(iou(mine, real))
        scores["hd95_mm"].append(distances.hd95)
        scores["asd_mm"].append(distances.asd)
        scores["nsd"].append(distances.nsd(max(spacing)))
    by_class = {f"dice_{name}": score for name, score in zip(truth.classes[1:], scores["dice"], strict=True)}
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    return {"dice": means.pop("dice"), **by_class, **means}


def _check(prediction: SemanticLabel, truth: SemanticLabel) -> None:
    if prediction.classes != truth.classes:
        raise DataError(f"the prediction has the classes {prediction.classes}, the truth {truth.classes}")
    if prediction.array.shape != truth.array.shape:
        raise DataError(
            f"a prediction of shape {prediction.array.shape} cannot be measured against a truth of {truth.array.shape}"
        )
    if not prediction.is_dense:
        raise DataError("a prediction must say something everywhere, but it holds unknown voxels (255)")
    if not truth.known.any():
        raise DataError("nobody has looked at any voxel of the truth, so nothing can be measured against it")
