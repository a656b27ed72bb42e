import pickle

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu

from frugalseg.data.label import InstanceLabel
from frugalseg.data.phantoms import PHANTOMS, phantom_pool
from frugalseg.errors import SettingsError
from frugalseg.metrics.overlap import dice


def first(kind, index=0, **options):
    pool = phantom_pool(kind, n=index + 1, **options)
    case = pool.cases[index]
    return case.image().array, pool.truth.read(case.id, pool.truth.raters(case.id)[0]).array


def best_window(image, mask):
    """The largest Dice of any range of intensities."""
    edges = np.linspace(0, 256, 18)
    return max(dice((image >= a) & (image < b), mask) for i, a in enumerate(edges) for b in edges[i + 1 :])


@pytest.mark.parametrize("kind", PHANTOMS)
class TestContract:
    def test_same_seed_same_bytes_other_index_other_image(self, kind):
        (image, label), (again, label_again) = first(kind), first(kind)
        assert np.array_equal(image, again)
        assert np.array_equal(label, label_again)
        assert not np.array_equal(image, first(kind, index=1)[0])
        assert not np.array_equal(image, first(kind, seed=1)[0])

    def test_sources_are_small_and_travel_to_other_processes(self, kind):
        case = phantom_pool(kind, n=1).cases[0]
        data = pickle.dumps(case)
        assert len(data) < 2000
        assert np.array_equal(pickle.loads(data).image().array, case.image().array)

    def test_label_and_image_have_the_shape_asked_for(self, kind):
        shape = (64, 80) if len(PHANTOMS[kind].shape) == 2 else (32, 40, 24)
        image, label = first(kind, shape=shape)
        assert image.shape == label.shape == shape

    def test_fingerprints_differ_between_cases(self, kind):
        prints = [case.source.fingerprint() for case in phantom_pool(kind, n=5).cases]
        assert len(set(prints)) == 5


def test_no_threshold_finds_an_organ():
    for index in range(4):
        image, label = first("anatomy", index=index)
        assert dice(image > threshold_otsu(image), label > 0) < 0.5
        for value in (1, 2, 3):
            assert (label == value).sum() > 50
            assert best_window(image, label == value) < 0.65


def test_brightness_does_not_tell_chambers_from_vessels_but_shows_where_they_end():
    for index in range(4):
        image, label = first("chambers", index=index)
        for value in (1, 2):
            chamber = label == value
            assert chamber.sum() > 300
            assert best_window(image, chamber) < 0.65
            rim = ndimage.binary_dilation(chamber, iterations=3) & ~ndimage.binary_dilation(chamber, iterations=2)
            rim &= label == 0
            assert np.median(image[chamber]) > np.percentile(image[rim], 75)
    means = [first("chambers", index=k) for k in range(8)]
    contrasts = [np.median(image[label > 0]) - np.median(image[label == 0]) for image, label in means]
    assert max(contrasts) > 1.5 * min(contrasts)  # scans differ


def test_otsu_does_not_find_bubbles():
    scores = []
    for index in range(6):
        image, ids = first("bubbles", index=index)
        mask = image > threshold_otsu(image)
        scores.append(max(dice(mask, ids > 0), dice(~mask, ids > 0)))
    assert np.mean(scores) < 0.6


def test_bubbles_overlap_and_have_ids_without_gaps():
    _, ids = first("bubbles")
    assert ids.dtype == np.int32
    assert np.array_equal(np.unique(ids), np.arange(ids.max() + 1))
    assert ids.max() > 10


def test_brightness_does_not_give_the_class_of_a_shape():
    image, classes = first("shapes", shape=(320, 320))
    assert max(best_window(image, classes == value) for value in (1, 2, 3)) < 0.6


def test_shapes_have_the_same_image_with_classes_and_with_ids():
    (image, classes), (same, ids) = first("shapes"), first("shapes-instances")
    assert image.shape == same.shape
    assert isinstance(phantom_pool("shapes-instances", n=1).truth.read("shapes-instances-0000"), InstanceLabel)
    assert classes.dtype == np.uint8
    assert ids.dtype == np.int32


def test_raters_keep_their_styles_in_every_case():
    pool = phantom_pool("raters", n=12)
    for case in pool.cases:
        masks = {r: pool.truth.semantic(case.id, r).array > 0 for r in pool.truth.raters(case.id)}
        assert masks["tight"].sum() < masks["smooth"].sum() < masks["generous"].sum()
        assert (masks["tight"] <= masks["generous"]).all()
        rows, columns = ([np.argwhere(masks[r])[:, d].mean() for r in ("tight", "shifted")] for d in (0, 1))
        assert rows[1] > rows[0]
        assert columns[1] > columns[0]


def test_volumes_lie_in_the_world():
    geometry = phantom_pool("anatomy", n=1).cases[0].geometry
    assert geometry.spacing == (1.0, 1.0, 1.5)
    assert np.allclose(geometry.matrix @ [*(np.array(geometry.shape) - 1) / 2, 1], [0, 0, 0, 1])


def test_wrong_requests_are_explained():
    with pytest.raises(SettingsError, match="did you mean 'anatomy'"):
        phantom_pool("anatomie", n=1)
    with pytest.raises(SettingsError, match="has 3 axes of at least 16"):
        phantom_pool("anatomy", n=1, shape=(64, 64))
