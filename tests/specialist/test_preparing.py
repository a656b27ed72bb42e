import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specialist_world import CLASSES, image_of, pool_of, tiny_plan

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.errors import DataError
from frugalseg.specialist.prepare import PreparedCases, prepare_image, prepare_label
from frugalseg.specialist.resample import resample_image, resample_label, resample_linear


def label_of(shape, value=1, axis=0, index=0):
    """Nobody has looked but at one plane."""
    array = np.full(shape, UNKNOWN, np.uint8)
    array[(*[slice(None)] * axis, index)] = value
    return SemanticLabel(array, CLASSES)


@pytest.mark.parametrize("how", ["percentile", "zscore"])
def test_channels_are_normalised_one_by_one(how):
    x = prepare_image(image_of((20, 21), channels=3), tiny_plan(2, channels=3, normalise=how))
    assert x.shape == (3, 20, 21)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std((1, 2)), 1, atol=1e-4)


def test_percentiles_take_the_weight_from_outliers():
    image = image_of((40, 40))
    image.array[0, 0] = 1e6
    assert prepare_image(image, tiny_plan(2)).max() < 4
    assert prepare_image(image, tiny_plan(2, normalise="zscore")).max() > 30


def test_intensity_scale_does_not_matter():
    image = image_of((20, 20))
    other = Image(image.array.astype(np.float64) * 300 + 7, image.geometry)
    np.testing.assert_allclose(prepare_image(image, tiny_plan(2)), prepare_image(other, tiny_plan(2)), atol=1e-4)


@pytest.mark.parametrize("value", [0, 7, 1e9])
def test_a_constant_image_becomes_zeros(value):
    image = Image(np.full((9, 9, 9), value), Geometry.plain((9, 9, 9)))
    assert not prepare_image(image, tiny_plan()).any()


def test_a_few_bright_voxels_on_black_are_kept():
    array = np.zeros((100, 100), np.uint8)
    array[3, 4] = 200
    x = prepare_image(Image(array, Geometry.plain(array.shape)), tiny_plan(2))
    assert x[0, 3, 4] == x.max() > 0


def test_other_axes_or_channels_are_refused():
    with pytest.raises(DataError, match=r"has 2 axes .* plan is for 3"):
        prepare_image(image_of((9, 9)), tiny_plan())
    with pytest.raises(DataError, match="has 3 channels, but the plan is for 1"):
        prepare_image(image_of((9, 9), channels=3), tiny_plan(2))


def test_volumes_are_brought_to_the_plans_spacing():
    image = image_of((10, 20, 9), spacing=(3.0, 1.5, 1.0))
    assert prepare_image(image, tiny_plan(spacing=(1.5, 1.5, 2.0))).shape == (1, 20, 20, 4)
    assert prepare_image(image, tiny_plan(2, axis=0, spacing=(3.0, 3.0))).shape == (1, 10, 10, 3)
    assert prepare_image(image, tiny_plan(2, axis=2, spacing=(1.5, 3.0))).shape == (1, 20, 10, 9)
    assert prepare_image(image, tiny_plan()).shape == (1, 10, 20, 9)


def centre_of_mass(a):
    return np.stack([(g * a).sum() / a.sum() for g in np.indices(a.shape)])


@pytest.mark.parametrize("shape", [(30, 18, 40), (15, 36, 20), (10, 12, 13)])
def test_a_blob_stays_where_it_is_in_mm(shape):
    blob = np.exp(-((np.indices((20, 24, 26)) - np.array([9, 13, 11])[:, None, None, None]) ** 2).sum(0) / 12)
    moved = resample_image(blob[None].astype(np.float32), shape)[0]
    scale = np.divide(blob.shape, shape)
    np.testing.assert_allclose((centre_of_mass(moved) + 0.5) * scale, [9.5, 13.5, 11.5], atol=0.1)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40))
def test_a_ramp_stays_the_same_ramp(old, new):
    ramp = ((np.arange(old) + 0.5) / old)[None, :, None] * np.ones((1, 1, 3))
    x = resample_linear(ramp.astype(np.float32), (new, 3))[0, :, 1]
    inside = (np.arange(new) + 0.5) / new
    np.testing.assert_allclose(x, np.clip(inside, ramp.min(), ramp.max()), atol=1e-5)


def test_shrinking_does_not_alias_fine_stripes():
    stripes = np.tile(np.array([1.0, -1.0], np.float32), 60)[None, :, None] * np.ones((1, 1, 8), np.float32)
    assert np.abs(resample_image(stripes, (35, 8))[0, 3:-3]).max() < 0.35
    assert np.abs(resample_linear(stripes, (35, 8))[0, 3:-3]).max() > 0.7


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_a_drawn_plane_is_never_lost_and_never_moves_by_a_voxel(old, new, data):
    index = data.draw(st.integers(0, old - 1))
    result = resample_label(label_of((old, 3, 3), index=index).array, (new, 3, 3))
    rows = np.flatnonzero((result == 1).all((1, 2)))
    assert len(rows) > 0
    assert (abs((rows + 0.5) / new - (index + 0.5) / old) <= 0.5 / new + 0.5 / old + 1e-9).all()
    assert (np.delete(result, rows, 0) == UNKNOWN).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20))
def test_a_dense_label_takes_the_value_at_the_centre(old, new):
    array = np.arange(old, dtype=np.uint8)[:, None] * np.ones((1, 2), np.uint8)
    expected = np.floor((np.arange(new) + 0.5) * old / new)
    assert (resample_label(array, (new, 2)) == expected[:, None]).all()


def test_a_label_follows_its_image():
    image = image_of((10, 20, 9), spacing=(3.0, 1.5, 1.0))
    plan = tiny_plan(spacing=(1.5, 1.5, 2.0))
    label = prepare_label(label_of((10, 20, 9), index=4), image.geometry, plan)
    assert label.shape == prepare_image(image, plan).shape[1:]
    assert label.dtype == np.uint8
    assert np.flatnonzero((label == 1).all((1, 2))).tolist() == [8, 9]


def test_prepared_cases_are_read_only_maps_of_what_prepare_gives(tmp_path):
    pool = pool_of([image_of((9, 10, 11)), image_of((12, 10, 11))])
    pool.labels.put("case001", "ann", label_of((12, 10, 11), index=3))
    cases = PreparedCases(pool, tiny_plan(), tmp_path)
    image, label = cases.load("case001")
    np.testing.assert_array_equal(image, prepare_image(pool["case001"].image(), tiny_plan()))
    np.testing.assert_array_equal(label, pool.label("case001").array)
    assert isinstance(image, np.memmap)
    assert not image.flags.writeable


def test_where_nobody_drew_everything_is_unknown_without_a_file(tmp_path):
    cases = PreparedCases(pool_of([image_of((9, 10, 11))]), tiny_plan(), tmp_path)
    assert cases.label("case000").shape == (9, 10, 11)
    assert (cases.label("case000") == UNKNOWN).all()
    assert not list(tmp_path.glob("*.label.npy"))


def test_an_image_is_prepared_once_for_all_runs_that_prepare_alike(tmp_path):
    pool = pool_of([image_of((9, 10, 11))])
    for plan in [tiny_plan(), tiny_plan(network="vnet", patch=(32, 32, 32)), tiny_plan(normalise="zscore")]:
        PreparedCases(pool, plan, tmp_path).image("case000")
    assert len(list(tmp_path.iterdir())) == 2
    assert len(pool["case000"].source.reads) == 2


def test_a_label_drawn_further_is_seen_by_the_next_cases_and_not_in_the_middle_of_a_run(tmp_path):
    pool = pool_of([image_of((9, 10, 11))])
    pool.labels.put("case000", "ann", label_of((9, 10, 11), index=3))
    first = PreparedCases(pool, tiny_plan(), tmp_path)
    before = np.array(first.label("case000"))
    pool.labels.put("case000", "ann", label_of((9, 10, 11), index=5))
    np.testing.assert_array_equal(first.label("case000"), before)
    assert (PreparedCases(pool, tiny_plan(), tmp_path).label("case000")[5] == 1).all()


def test_one_rater_is_taken_by_name(tmp_path):
    pool = pool_of([image_of((9, 10, 11))])
    for rater, index in [("ann", 3), ("bob", 5)]:
        pool.labels.put("case000", rater, label_of((9, 10, 11), index=index))
    assert PreparedCases(pool, tiny_plan(), tmp_path, rater="bob").label("case000")[5].all()
    with pytest.raises(DataError, match="several raters"):
        PreparedCases(pool, tiny_plan(), tmp_path).label("case000")


def test_many_writers_of_one_case_agree(tmp_path):
    pool = pool_of([image_of((20, 20, 20))])
    with ThreadPoolExecutor(8) as threads:
        runs = [PreparedCases(pool, tiny_plan(), tmp_path) for _ in range(16)]
        images = list(threads.map(lambda cases: np.array(cases.image("case000")), runs))
    assert all(np.array_equal(a, b) for a, b in pairwise(images))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_bad_case_is_named_and_leaves_no_file(tmp_path):
    with pytest.raises(DataError, match="case000: the image has 2 axes"):
        PreparedCases(pool_of([image_of((9, 9))]), tiny_plan(), tmp_path).image("case000")
    pool = pool_of([image_of((9, 9, 9))])
    pool.labels.put("case000", "ann", label_of((9, 9, 8)))
    with pytest.raises(DataError, match=r"case000: its label has shape \(9, 9, 8\), its image \(9, 9, 9\)"):
        PreparedCases(pool, tiny_plan(), tmp_path).label("case000")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
def test_no_file_stays_open(tmp_path):
    pool = pool_of([image_of((4, 4 + i)) for i in range(30)])
    cases = PreparedCases(pool, tiny_plan(2), tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for case in pool.cases:
        cases.load(case.id)
    assert len(os.listdir("/proc/self/fd")) <= before
