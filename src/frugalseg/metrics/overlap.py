"""Overlap of two masks.

The rule for empty masks, in all of `frugalseg.metrics`: two empty masks agree (overlap 1, distances 0, NSD 1); where
exactly one is empty they agree nowhere (overlap 0, NSD 0, distances the diagonal of
the image between the centres of its corner voxels, the largest distance that two of its voxels can have).
"""

import numpy as np
from jaxtyping import Bool

from frugalseg.errors import DataError


def dice(prediction: Bool[np.ndarray, "*space"], truth: Bool[np.ndarray, "*space"]) -> float:
    """Dice coefficient, twice the intersection over the sum of both sizes."""
    check_masks(prediction, truth)
    total = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / total if total else 1.0


def iou(prediction: Bool[np.ndarray, "*space"], truth: Bool[np.ndarray, "*space"]) -> float:
    """Intersection over union (Jaccard index)."""
    check_masks(prediction, truth)
    union = int((prediction | truth).sum())
    return int((prediction & truth).sum()) / union if union else 1.0


def check_masks(prediction: np.ndarray, truth: np.ndarray) -> None:
    """Raises `DataError` when the two are not boolean arrays of one shape."""
    if prediction.dtype != np.bool_ or truth.dtype != np.bool_:
        raise DataError(f"masks must be boolean arrays, not {prediction.dtype} and {truth.dtype}; compare with a class")
    if prediction.shape != truth.shape:
        raise DataError(f"a prediction of shape {prediction.shape} cannot be measured against a truth of {truth.shape}")
