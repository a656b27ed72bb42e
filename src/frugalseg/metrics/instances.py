"""How well predicted objects are the true ones. Ids mean nothing: objects are matched by their IoU.

Voxels where the truth is unknown are removed from both, and so is a predicted object of which more than half lies
there. Two images without objects agree (1), one without and one with objects do not (0), by the rule of
`frugalseg.metrics.overlap`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from frugalseg.data.label import InstanceLabel
from frugalseg.errors import DataError, SettingsError

THRESHOLDS = tuple(k / 100 for k in range(50, 100, 5))
"""The IoU thresholds of COCO: 0.5, 0.55, ... 0.95."""

_ABOVE_HALF = float(np.nextafter(0.5, 1))


@dataclass(frozen=True, eq=False)
class Matching:
    """Which predicted object is which true one: `ids` (M, 2) holds prediction and truth, `iou` (M,) their overlap."""

    ids: np.ndarray
    iou: np.ndarray
    n_prediction: int
    n_truth: int

    @property
    def f1(self) -> float:
        """Twice the matched objects over all objects of both."""
        total = self.n_prediction + self.n_truth
        return 2 * len(self.iou) / total if total else 1.0

    @property
    def precision(self) -> float:
        """The ratio tp / (tp + fp + fn), which Cellpose and StarDist call average precision at one threshold."""
        union = self.n_prediction + self.n_truth - len(self.iou)
        return len(self.iou) / union if union else 1.0

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the matched objects; 0 when none is matched although there are some."""
        if len(self.iou):
            return float(self.iou.mean())
        return 0.0 if self.n_prediction + self.n_truth else 1.0


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The IoU of every predicted and true object that touch: rows and columns are positions in the ascending ids."""

    prediction_ids: np.ndarray
    truth_ids: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    iou: np.ndarray

    def matrix(self) -> np.ndarray:
        """All IoUs as an array (objects of the prediction, objects of the truth)."""
        dense = np.zeros((len(self.prediction_ids), len(self.truth_ids)))
        dense[self.rows, self.columns] = self.iou
        return dense

    def match(self, threshold: float) -> Matching:
        """As many pairs with IoU >= threshold as can be, each object in at most one, of those the largest IoU sum."""
        if not 0 < threshold <= 1:
            raise SettingsError(f"an IoU threshold of {threshold:g} must lie above 0 and not above 1")
        near = np.flatnonzero(self.iou >= threshold)
        is_alone = _occurs_once(self.rows[near]) & _occurs_once(self.columns[near])
        pairs = np.sort(np.concatenate([near[is_alone], self._assign(near[~is_alone])]))
        ids = np.stack([self.prediction_ids[self.rows[pairs]], self.truth_ids[self.columns[pairs]]], axis=1)
        return Matching(ids, self.iou[pairs], len(self.prediction_ids), len(self.truth_ids))

    def _assign(self, pairs: np.ndarray) -> np.ndarray:
        """Those pairs that win where several compete; possible at thresholds up to 0.5 only."""
        rows, row = np.unique(self.rows[pairs], return_inverse=True)
        columns, column = np.unique(self.columns[pairs], return_inverse=True)
        gain = np.zeros((len(rows), len(columns)))
        gain[row, column] = 1 + self.iou[pairs] / (2 * max(1, min(gain.shape)))  # one more pair outweighs any IoU
        number = np.full(gain.shape, -1)
        number[row, column] = pairs
        chosen = number[linear_sum_assignment(gain, maximize=True)]
        return np.asarray(chosen[chosen >= 0])


def overlaps(prediction: InstanceLabel, truth: InstanceLabel) -> Overlaps:
    """The IoUs by one contingency table over the voxels.

    Raises `DataError` for different shapes and for unknown voxels in the prediction.
    """
    if prediction.array.shape != truth.array.shape:
        raise DataError(
            f"a prediction of shape {prediction.array.shape} cannot be measured against a truth of {truth.array.shape}"
        )
    if (prediction.array < 0).any():
        raise DataError("a prediction must say something everywhere, but it holds unknown voxels (-1)")
    known = truth.array >= 0
    p_ids, p, p_sizes = _objects(np.where(_mostly_unknown(prediction.array, known), 0, prediction.array)[known])
    t_ids, t, t_sizes = _objects(truth.array[known])
    in_both = (p >= 0) & (t >= 0)
    pair, n_shared = np.unique(p[in_both] * max(1, len(t_ids)) + t[in_both], return_counts=True)
    rows, columns = np.divmod(pair, max(1, len(t_ids)))
    return Overlaps(p_ids, t_ids, rows, columns, n_shared / (p_sizes[rows] + t_sizes[columns] - n_shared))


def match_instances(prediction: InstanceLabel, truth: InstanceLabel, *, threshold: float = 0.5) -> Matching:
    """The best one-to-one matching of objects with IoU >= threshold, as in StarDist."""
    return overlaps(prediction, truth).match(threshold)


def instance_f1(prediction: InstanceLabel, truth: InstanceLabel, *, threshold: float = 0.5) -> float:
    """F1 of finding the objects at an IoU threshold."""
    return match_instances(prediction, truth, threshold=threshold).f1


def average_precision(
    prediction: InstanceLabel, truth: InstanceLabel, *, thresholds: Iterable[float] = THRESHOLDS
) -> float:
    """Mean over the thresholds of tp / (tp + fp + fn), as Cellpose and StarDist define it (not COCO's, which needs
    scores).
    """
    found = overlaps(prediction, truth)
    return float(np.mean([found.match(threshold).precision for threshold in thresholds]))


def matched_iou(prediction: InstanceLabel, truth: InstanceLabel, *, threshold: float = 0.5) -> float:
    """Mean IoU of the matched objects."""
    return match_instances(prediction, truth, threshold=threshold).mean_iou


def panoptic_quality(prediction: InstanceLabel, truth: InstanceLabel) -> tuple[float, float, float]:
    """Panoptic quality and its factors: (pq, segmentation quality, recognition quality).

    Source: Kirillov et al. 2019, equation 1, for one class; objects match where the IoU is above 0.5.
    """
    matching = match_instances(prediction, truth, threshold=_ABOVE_HALF)
    return matching.mean_iou * matching.f1, matching.mean_iou, matching.f1


def instance_scores(prediction: InstanceLabel, truth: InstanceLabel) -> dict[str, float]:
    """All of these at once: ap (mean over `THRESHOLDS`), ap50, ap75, instance_f1, matched_iou, pq, sq, rq."""
    found = overlaps(prediction, truth)
    half, above = found.match(0.5), found.match(_ABOVE_HALF)
    return {
        "ap": float(np.mean([found.match(threshold).precision for threshold in THRESHOLDS])),
        "ap50": half.precision,
        "ap75": found.match(0.75).precision,
        "instance_f1": half.f1,
        "matched_iou": half.mean_iou,
        "pq": above.mean_iou * above.f1,
        "sq": above.mean_iou,
        "rq": above.f1,
    }


def _objects(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ascending object ids, for each voxel the position of its id (-1 background), and the size of each object."""
    ids = np.unique(values)
    n_background = int(np.searchsorted(ids, 0, side="right"))
    position = np.searchsorted(ids, values) - n_background
    sizes = np.bincount(position[position >= 0], minlength=len(ids) - n_background)
    return ids[n_background:], position, sizes


def _mostly_unknown(ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """True on the objects of which more than half lies where nobody has looked."""
    present, position = np.unique(ids, return_inverse=True)
    position = position.reshape(ids.shape)
    n_known = np.bincount(position[known], minlength=len(present))
    return np.asarray((2 * n_known < np.bincount(position.ravel(), minlength=len(present)))[position])


def _occurs_once(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.bincount(values)[values] == 1) if len(values) else np.ones(0, bool)
