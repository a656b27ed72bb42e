import numpy as np
import pytest
from embedding_worlds import SIDE, label_of, view_of_volumes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from frugalseg.strategies.embedding.pictures import read_pixels
from frugalseg.strategies.multi_feature import (
    DifferenceTerm,
    FeatureTerm,
    GapTerm,
    MultiFeatureSettings,
    PixelTerm,
    area_mean,
    multi_feature,
    nearest_of,
    unit_free,
)
from frugalseg.strategies.places import places_of

seeds = st.integers(0, 2**32 - 1)


def slow_rms(pixels, c, mask):
    """The masked root mean square difference of each picture to picture c, one pixel after the other."""
    found = []
    for x in pixels:
        squares = [m * (x[p] - pixels[c][p]) ** 2 for p, m in enumerate(mask)]
        found.append(np.sqrt(sum(squares) / sum(mask)))
    return found


@settings(max_examples=15, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.25]))
def test_the_masked_pixel_term_equals_brute_force(seed, beyond):
    rng = np.random.default_rng(seed)
    pixels = rng.random((7, 30))
    masks = {2: rng.integers(0, 2, 30).astype(np.float32), 5: rng.random(30).astype(np.float32)}
    masks[2][0] = 1
    found = PixelTerm(pixels, masks, beyond=beyond).columns(np.array([2, 5, 0]))
    for column, c in zip(found.T, (2, 5, 0), strict=True):
        mask = masks.get(c, np.ones(30))
        assert_allclose(column, slow_rms(pixels, c, mask + beyond * (1 - mask)), atol=2e-3)


def test_bytes_count_from_0_to_1():
    pixels = np.array([[0, 0], [255, 255]], np.uint8)
    assert_allclose(PixelTerm(pixels, {}).columns(np.array([0])), [[0], [1]], atol=1e-6)


def test_a_long_stroke_weighs_no_more_than_a_short_one():
    pixels = np.stack([np.zeros(100), np.full(100, 0.5)]).astype(np.float32)
    short, long = (np.r_[np.ones(n), np.zeros(100 - n)].astype(np.float32) for n in (3, 60))
    for mask in (short, long):
        assert PixelTerm(pixels, {0: mask}).columns(np.array([0]))[1, 0] == pytest.approx(0.5, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_columns_and_pairs_of_every_term_agree(seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 3, 9)
    terms = [FeatureTerm(rng.normal(size=(9, 4))), PixelTerm(rng.random((9, 5)), {}), DifferenceTerm(numbers)]
    for term in [*terms, GapTerm(numbers / 2), unit_free([(1.0, t) for t in terms], 9, seed=0)]:
        a, b = rng.integers(0, 9, (2, 12))
        assert_allclose(term.between(a, b), term.columns(b)[a, np.arange(12)], atol=2e-3)
        assert_allclose(term.columns(b, a), term.columns(b)[a], atol=2e-3)


def test_terms_are_divided_by_their_medians():
    rng = np.random.default_rng(0)
    numbers, values = np.arange(200), rng.random(200)
    term = unit_free([(2.0, DifferenceTerm(numbers)), (1.0, GapTerm(1000 * values))], 200, seed=0)
    same = unit_free([(2.0, DifferenceTerm(numbers)), (1.0, GapTerm(values))], 200, seed=0)
    assert_allclose(term.columns(np.arange(200)), same.columns(np.arange(200)), rtol=1e-4)
    assert np.median(term.columns(np.arange(200))) == pytest.approx(3, rel=0.1)


def test_a_term_in_which_all_are_equal_is_left_out():
    term = unit_free([(1.0, GapTerm(np.arange(5.0))), (1.0, DifferenceTerm(np.zeros(5)))], 5, seed=0)
    assert len(term.terms) == 1


def test_the_nearest_of_many_is_the_smallest_column():
    term = GapTerm(np.random.default_rng(0).random(150))
    chosen = np.arange(0, 150, 2)
    assert_allclose(nearest_of(term)(chosen), term.columns(chosen).min(1))


@pytest.mark.parametrize("shape", [(24, 24), (7, 50), (3, 2)])
def test_an_area_mean_keeps_the_mean_and_loses_nothing(shape):
    x = np.zeros(shape, np.float32)
    x[shape[0] // 2, shape[1] // 3] = 1
    small = area_mean(x, 8)
    assert small.shape == (8, 8)
    assert small.mean() == pytest.approx(x.mean(), rel=1e-5)


def test_an_area_mean_of_whole_blocks_is_their_mean():
    x = np.random.default_rng(0).random((16, 24)).astype(np.float32)
    assert_allclose(area_mean(x, 8), x.reshape(8, 2, 8, 3).mean((1, 3)), rtol=1e-5)


def worlds(tmp_path, **label):
    looks = [("p", 0), ("p", 1), ("q", 2)]
    view = view_of_volumes(looks, **label)
    places = places_of(view)
    return view, places, read_pixels(view, places.pictures, 12, tmp_path / "pixels.npy")


def test_only_what_was_drawn_counts_on_a_labelled_slice(tmp_path):
    drawn = {"v00": label_of((5, SIDE, SIDE), np.s_[2, 4:8, 10:14])}
    view, places, pixels = worlds(tmp_path, drawn=drawn)
    assert places.drawn.tolist() == [2]
    settings = MultiFeatureSettings(feature=0, patient=0, phase=0, position=0, side=12)
    term = multi_feature(view, places, np.ones((15, 2)), pixels, settings)
    inside = pixels[:, 0, 2:4, 5:7].astype(float) / 255
    expected = np.sqrt(np.square(inside - inside[2]).mean((1, 2)))
    found = term.columns(np.array([2]))[:, 0]
    assert_allclose(found / found.max(), expected / expected.max(), atol=5e-3)


def test_what_is_not_drawn_yet_counts_with_all_its_pixels(tmp_path):
    drawn = {"v00": label_of((5, SIDE, SIDE), np.s_[2, 4:8, 10:14])}
    settings = MultiFeatureSettings(side=12)
    columns = []
    for label in (drawn, {}):
        view, places, pixels = worlds(tmp_path, drawn=label)
        term = multi_feature(view, places, np.arange(30.0).reshape(15, 2), pixels, settings)
        columns.append(term.columns(np.arange(15)))
    changed = np.abs(columns[0] - columns[1]).max(0) > 1e-4
    assert np.flatnonzero(changed).tolist() == [2]


def test_patient_phase_and_position_raise_the_distance(tmp_path):
    view = view_of_volumes([("p", 0), ("p", 0), ("q", 0)], phases=["ED", "ES", "ED"])
    places = places_of(view)
    pixels = np.zeros((15, 1, 8, 8), np.uint8)
    settings = MultiFeatureSettings(feature=0, pixel=0, phase=0.5, side=8)
    to_first = multi_feature(view, places, np.ones((15, 2)), pixels, settings).columns(np.array([0]))[:, 0]
    assert to_first[0] == 0 < to_first[5] < to_first[10] + to_first[5]
    assert (np.diff(to_first[:5]) > 0).all()
    assert_allclose(to_first[5:10] - to_first[:5], to_first[5], rtol=1e-5)


def test_places_of_slices_volumes_and_flat_images(tmp_path):
    looks = [("p", 0), ("q", 1)]
    slices, volumes = (places_of(view_of_volumes(looks, unit=unit)) for unit in ("slice", "image"))
    assert len(slices.units) == 10
    assert [s.stop - s.start for s in volumes.rows] == [24, 24]  # across the axis a person pages through
    assert_allclose(slices.positions[:5], [0, 0.25, 0.5, 0.75, 1])
    assert_array_equal(slices.groups, [0] * 5 + [1] * 5)
    assert_allclose(volumes.means(np.arange(48.0)[:, None])[:, 0], [11.5, 35.5])
