"""Embeddings computed ahead: which pictures of a pool, in which batches."""

import numpy as np
import pytest
from fakes import CountingGeneralist

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.pool import Pool
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError, SettingsError
from frugalseg.generalists.ahead import embed_ahead, pictures_of, view_of, views_of
from frugalseg.generalists.cache import Cached, EmbeddingCache
from frugalseg.generalists.generalist import View
from frugalseg.generalists.predictor import Predictor


class Source:
    """An image in memory that counts how often it is read."""

    def __init__(self, image):
        self.image = image
        self.n_read = 0

    def read(self):
        self.n_read += 1
        return self.image

    def fingerprint(self):
        return "0" * 16


def case(name, shape, spacing, *, channels=()):
    values = np.arange(np.prod([*shape, *channels]), dtype=np.int16).reshape(*shape, *channels)
    geometry = Geometry.plain(shape, spacing)
    return Case(name, name, geometry, Source(Image(values, geometry)))


@pytest.fixture
def pool():
    """A picture and a volume whose middle axis is the coarsest."""
    return Pool([case("photo", (9, 7), (1.0, 2.0)), case("scan", (4, 3, 5), (1.0, 5.0, 2.0))], ("background", "thing"))


def slices(axis, *indices):
    return tuple(Unit("scan", "slice", axis, (k,)) for k in indices)


@pytest.mark.parametrize(
    ("unit", "pictures"),
    [
        (Unit("photo"), (Unit("photo"),)),
        (Unit("photo", "patch", index=(0, 0, 4, 4)), (Unit("photo"),)),
        (Unit("scan", "slice", 2, (4,)), slices(2, 4)),
        (Unit("scan", "planes", index=(3, 0, 2)), (*slices(0, 3), *slices(1, 0), *slices(2, 2))),
        (Unit("scan"), slices(1, 0, 1, 2)),
        (Unit("scan", "patch", index=(0, 1, 0, 4, 3, 5)), slices(1, 1, 2)),
    ],
    ids=str,
)
def test_a_unit_has_the_pictures_that_a_person_goes_through(pool, unit, pictures):
    assert pictures_of(pool, [unit]) == pictures


def test_an_axis_cuts_whole_volumes_and_leaves_slices_as_they_are(pool):
    assert pictures_of(pool, [Unit("scan")], axis=0) == slices(0, 0, 1, 2, 3)
    assert pictures_of(pool, [Unit("scan", "slice", 2, (1,)), Unit("photo")], axis=0) == (Unit("photo"), *slices(2, 1))


def test_a_picture_that_several_units_show_comes_once(pool):
    units = [Unit("scan"), Unit("scan", "slice", 1, (2,)), Unit("photo"), Unit("photo")]
    assert pictures_of(pool, units) == (Unit("photo"), *slices(1, 0, 1, 2))


def test_planes_that_nobody_has_placed_are_refused(pool):
    with pytest.raises(DataError, match="nobody has placed"):
        pictures_of(pool, [Unit("scan", "planes")])
    with pytest.raises(DataError, match="lies outside"):
        pictures_of(pool, [Unit("scan", "slice", 0, (4,))])


@pytest.mark.parametrize(("axis", "spacing"), [(0, (5.0, 2.0)), (1, (1.0, 2.0)), (2, (1.0, 5.0))])
def test_a_slice_is_seen_with_its_own_two_spacings(pool, axis, spacing):
    image = pool["scan"].image()
    view = view_of(image, Unit("scan", "slice", axis, (1,)))
    assert view.spacing == spacing
    assert np.array_equal(view.array, np.moveaxis(image.array, axis, 0)[1])
    assert view.array.dtype == np.int16


def test_colours_stay_with_their_slice():
    image = case("scan", (4, 3, 5), (1.0, 1.0, 1.0), channels=(3,)).image()
    assert view_of(image, Unit("scan", "slice", 2, (1,))).array.shape == (4, 3, 3)


def test_an_image_is_read_once_for_all_of_its_slices(pool):
    pictures = pictures_of(pool, [Unit("scan"), Unit("photo")])
    assert len(list(views_of(pool, pictures))) == len(pictures) == 4
    assert [c.source.n_read for c in pool.cases] == [1, 1]


def ahead(folder, *, limit_gb=1.0):
    return Cached(CountingGeneralist(), EmbeddingCache(folder, limit_gb=limit_gb))


def noise(n, side):
    return [View(np.random.default_rng(k).random((side, side), dtype=np.float32)) for k in range(n)]


def test_what_was_embedded_ahead_costs_the_encoder_nothing_later(pool, tmp_path):
    cached = ahead(tmp_path)
    progress = list(embed_ahead(cached, views_of(pool, pictures_of(pool, [Unit("scan"), Unit("photo")]))))
    assert (progress[-1].done, progress[-1].encoded) == (4, 4)
    n_calls = len(cached.generalist.seen)
    photo, scan = (c.image() for c in pool.cases)
    Predictor(cached, zoom="off").set_image(photo.array, spacing=(1.0, 2.0)).predict([(1, 1)])
    Predictor(cached, zoom="off").set_image(scan.array[:, 2], spacing=(1.0, 2.0)).predict([(1, 1)])
    assert len(cached.generalist.seen) == n_calls


@pytest.mark.parametrize(("side", "batches"), [(8, [16, 4]), (64, [16, 4]), (128, [4, 4, 4, 4, 4]), (300, [1] * 20)])
def test_small_pictures_go_through_the_encoder_together(tmp_path, side, batches):
    cached = ahead(tmp_path)
    done = [progress.done for progress in embed_ahead(cached, noise(20, side))]
    assert cached.generalist.seen == batches
    assert done == np.cumsum(batches).tolist()


def test_each_batch_is_kept_before_the_next_is_read(tmp_path):
    cached = ahead(tmp_path)

    def views():
        yield from noise(3, 256)
        raise DataError("a file that cannot be read")

    with pytest.raises(DataError, match="cannot be read"):
        list(embed_ahead(cached, views()))
    progress = list(embed_ahead(cached, noise(4, 256)))
    assert [p.encoded for p in progress] == [0, 0, 1, 2]


def test_nothing_to_embed_is_nothing_done(tmp_path):
    assert list(embed_ahead(ahead(tmp_path), [])) == []


def test_more_than_the_cache_may_hold_is_said_at_once(tmp_path):
    cached = ahead(tmp_path, limit_gb=2e-5)
    with pytest.raises(SettingsError, match=r"embeddings are more than fit into the limit of 2e-05 GB"):
        list(embed_ahead(cached, noise(20, 256)))
    assert len(cached.generalist.seen) < 10


def test_older_embeddings_make_room_before_anything_is_said(tmp_path):
    cached = ahead(tmp_path, limit_gb=2e-5)
    for start in (0, 4, 8):
        assert list(embed_ahead(cached, noise(12, 256)[start : start + 3]))[-1].encoded == 3
