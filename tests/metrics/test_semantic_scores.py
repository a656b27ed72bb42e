import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.errors import DataError
from frugalseg.metrics.overlap import dice, iou
from frugalseg.metrics.semantic import semantic_scores
from frugalseg.metrics.surface import asd, hd95, nsd

CLASSES = ("background", "anterior", "posterior")
SPACING = (3.0, 0.5)


def label(array):
    return SemanticLabel(np.asarray(array, np.uint8), CLASSES)


def pair(seed):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 3, (3, 3)), np.ones((4, 4))).astype(np.uint8)
    return label(np.where(rng.random(truth.shape) < 0.1, rng.integers(0, 3, truth.shape), truth)), label(truth)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_scores_are_the_means_over_foreground_classes(seed):
    a, b = pair(seed)
    masks = [(a.array == k, b.array == k) for k in (1, 2)]
    scores = semantic_scores(a, b, spacing=SPACING)
    each = {
        "dice": [dice(*m) for m in masks],
        "iou": [iou(*m) for m in masks],
        "hd95_mm": [hd95(*m, spacing=SPACING) for m in masks],
        "asd_mm": [asd(*m, spacing=SPACING) for m in masks],
        "nsd": [nsd(*m, spacing=SPACING, tolerance=3.0) for m in masks],
    }
    assert scores == {
        **{name: pytest.approx(np.mean(values)) for name, values in each.items()},
        "dice_anterior": each["dice"][0],
        "dice_posterior": each["dice"][1],
    }


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_what_is_predicted_where_nobody_looked_changes_nothing(seed):
    a, b = pair(seed)
    known = np.random.default_rng(seed).random(b.array.shape) < 0.5
    changed = label(np.where(known, a.array, (a.array + 1) % 3))
    assert semantic_scores(a, b.only(known), spacing=SPACING) == semantic_scores(
        changed, b.only(known), spacing=SPACING
    )


def test_equal_labels_score_best():
    _, b = pair(0)
    assert semantic_scores(b, b, spacing=SPACING) == {
        **dict.fromkeys(["dice", "dice_anterior", "dice_posterior", "iou", "nsd"], 1),
        **dict.fromkeys(["hd95_mm", "asd_mm"], 0),
    }


def test_a_prediction_that_is_off_by_one_voxel_is_within_the_tolerance():
    truth = np.zeros((12, 12), np.uint8)
    truth[3:8, 3:8] = 1
    scores = semantic_scores(label(np.roll(truth, 1, 0)), label(truth), spacing=SPACING)
    assert scores["nsd"] == 1
    assert scores["hd95_mm"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("prediction", "truth", "match"),
    [
        (label([[UNKNOWN, 0]]), label([[0, 0]]), r"unknown voxels \(255\)"),
        (label([[0, 0]]), label([[UNKNOWN, UNKNOWN]]), "nobody has looked at any voxel"),
        (label([[0]]), label([[0, 0]]), "cannot be measured against"),
        (label([[0]]), SemanticLabel(np.zeros((1, 1), np.uint8), ("background", "liver")), "the truth .*liver"),
    ],
)
def test_what_cannot_be_measured_is_refused(prediction, truth, match):
    with pytest.raises(DataError, match=match):
        semantic_scores(prediction, truth, spacing=SPACING)
