import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.errors import DataError
from frugalseg.metrics.la import NAMES, la_label_scores, la_scores
from frugalseg.metrics.surface import surface_distances

seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=12)


def blobs(seed, shape=(9, 11, 8)):
    """A prediction and a truth that overlap in part and reach the border; neither is empty."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 1.5)
    other = 0.7 * field + 0.3 * gaussian_filter(rng.normal(size=shape), 1.5)
    return field > np.quantile(field, 0.7), other > np.quantile(other, 0.8)


def surface(mask):
    """Voxels of the mask that lack one of their neighbours along the axes; outside of the array there is none."""
    voxels = {tuple(v) for v in np.argwhere(mask).tolist()}
    steps = [tuple(s) for s in np.concatenate([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)]).tolist()]
    near = {v: [tuple(a + b for a, b in zip(v, s, strict=True)) for s in steps] for v in voxels}
    return np.array(sorted(v for v in voxels if not all(n in voxels for n in near[v])))


def by_definition(prediction, truth):
    """medpy's dc, jc, hd95 and asd(result, reference), from all pairs of surface voxels."""
    pairs = cdist(surface(prediction), surface(truth))
    there, back = pairs.min(1), pairs.min(0)
    common, either = (prediction & truth).sum(), (prediction | truth).sum()
    dice = 2 * common / (prediction.sum() + truth.sum())
    return dict(
        zip(NAMES, (dice, common / either, np.percentile(np.hstack([there, back]), 95), there.mean()), strict=True)
    )


@few
@given(seeds)
def test_scores_of_a_volume_agree_with_brute_force(seed):
    prediction, truth = blobs(seed)
    assert la_scores(prediction, truth) == pytest.approx(by_definition(prediction, truth))


@few
@given(seeds)
def test_scores_of_an_image_agree_with_brute_force(seed):
    prediction, truth = blobs(seed, (14, 17))
    assert la_scores(prediction, truth) == pytest.approx(by_definition(prediction, truth))


def test_the_surface_distance_goes_one_way_only():
    truth = np.zeros((20, 20, 20), bool)
    truth[5:15, 5:15, 5:15] = True
    prediction = truth.copy()
    prediction[5, 5, 19] = True
    there, back = la_scores(prediction, truth)["asd_voxel"], la_scores(truth, prediction)["asd_voxel"]
    assert (there, back) == (pytest.approx(5 / 489), 0.0)  # 10^3 - 8^3 surface voxels and one that is 5 away
    assert surface_distances(prediction, truth, spacing=(1.0,) * 3).asd == pytest.approx(5 / 977)


def test_a_right_prediction_has_the_best_scores():
    truth = blobs(0)[1]
    assert la_scores(truth, truth) == {"dice": 1.0, "jaccard": 1.0, "hd95_voxel": 0.0, "asd_voxel": 0.0}


def test_an_empty_prediction_scores_zero_in_everything_by_the_protocols_rule():
    truth = blobs(0)[1]
    assert la_scores(np.zeros_like(truth), truth) == dict.fromkeys(NAMES, 0.0)


def test_an_empty_truth_has_no_scores():
    truth = blobs(0)[1]
    with pytest.raises(DataError, match="the truth is empty"):
        la_scores(truth, np.zeros_like(truth))


def test_scores_of_a_label_are_the_mean_over_its_objects():
    (one, real_one), (two, real_two) = blobs(1), blobs(2)
    classes = ("background", "a", "b")
    prediction = SemanticLabel(np.where(one, 1, np.where(two, 2, 0)).astype(np.uint8), classes)
    truth = SemanticLabel(np.where(real_one, 1, np.where(real_two, 2, 0)).astype(np.uint8), classes)
    each = [la_scores(prediction.array == k, truth.array == k) for k in (1, 2)]
    assert la_label_scores(prediction, truth) == {n: pytest.approx((each[0][n] + each[1][n]) / 2) for n in NAMES}


def test_labels_that_cannot_be_compared_are_refused():
    array = blobs(0)[0].astype(np.uint8)
    label = SemanticLabel(array, ("background", "atrium"))
    with pytest.raises(DataError, match="classes"):
        la_label_scores(label, SemanticLabel(array, ("background", "heart")))
    array = array.copy()
    array[0] = UNKNOWN
    with pytest.raises(DataError, match="unknown voxels"):
        la_label_scores(label, SemanticLabel(array, ("background", "atrium")))
