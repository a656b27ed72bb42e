"""The scores that papers on the LA data set report, as their protocol defines them.

Source: `test_3D_util.py` of UA-MT (Yu et al. 2019) and its successors, with the definitions of medpy 0.4: Dice,
Jaccard, 95HD over both directions pooled, ASD from the prediction to the truth only, in voxels whatever the spacing,
on surfaces of 6 neighbours. They differ from those of `frugalseg.metrics.semantic`, and are for comparing with
published tables.
"""

import numpy as np
from jaxtyping import Bool

from frugalseg.data.label import SemanticLabel
from frugalseg.errors import DataError
from frugalseg.metrics.overlap import dice, iou
from frugalseg.metrics.surface import surface_distances

NAMES = ("dice", "jaccard", "hd95_voxel", "asd_voxel")
"""The scores, in the order of the tables."""


def la_scores(prediction: Bool[np.ndarray, "*space"], truth: Bool[np.ndarray, "*space"]) -> dict[str, float]:
    """``dice``, ``jaccard``, ``hd95_voxel``, ``asd_voxel`` of one mask; all are 0 for an empty prediction.

    That rule is the protocol's (UA-MT, `test_3D_util.py`): an empty prediction is rewarded with the best distances, so
    these say little without the Dice beside them. Raises `DataError` for an empty truth, for which medpy has no value.
    """
    if not truth.any():
        raise DataError("the truth is empty, for which the LA protocol has no distance; leave the case out")
    if not prediction.any():
        return dict.fromkeys(NAMES, 0.0)
    distances = surface_distances(prediction, truth, spacing=(1.0,) * truth.ndim)
    return {
        "dice": dice(prediction, truth),
        "jaccard": iou(prediction, truth),
        "hd95_voxel": distances.hd95_pooled,
        "asd_voxel": distances.asd_to_truth,
    }


def la_label_scores(prediction: SemanticLabel, truth: SemanticLabel) -> dict[str, float]:
    """The same of a label, mean over the foreground classes. Raises `DataError` unless both are dense and alike."""
    if prediction.classes != truth.classes:
        raise DataError(f"the prediction has the classes {prediction.classes}, the truth {truth.classes}")
    if not (prediction.is_dense and truth.is_dense):
        raise DataError("the LA protocol measures labels that are known everywhere, but one holds unknown voxels (255)")
    values = range(1, len(truth.classes))
    scores = [la_scores(prediction.array == value, truth.array == value) for value in values]
    return {name: float(np.mean([s[name] for s in scores])) for name in NAMES}
