import tracemalloc

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from frugalseg.data import sampling
from frugalseg.data.label import UNKNOWN
from frugalseg.data.sampling import SamplingSettings, TwoStream, known_points
from frugalseg.errors import DataError, SettingsError


def world(shape=(10, 12, 14), n=6, known=((2, 3),)):
    """Cases whose image holds its own voxel number, so that a patch says where it was cut."""
    cases = {}
    for i in range(n):
        image = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape) + 1
        label = np.full(shape, UNKNOWN, np.uint8)
        for plane, value in known:
            label[plane] = 0
            label[plane, 4:8, 4:8] = value - 2
        cases[f"c{i}"] = (image, label)
    return cases


def sampler(cases, patch=(6, 6, 6), labelled=("c0", "c1", "c2"), unlabelled=("c3", "c4", "c5"), axis=None, **options):
    settings = SamplingSettings(patch=patch, **options)
    return TwoStream(labelled, unlabelled, lambda c: cases[c], settings, seed=7, axis=axis)


def test_a_batch_depends_on_seed_and_step_only():
    cases = world()
    one, two = sampler(cases), sampler(cases)
    for step in (0, 1, 17):
        one.batch(step)
    a, b = one.batch(5), two.batch(5)
    assert torch.equal(a.image, b.image)
    assert torch.equal(a.label, b.label)
    assert a.seeds == b.seeds
    assert not torch.equal(a.image, one.batch(6).image)


def test_an_epoch_shows_every_case_once():
    seen = [c for step in range(3) for c in sampler(world(), n_labelled=1, n_unlabelled=1).batch(step).cases]
    assert sorted(seen) == ["c0", "c1", "c2", "c3", "c4", "c5"]


def test_the_rest_is_unknown_everywhere_even_where_a_label_exists():
    batch = sampler(world(), n_labelled=2, n_unlabelled=3).batch(0)
    assert batch.n_labelled == 2
    assert (batch.label[2:] == UNKNOWN).all()


def test_labelled_patches_hold_known_voxels():
    stream = sampler(world(), known_fraction=1.0)
    assert all((stream.batch(step).label[:2] != UNKNOWN).flatten(1).any(1).all() for step in range(20))


def test_classes_are_drawn_in_equal_parts():
    cases = world(shape=(30, 40, 40))
    stream = sampler(cases, patch=(3, 3, 3), known_fraction=1.0, n_labelled=1, n_unlabelled=1)
    hits = sum(bool((stream.batch(step).label[0] == 1).any()) for step in range(200))
    assert hits > 90  # 16 of 1600 known voxels are of class 1: drawn voxel by voxel it would be about 5


def test_image_and_label_are_cut_at_the_same_place():
    cases = world()
    for image, label in cases.values():
        label[:] = (image[0].astype(int) % 2).astype(np.uint8)
    batch = sampler(cases).batch(3)
    assert torch.equal(batch.image[:2, 0].long() % 2, batch.label[:2].long())


def test_small_volumes_are_padded_with_zero_and_unknown():
    batch = sampler(world(shape=(4, 9, 9), known=((2, 3),)), patch=(8, 12, 12)).batch(0)
    outside = batch.image[:, 0] == 0
    assert batch.image.shape == (4, 1, 8, 12, 12)
    assert outside.flatten(1).sum(1).tolist() == [8 * 144 - 4 * 81] * 4
    assert (batch.label[outside] == UNKNOWN).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flat_patch_is_one_slice_across_the_axis(axis):
    batch = sampler(world(), patch=(5, 6), axis=axis).batch(1)
    strides = [168, 14, 1]
    rows, cols = (s for d, s in enumerate(strides) if d != axis)
    inside = batch.image[0, 0]
    assert set(inside.diff(dim=0).unique().tolist()) == {rows}
    assert set(inside.diff(dim=1).unique().tolist()) == {cols}


def test_flat_labelled_patches_come_from_slices_that_were_drawn():
    stream = sampler(world(), patch=(6, 6), axis=0, known_fraction=0.0)
    assert all((stream.batch(step).label[:2] != UNKNOWN).all() for step in range(10))


def test_labelled_cases_alone_are_enough():
    assert sampler(world(), unlabelled=(), n_unlabelled=0).batch(0).n_labelled == 2


def test_wrong_requests_are_explained():
    with pytest.raises(DataError, match="no case has a label"):
        sampler(world(), labelled=())
    with pytest.raises(SettingsError, match="every case has a label"):
        sampler(world(), unlabelled=())
    with pytest.raises(SettingsError, match="patch of 2 axes"):
        sampler(world(), patch=(4, 4)).batch(0)
    with pytest.raises(DataError, match=r"c0.*no known voxel"):
        sampler(world(known=()), labelled=("c0",)).batch(0)


@pytest.mark.parametrize("at_once", [7, 100, 10**6])
def test_known_points_are_voxels_of_their_class_and_all_of_them_where_they_are_few(at_once, monkeypatch):
    monkeypatch.setattr(sampling, "VOXELS_AT_ONCE", at_once)
    monkeypatch.setattr(sampling, "POINTS_PER_CLASS", 50)
    label = np.random.default_rng(0).choice([0, 1, 2, UNKNOWN], (9, 10, 11), p=[0.3, 0.02, 0.08, 0.6]).astype(np.uint8)
    found = known_points(label, np.random.default_rng(1))
    for value, points in zip((0, 1, 2), found, strict=True):
        everywhere = np.flatnonzero(label == value)
        assert np.isin(points, everywhere).all()
        assert len(np.unique(points)) == len(points) == min(50, len(everywhere))


def test_known_points_do_not_depend_on_how_a_volume_is_searched(monkeypatch):
    label = np.random.default_rng(0).integers(0, 3, (20, 30, 30)).astype(np.uint8)
    whole = known_points(label, np.random.default_rng(1))
    monkeypatch.setattr(sampling, "VOXELS_AT_ONCE", 1000)
    parts = known_points(label, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_a_large_dense_label_is_searched_in_little_memory():
    label = np.zeros((200, 200, 200), np.uint8)
    tracemalloc.start()
    known_points(label, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * label.size  # indices of all its voxels would take eight bytes each


def test_points_of_many_classes_stay_within_the_limit_of_a_case():
    label = np.random.default_rng(0).integers(0, 200, (60, 60, 60)).astype(np.uint8)
    assert sum(map(len, known_points(label, np.random.default_rng(0)))) <= sampling.POINTS_PER_CASE


def test_a_patch_must_have_two_or_three_positive_sides():
    for patch in ((4,), (4, 0, 4), (4, 4, 4, 4)):
        with pytest.raises(ValidationError, match="patch"):
            SamplingSettings(patch=patch)


def places(n, size, **options):
    """How often a flat patch begins at each place of an axis of n voxels."""
    stream = sampler(world(shape=(n, n, n), known=((2, 3),)), patch=(size, 6, 6), known_fraction=0.0, **options)
    starts = [int(image[0, 0, 0, 0] - 1) // n**2 for step in range(300) for image in stream.batch(step).image]
    return np.bincount(starts, minlength=n - size + 1)


def test_uniform_corners_begin_everywhere_equally_often():
    counts = places(13, 9, uniform_corners=True)
    assert len(counts) == 5
    assert counts.min() > 190  # of 1200
    assert counts.max() < 290


def test_otherwise_the_borders_come_more_often_so_that_each_voxel_is_in_as_many_patches():
    counts = places(13, 9)
    assert counts[[0, -1]].min() > 1.3 * counts[1:-1].max()


def test_uniform_corners_leave_centred_patches_alone():
    cases = world()
    a, b = (sampler(cases, known_fraction=1.0, uniform_corners=u).batch(3) for u in (True, False))
    assert torch.equal(a.image[:2], b.image[:2])
    assert not torch.equal(a.image[2:], b.image[2:])


def test_uniform_corners_pad_small_volumes_too():
    batch = sampler(world(shape=(4, 9, 9)), patch=(8, 12, 12), known_fraction=0.0, uniform_corners=True).batch(0)
    assert (batch.image[:, 0] != 0).flatten(1).sum(1).tolist() == [4 * 81] * 4
