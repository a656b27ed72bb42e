import os
from functools import partial
from pathlib import Path
from unittest import mock

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, gaussian_filter
from torch import Tensor

from frugalseg.data.label import UNKNOWN
from frugalseg.errors import LabelValueError
from frugalseg.learn import confident
from frugalseg.learn.confident import (
    find_label_issues,
    with_issues_corrected,
)

pytestmark = pytest.mark.filterwarnings("ignore:May not flag all label issues in class:UserWarning")

seeds = st.integers(0, 2**32 - 1)
classes = st.sampled_from([2, 3, 5])
few = settings(deadline=None, max_examples=40)
STABLE = partial(np.argsort, kind="stable")


def cleanlab_issues(labels: Tensor, p: Tensor, *, sort=STABLE) -> np.ndarray:
    """The oracle, given doubles; with a stable sort its choice among equal voxels is defined too."""
    from cleanlab.filter import find_label_issues

    rows = np.ascontiguousarray(p.movedim(1, -1).reshape(-1, p.shape[1]).numpy().astype(np.float64))
    given = labels.flatten().numpy().astype(np.int64)
    with mock.patch("numpy.argsort", sort):
        flags = find_label_issues(given, rows, filter_by="both", n_jobs=1)
    return np.asarray(flags).reshape(labels.shape)


def noisy(seed, n_classes, shape=(150,), *, grid=0, absent=()):
    """Probabilities of a fair model, and labels of which a third is random; on a coarse grid they tie everywhere."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, rng.uniform(0.3, 3), (shape[0], n_classes, *shape[1:]))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    p = np.floor(p * grid) / grid if grid else p
    labels = np.where(rng.random(shape) < 0.67, z.argmax(1), rng.integers(0, n_classes, shape))
    for value in absent:
        labels[labels == value] = (value + 1) % n_classes
    return torch.from_numpy(labels.astype(np.uint8)), torch.from_numpy(p.astype(np.float32))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("shape", [(20_000,), (2, 20, 25, 20)])
def test_issues_are_those_of_cleanlab(n_classes, shape):
    labels, p = noisy(n_classes, n_classes, shape)
    found = find_label_issues(labels, p).numpy()
    assert found.sum() > 100
    np.testing.assert_array_equal(found, cleanlab_issues(labels, p, sort=np.argsort))


@few
@given(seeds, classes, st.sampled_from([0, 4, 8, 32]))
def test_issues_are_those_of_cleanlab_where_voxels_tie_too(seed, n_classes, grid):
    labels, p = noisy(seed, n_classes, grid=grid)
    np.testing.assert_array_equal(find_label_issues(labels, p).numpy(), cleanlab_issues(labels, p))


@few
@given(seeds, st.integers(2, 9), st.sampled_from([2, 4]), classes)
def test_issues_of_a_handful_of_voxels_are_those_of_cleanlab(seed, n, grid, n_classes):
    labels, p = noisy(seed, n_classes, (n,), grid=grid)
    if len(labels.unique()) > 1:
        np.testing.assert_array_equal(find_label_issues(labels, p).numpy(), cleanlab_issues(labels, p))


@few
@given(seeds, st.sampled_from([3, 5]), st.sampled_from([0, 8]), st.data())
def test_classes_that_nobody_was_labelled_with_make_no_difference_to_cleanlab(seed, n_classes, grid, data):
    absent = data.draw(st.sets(st.integers(0, n_classes - 1), min_size=1, max_size=n_classes - 2))
    labels, p = noisy(seed, n_classes, grid=grid, absent=absent)
    if len(labels.unique()) > 1:
        np.testing.assert_array_equal(find_label_issues(labels, p).numpy(), cleanlab_issues(labels, p))


@few
@given(seeds, classes)
def test_doubles_and_labels_against_the_model_agree_with_cleanlab(seed, n_classes):
    labels, p = noisy(seed, n_classes)
    wrong, p = (labels + 1) % n_classes, p.double() / p.double().sum(1, keepdim=True)
    np.testing.assert_array_equal(find_label_issues(wrong, p).numpy(), cleanlab_issues(wrong, p))


@few
@given(seeds, classes, st.sampled_from([1, 7, 64]))
def test_how_many_voxels_are_looked_at_together_does_not_matter(seed, n_classes, block):
    labels, p = noisy(seed, n_classes, (2, 9, 8), grid=16)
    with mock.patch.object(confident, "BLOCK", block):
        parts = find_label_issues(labels, p)
    assert torch.equal(parts, find_label_issues(labels, p))


def real_label(name: str) -> np.ndarray:
    if "FRUGALSEG_DATA" not in os.environ:
        pytest.skip("FRUGALSEG_DATA does not name a folder of real data")
    file = sorted((Path(os.environ["FRUGALSEG_DATA"]) / name / "labels").glob("*.nii.gz"))[0]
    return np.asanyarray(nibabel.load(file).dataobj).astype(np.uint8)


@pytest.mark.real
@pytest.mark.parametrize(("name", "n_classes"), [("acdc_scribbles", 4), ("hippocampus", 3)])
def test_on_a_real_label_with_a_thickened_class_issues_are_those_of_cleanlab(name, n_classes):
    truth = real_label(name)
    smooth = np.stack([gaussian_filter((truth == k).astype(np.float32), 1.0) ** 4 for k in range(n_classes)])
    p = torch.from_numpy(smooth / smooth.sum(0))[None]
    labels = torch.from_numpy(np.where(binary_dilation(truth == 1, iterations=2), 1, truth).astype(np.uint8))[None]
    found = find_label_issues(labels, p).numpy()
    np.testing.assert_array_equal(found, cleanlab_issues(labels, p))
    is_wrong = labels.numpy() != truth[None]
    assert (found & is_wrong).sum() > 0.95 * found.sum() > 0.3 * is_wrong.sum()


def test_unknown_voxels_are_no_issues_and_count_nowhere():
    labels, p = noisy(0, 3, (2, 10, 10))
    known = torch.rand(labels.shape, generator=torch.Generator().manual_seed(0)) < 0.6
    found = find_label_issues(labels.masked_fill(~known, UNKNOWN), p)
    assert not found[~known].any()
    assert torch.equal(found[known], find_label_issues(labels[known], p.movedim(1, -1)[known]))


@pytest.mark.parametrize("label", [0, 1, 2, UNKNOWN])
def test_a_single_label_or_none_has_no_issues(label):
    _, p = noisy(0, 3, (2, 5, 5))
    assert not find_label_issues(torch.full((2, 5, 5), label, dtype=torch.uint8), p).any()


def test_a_label_that_is_no_class_is_named():
    labels, p = noisy(0, 3)
    labels[4] = 7
    with pytest.raises(LabelValueError, match=r"labels \[7\] are not among 0..2 or 255"):
        find_label_issues(labels, p)


def by_definition(labels, p):
    """Confident classes in a loop over voxels, from the paper's definition."""
    rows, given = p.double().numpy(), labels.numpy()
    thresholds = [rows[given == k, k].mean() if (given == k).any() else 2.0 for k in range(rows.shape[1])]
    result = []
    for row in rows:
        reached = [k for k, t in enumerate(thresholds) if row[k] >= t - 1e-6]
        result.append(UNKNOWN if not reached else reached[0] if len(reached) == 1 else int(row.argmax()))
    return result


@few
@given(seeds, classes)
def test_correcting_changes_the_issues_and_nothing_else(seed, n_classes):
    labels, p = noisy(seed, n_classes, (2, 8, 9))
    labels[0, :2] = UNKNOWN
    assert torch.equal(with_issues_corrected(labels, p) != labels, find_label_issues(labels, p))


@few
@given(seeds)
def test_correcting_two_classes_is_a_flip(seed):
    labels, p = noisy(seed, 2)
    issues = find_label_issues(labels, p)
    assert torch.equal(with_issues_corrected(labels, p), torch.where(issues, 1 - labels, labels))


@few
@given(seeds, classes, st.sampled_from([0, 8]), st.sampled_from([(), (1,)]))
def test_a_corrected_issue_gets_another_class_it_is_confident_in_or_its_most_probable_one(
    seed, n_classes, grid, absent
):
    labels, p = noisy(seed, n_classes, grid=grid, absent=absent)
    issues, sure = find_label_issues(labels, p), torch.tensor(by_definition(labels, p), dtype=torch.uint8)
    is_other = (sure != UNKNOWN) & (sure != labels)
    expected = torch.where(is_other, sure, p.argmax(1).to(torch.uint8))
    assert torch.equal(with_issues_corrected(labels, p)[issues], expected[issues])


def test_the_given_labels_stay_as_they_are():
    labels, p = noisy(0, 3)
    before = labels.clone()
    assert not torch.equal(with_issues_corrected(labels, p), labels)
    assert torch.equal(labels, before)


def test_labels_thickened_on_one_side_are_put_right():
    truth = torch.zeros(40, 40, dtype=torch.uint8)
    truth[10:30, 10:30] = 1
    z = 6 * torch.from_numpy(gaussian_filter(truth.numpy().astype(np.float32), 1) - 0.5)
    labels = truth.clone()
    labels[10:30, 30:34] = 1
    corrected = with_issues_corrected(labels[None], torch.stack([-z, z])[None].softmax(1))[0]
    assert (labels != truth).sum() == 80
    assert (corrected != truth).sum() <= 20
