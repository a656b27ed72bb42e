import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from frugalseg.data.label import InstanceLabel
from frugalseg.errors import DataError, SettingsError
from frugalseg.metrics.instances import (
    THRESHOLDS,
    average_precision,
    instance_f1,
    instance_scores,
    match_instances,
    matched_iou,
    overlaps,
    panoptic_quality,
)
from frugalseg.metrics.overlap import iou

seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=40)


def label(rows):
    return InstanceLabel(np.array(rows, np.int32))


def squares(seed, *, n=12, side=40):
    """Objects, and the same objects moved by up to two pixels, some of them lost, one of them split."""
    rng = np.random.default_rng(seed)
    one, two = np.zeros((2, side, side), np.int32)
    for k, (r, c) in enumerate(itertools.product(range(2, side - 8, 9), repeat=2)):
        size, (dr, dc) = rng.integers(3, 7), rng.integers(-2, 3, 2)
        if k < n:
            one[r : r + size, c : c + size] = 3 * k + 5
        if rng.random() < 0.8:
            two[r + dr : r + dr + size, c + dc : c + dc + size] = 100 - k
    two[:6][two[:6] > 0] += 200
    return InstanceLabel(one), InstanceLabel(two)


def star_dist(a, b, threshold, *, below=1):
    """(tp, fp, fn, summed IoU) by the published formula of StarDist's and Cellpose's matching, on a full matrix.

    With `below` 0, pairs below the threshold do not decide between those above it.
    """
    scores = np.array([[iou(a.array == i, b.array == j) for j in b.ids] for i in a.ids]).reshape(len(a.ids), len(b.ids))
    scores[scores < threshold] *= below
    n = min(scores.shape)
    if n == 0:
        return 0, len(a.ids), len(b.ids), 0.0
    rows, columns = linear_sum_assignment(-(scores >= threshold).astype(float) - scores / (2 * n))
    good = scores[rows, columns] >= threshold
    return good.sum(), len(a.ids) - good.sum(), len(b.ids) - good.sum(), scores[rows, columns][good].sum()


@few
@given(seeds)
def test_the_contingency_table_agrees_with_brute_force(seed):
    rng = np.random.default_rng(seed)
    a, b = (InstanceLabel(rng.choice([0, 2, 5, 9], (6, 6)).astype(np.int32)) for _ in range(2))
    brute = [[iou(a.array == i, b.array == j) for j in b.ids] for i in a.ids]
    np.testing.assert_allclose(overlaps(a, b).matrix(), brute)


@few
@given(seeds, st.sampled_from([0.5, 0.6, 0.75, 0.9]))
def test_matching_agrees_with_stardist(seed, threshold):
    a, b = squares(seed)
    tp, fp, fn, summed = star_dist(a, b, threshold)
    matching = match_instances(a, b, threshold=threshold)
    assert len(matching.iou) == tp
    assert matching.iou.sum() == pytest.approx(summed)
    assert matching.f1 == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert average_precision(a, b, thresholds=[threshold]) == pytest.approx(tp / (tp + fp + fn))


@few
@given(seeds, st.sampled_from([0.05, 0.15, 0.3, 0.5]))
def test_objects_that_compete_are_matched_as_in_stardist(seed, threshold):
    rng = np.random.default_rng(seed)
    a, b = (InstanceLabel(rng.integers(0, 7, (3, 8), dtype=np.int32)) for _ in range(2))
    tp, *_, summed = star_dist(a, b, threshold, below=0)
    matching = match_instances(a, b, threshold=threshold)
    assert len(matching.iou) == tp
    assert matching.iou.sum() == pytest.approx(summed)
    assert len(set(matching.ids[:, 0])) == len(set(matching.ids[:, 1])) == tp


@few
@given(seeds)
def test_panoptic_quality_agrees_with_its_equation(seed):
    a, b = squares(seed)
    found = overlaps(a, b).iou
    tp = found[found > 0.5]
    total = (len(a.ids) + len(b.ids)) / 2
    pq, sq, rq = panoptic_quality(a, b)
    assert pq == pytest.approx(tp.sum() / total)
    assert sq == pytest.approx(tp.sum() / max(1, len(tp)))
    assert rq == pytest.approx(len(tp) / total)


@few
@given(seeds)
def test_relabelling_ids_and_flips_change_nothing(seed):
    a, b = squares(seed)
    names = np.random.default_rng(seed).permutation(1000).astype(np.int32) + 1
    renamed = InstanceLabel(np.where(a.array > 0, names[a.array], 0).astype(np.int32))
    flipped = InstanceLabel(a.array[:, ::-1].copy()), InstanceLabel(b.array[:, ::-1].copy())
    expected = pytest.approx(instance_scores(a, b))
    assert instance_scores(renamed, b) == expected
    assert instance_scores(*flipped) == expected


@few
@given(seeds)
def test_scores_are_symmetric_and_one_for_equals(seed):
    a, b = squares(seed)
    assert instance_scores(a, b) == pytest.approx(instance_scores(b, a))
    assert set(instance_scores(a, a).values()) == {1.0}
    assert instance_scores(a, b)["ap"] < 1


def test_pairs_name_the_ids_of_both():
    a, b = label([[7, 7, 0, 3]]), label([[2, 2, 0, 9]])
    assert match_instances(a, b).ids.tolist() == [[3, 9], [7, 2]]


def test_an_object_split_in_two_halves_counts_once_at_half():
    a, b = label([[1, 1, 1, 1]]), label([[1, 1, 2, 2]])
    assert average_precision(a, b, thresholds=[0.5]) == 0.5
    assert average_precision(a, b) == pytest.approx(0.05)
    assert panoptic_quality(a, b) == (0, 0, 0)
    assert instance_f1(a, b) == pytest.approx(2 / 3)


def test_thresholds_meet_their_number_exactly():
    ten = np.zeros((1, 20), np.int32)
    ten[0] = 1
    for k, threshold in enumerate(THRESHOLDS):
        part = ten.copy()
        part[0, 10 + k :] = 0
        assert match_instances(InstanceLabel(part), InstanceLabel(ten), threshold=threshold).f1 == 1


def test_unknown_voxels_are_removed_from_both():
    truth = label([[1, 1, -1, -1], [0, 0, -1, -1]])
    prediction = label([[4, 4, 4, 4], [0, 0, 0, 8]])
    assert instance_scores(prediction, truth) == pytest.approx(
        dict.fromkeys(instance_scores(truth_of(truth), truth), 1)
    )


def truth_of(truth):
    return InstanceLabel(np.maximum(truth.array, 0))


def test_empty_images_follow_the_rule():
    nothing, one = label([[0, 0]]), label([[0, 1]])
    assert set(instance_scores(nothing, nothing).values()) == {1.0}
    assert set(instance_scores(nothing, one).values()) == {0.0}
    assert set(instance_scores(one, nothing).values()) == {0.0}
    assert matched_iou(label([[1, 0]]), one) == 0


def test_volumes_are_measured_too():
    volume = np.zeros((4, 5, 6), np.int32)
    volume[1:3, 1:3, 1:3], volume[3, 4, 5] = 1, 2
    assert instance_f1(InstanceLabel(volume), InstanceLabel(volume[::1].copy())) == 1


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(DataError, match="cannot be measured against"):
        overlaps(label([[0]]), label([[0, 0]]))
    with pytest.raises(DataError, match=r"unknown voxels \(-1\)"):
        overlaps(label([[-1]]), label([[0]]))
    with pytest.raises(SettingsError, match="must lie above 0"):
        match_instances(label([[0]]), label([[0]]), threshold=0.0)


def test_an_object_that_lies_mostly_where_nobody_looked_is_no_error():
    truth = np.zeros((20, 20), np.int32)
    truth[:, :10] = -1
    for columns, ap in ((slice(2, 12), 1.0), (slice(5, 15), 0.0), (slice(12, 16), 0.0)):
        prediction = np.zeros_like(truth)
        prediction[5:10, columns] = 1
        assert average_precision(InstanceLabel(prediction), InstanceLabel(truth)) == ap
