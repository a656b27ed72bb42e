import numpy as np
import pytest
from pool_worlds import Picture, view_of_points

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.strategies.features import Described, features
from frugalseg.strategies.thumbnails import histograms, pixels, thumbnails

SHAPE = (4, 12, 10)


def volumes(n=3, unit="slice", axis=0, **more):
    rng = np.random.default_rng(0)
    arrays = [rng.random(SHAPE).astype(np.float32) for _ in range(n)]
    cases = tuple(Case(f"v{i}", f"v{i}", Geometry.plain(SHAPE), Picture(a)) for i, a in enumerate(arrays))
    return PoolView(cases, {}.get, unit, axis, **more), arrays


def test_features_are_the_mean_over_each_unit():
    maps = {f"v{i}": np.random.default_rng(i).random((5, *SHAPE)).astype(np.float32) for i in range(3)}
    for unit, axis in (("slice", 1), ("planes", 0), ("image", 0)):
        view, _ = volumes(unit=unit, axis=axis, features=maps.__getitem__)
        rows = features(view, view.units())
        means = [m.mean((1, 3)).T if unit == "slice" else m.mean((1, 2, 3))[None] for m in maps.values()]
        np.testing.assert_allclose(rows, np.concatenate(means), atol=1e-6)


def test_each_case_is_asked_once_also_for_what_was_drawn():
    asked = []

    def one(case):
        asked.append(case)
        return np.zeros((2, *SHAPE))

    view, _ = volumes(features=one, bought=frozenset([Unit("v1", "slice", 0, (2,))]))
    described = Described.of(view, features)
    assert asked == ["v0", "v1", "v2"]
    assert described.labelled.tolist() == [6]
    assert described.features.shape == (12, 2)
    assert Unit("v1", "slice", 0, (2,)) not in described.named(described.free)


def test_what_was_bought_with_strokes_is_not_offered_again():
    bought = frozenset([Unit("v0", "slice", 0, (1,)), Unit("v2", "slice", 0, (3,))])
    view, _ = volumes(bought=bought)
    assert len(view.units()) == 10
    assert not bought & set(view.units())
    assert {unit for unit, is_free in view.all_units() if not is_free} == bought
    assert len(view_of_points(np.zeros((5, 1)), bought=[1, 2]).units()) == 3


@pytest.mark.parametrize(("unit", "n", "d"), [("slice", 12, 1024 + 20), ("image", 3, 4096 + 20), ("planes", 3, 4116)])
def test_before_the_first_model_units_are_thumbnails(unit, n, d):
    view, _ = volumes(unit=unit)
    rows = features(view, view.units())
    assert rows.shape == (n, d)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, thumbnails(view, view.units()))


def test_a_thumbnail_is_the_mean_over_areas():
    big = np.kron(np.random.default_rng(1).random((64, 64)), np.ones((3, 3))).astype(np.float32)
    view = view_of_points([[0]], pictures=[big])
    low, high = np.percentile(big, [0.5, 99.5])
    expected = np.clip((big[::3, ::3] - low) / (high - low), 0, 1)
    np.testing.assert_allclose(pixels(view, view.units())[0] * 64, expected.ravel(), atol=1e-5)


def test_thumbnails_do_not_see_the_scale_of_a_scanner():
    one = np.random.default_rng(2).random((20, 30)).astype(np.float32)
    view = view_of_points([[0], [0], [0]], pictures=[one, one * 700 - 50, 1 - one])
    rows = thumbnails(view, view.units())
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-4)
    assert np.linalg.norm(rows[0] - rows[2]) > 0.1


def test_histograms_have_the_range_of_the_case():
    view, arrays = volumes(n=1)
    arrays[0][0] = 0
    rows = histograms(view, view.units())
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-6)
    assert rows[0].tolist() == [1] + [0] * 19
    assert rows[1].max() < 0.3


def test_a_constant_picture_has_a_thumbnail():
    view = view_of_points([[0]], pictures=[np.full((7, 5), 3, np.int16)])
    assert np.isfinite(thumbnails(view, view.units())).all()


def test_colours_count_with_their_mean():
    grey = np.random.default_rng(3).random((8, 9, 1))
    case = Case("c", "c", Geometry.plain((8, 9)), type("P", (), {"read": lambda self: _image(np.repeat(grey, 3, 2))})())
    colour = PoolView((case,), {}.get, "image")
    plain = view_of_points([[0]], pictures=[grey[..., 0]])
    np.testing.assert_allclose(pixels(colour, colour.units()), pixels(plain, plain.units()), atol=1e-6)


def _image(array):
    from frugalseg.data.image import Image

    return Image(array, Geometry.plain(array.shape[:2]))
