"""A plan's side, and strokes whose outside is background."""

import numpy as np
import pytest
from specialist_world import CLASSES, image_of, pool_of, tiny_plan

from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.errors import SettingsError
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import Plan, build_network
from frugalseg.specialist.prepare import PreparedCases, prepare_image


@pytest.mark.parametrize(
    ("shape", "axis", "expected"),
    [
        ((40, 20), None, (32, 16)),
        ((10, 20), None, (16, 32)),
        ((30, 60, 7), 2, (16, 32, 7)),
        ((9, 64, 48), 0, (9, 32, 24)),
    ],
)
def test_the_longer_side_of_a_slice_becomes_the_plans(shape, axis, expected):
    plan = tiny_plan(2, axis=axis, side=32)
    assert prepare_image(image_of(shape, spacing=(3.0,) * len(shape)), plan).shape[1:] == expected


def test_a_prediction_has_the_images_own_shape():
    plan = tiny_plan(2, axis=2, side=32)
    image = image_of((40, 50, 3))
    assert Model(plan, build_network(plan, seed=0)).predict(image).label.array.shape == (40, 50, 3)


def test_side_and_spacing_exclude_each_other():
    with pytest.raises(ValueError, match="to a side or to a spacing, not to both"):
        tiny_plan(2, side=32, spacing=(1.0, 1.0))


def test_plans_of_other_sides_do_not_share_files(tmp_path):
    pool = pool_of([image_of((20, 30))])
    shapes = [PreparedCases(pool, tiny_plan(2, side=s), tmp_path).image("case000").shape for s in (30, 60, 30)]
    assert shapes == [(1, 20, 30), (1, 40, 60), (1, 20, 30)]


def strokes() -> SemanticLabel:
    array = np.full((20, 24, 2), UNKNOWN, np.uint8)
    array[[5, 5, 15, 15], [6, 18, 6, 18], 1] = 0
    array[10, 12, 1] = 1
    return SemanticLabel(array, CLASSES)


def test_outside_of_the_strokes_is_background_when_asked_for(tmp_path):
    pool = pool_of([image_of((20, 24, 2))])
    pool.labels.put("case000", "me", strokes())
    plain, told = (
        PreparedCases(pool, tiny_plan(2, axis=2), tmp_path, enclosed=e).label("case000") for e in (False, True)
    )
    assert np.array_equal(plain, strokes().array)
    assert (told[..., 0] == UNKNOWN).all()
    assert (told[:5, :, 1] == 0).all()
    assert (told[5:16, 6:19, 1] != UNKNOWN).sum() == 5
    assert np.array_equal(told[plain != UNKNOWN], plain[plain != UNKNOWN])


def test_a_3d_plan_has_no_slices_to_look_at(tmp_path):
    with pytest.raises(SettingsError, match="'enclosed' looks at slices, but the plan is a 3D one"):
        PreparedCases(pool_of([image_of((9, 9, 9))]), tiny_plan(3), tmp_path, enclosed=True)


def test_a_plan_of_before_sides_is_read_as_it_was():
    old = {k: v for k, v in tiny_plan(2).model_dump().items() if k != "side"}
    assert Plan.model_validate(old) == tiny_plan(2)
