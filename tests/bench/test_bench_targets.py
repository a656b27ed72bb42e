from collections import Counter

import numpy as np
import pytest
from object_worlds import discs, pool_of

from frugalseg.bench.targets import WHOLE, Sample, pictures_of, sample_targets
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.errors import DataError

CLASSES = ("background", "disc", "ring")


def sample(**changes):
    return Sample(**{"axis": 0, "per_class": 50, "per_case": 50, "min_pixels": 1, "rater": None, **changes})


def cells(n_cases=6):
    """Instances: four discs of growing size in each image."""
    ids = discs((8, 8, 2), (8, 24, 4), (28, 10, 6), (28, 34, 8))
    return pool_of({f"c{k}": InstanceLabel(ids) for k in range(n_cases)})


def organs():
    """Classes in volumes: two discs in slices 2 to 5, a ring in slice 4."""
    labels = {}
    for name in ("v0", "v1", "v2"):
        array = np.zeros((8, 40, 48), np.uint8)
        array[2:6] = discs((10, 10, 4), (28, 12, 4)) > 0
        array[4][(discs((20, 36, 8)) > 0) & ~(discs((20, 36, 4)) > 0)] = 2
        labels[name] = SemanticLabel(array, CLASSES)
    return pool_of(labels, CLASSES)


def test_instances_of_images_are_targets():
    targets = sample_targets(cells(2), sample(), seed=0)
    assert [(t.case, t.index, t.number, t.value) for t in targets[:4]] == [("c0", WHOLE, n, 1) for n in (1, 2, 3, 4)]
    assert len(targets) == 8


def test_pieces_of_classes_in_slices_are_targets():
    targets = sample_targets(organs(), sample(), seed=0)
    assert {t.index for t in targets if t.value == 1} == {2, 3, 4, 5}
    assert {(t.case, t.index) for t in targets if t.value == 2} == {(f"v{k}", 4) for k in range(3)}
    assert {t.number for t in targets if t.value == 1} <= {1, 2}


def test_each_class_has_its_number_spread_over_the_cases():
    targets = sample_targets(organs(), sample(per_class=2, per_case=1), seed=0)
    assert Counter(t.value for t in targets) == {1: 2, 2: 2}
    assert max(Counter((t.case, t.value) for t in targets).values()) == 1


def test_objects_of_a_volume_lie_in_as_many_slices():
    targets = sample_targets(organs(), sample(per_case=3), seed=0)
    assert max(Counter((t.case, t.index, t.value) for t in targets).values()) == 1


def test_small_objects_are_left_out():
    targets = sample_targets(cells(1), sample(min_pixels=40), seed=0)
    assert [t.number for t in targets] == [2, 3, 4]


def test_the_seed_decides_and_nothing_else():
    few = sample(per_class=5, per_case=2)
    once, again, other = (sample_targets(cells(), few, seed=seed) for seed in (0, 0, 1))
    assert once == again != other


def test_pictures_show_each_target_once_with_its_own_mask():
    pool = organs()
    targets = sample_targets(pool, sample(), seed=0)
    pictures = list(pictures_of(pool, targets, sample()))
    assert sorted(t for picture in pictures for t, _ in picture.masks) == list(targets)
    for picture in pictures:
        assert picture.image.array.shape == (40, 48)
        assert all((picture.image.array[mask] == 10 * target.value).all() for target, mask in picture.masks)


def test_slices_lie_across_the_axis_that_was_asked_for():
    pool = organs()
    targets = sample_targets(pool, sample(axis=2), seed=0)
    assert next(pictures_of(pool, targets, sample(axis=2))).image.array.shape == (8, 40)


def test_what_nobody_looked_at_is_no_object_and_not_known():
    ids = discs((8, 8, 4))
    ids[20:] = -1
    pool = pool_of({"c": InstanceLabel(ids)})
    (target,) = sample_targets(pool, sample(), seed=0)
    (picture,) = pictures_of(pool, [target], sample())
    assert not picture.known[20:].any()
    assert picture.known[:20].all()


def test_no_object_at_all_is_explained():
    with pytest.raises(DataError, match=r"an object of 10000 pixels or more; give labels, or lower min_pixels"):
        sample_targets(cells(1), sample(min_pixels=10000), seed=0)
