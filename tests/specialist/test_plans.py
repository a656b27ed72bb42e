import numpy as np
import pytest
from specialist_world import image_of, pool_of, tiny_plan

from frugalseg.errors import DataError, SettingsError
from frugalseg.settings import parse
from frugalseg.specialist.plan import PATCH_VOXELS, Plan, build_network, make_plan, read_plan


def plan_for(shape, spacing=None, **choices):
    return make_plan(pool_of([image_of(shape, spacing=spacing)] * 3), **choices)


def test_small_isotropic_volumes_get_a_patch_that_covers_the_median_image():
    plan = make_plan(pool_of([image_of(s) for s in [(31, 40, 24), (35, 50, 36), (43, 59, 45)]]))
    assert (plan.ndim, plan.axis, plan.patch, plan.spacing) == (3, None, (40, 56, 40), (1.0, 1.0, 1.0))


def test_large_volumes_get_a_patch_within_the_budget_and_about_cubic_in_mm():
    plan = plan_for((60, 50, 120), (1.0, 1.0, 0.5))
    mm = np.multiply(plan.patch, plan.spacing)
    assert 0.7 * PATCH_VOXELS < np.prod(plan.patch) <= PATCH_VOXELS
    assert mm.max() <= 1.3 * mm.min()


@pytest.mark.parametrize(
    ("shape", "spacing", "axis"),
    [((80, 64, 9), (1.0, 1.0, 1.0), 2), ((30, 64, 64), (5.0, 1.0, 1.0), 0), ((40, 50, 60), (1.0, 3.0, 1.0), 1)],
)
def test_thick_or_few_slices_get_a_2d_plan_across_them(shape, spacing, axis):
    plan = plan_for(shape, spacing)
    assert (plan.ndim, plan.axis, len(plan.patch), len(plan.spacing)) == (2, axis, 2, 2)


def test_a_small_cube_stays_3d():
    assert plan_for((16, 16, 16)).ndim == 3


def test_the_caller_may_decide_otherwise():
    assert plan_for((64, 64, 9), ndim=3).ndim == 3
    assert plan_for((40, 40, 40), axis=1).axis == 1
    assert plan_for((40, 30, 40), ndim=2).axis == 1
    assert plan_for((40, 40, 40), patch=(24, 24, 24), network="vnet", dropout=0.1).patch == (24, 24, 24)


def test_images_get_a_2d_plan_with_their_channels():
    plan = make_plan(pool_of([image_of((70, 90), channels=3)]))
    assert (plan.ndim, plan.axis, plan.channels, plan.patch) == (2, None, 3, (72, 96))


def test_at_most_sixteen_images_are_read():
    pool = pool_of([image_of((20, 20))] * 40)
    make_plan(pool)
    assert sum(len(c.source.reads) for c in pool.cases) == 16


def test_mixed_pools_are_refused_with_the_names():
    with pytest.raises(DataError, match="case001 is 2D and case000 is 3D"):
        make_plan(pool_of([image_of((20, 20, 20)), image_of((20, 20))]))
    with pytest.raises(DataError, match="case000 has 1 channels and case001 has 3"):
        make_plan(pool_of([image_of((20, 20)), image_of((20, 20), channels=3)]))
    with pytest.raises(DataError, match="need volumes"):
        plan_for((20, 20), ndim=3)


def test_unknown_network_names_the_nearest():
    with pytest.raises(SettingsError, match=r"unknown network 'unet-smal' \(did you mean 'unet-small'\?\)"):
        plan_for((20, 20), network="unet-smal")


def test_a_plan_survives_its_yaml_and_explains_every_line(tmp_path):
    plan, file = plan_for((64, 64, 9), (1.4, 1.4, 8.0)), tmp_path / "plan.yaml"
    file.write_text(plan.to_yaml())
    assert read_plan(file) == plan
    assert all("  # " in line for line in plan.to_yaml().splitlines())


def test_an_edited_plan_is_followed(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text("ndim: 2\nclasses: [bg, cell]\npatch: [64, 64]\nnetwork: unet-tiny\nwidths: [4, 8]\n")
    plan = read_plan(file).completed()
    assert (plan.widths, plan.strides, plan.kernels) == ((4, 8), ((2, 2), (2, 2)), ((3, 3), (3, 3)))
    assert build_network(plan, seed=0).head.out_channels == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": (8, 8)}, "patch must hold 3 positive numbers, because ndim is 3"),
        ({"patch": (8, 0, 8)}, "patch must hold 3 positive"),
        ({"spacing": (1.0,)}, "spacing must hold 3"),
        ({"axis": 0}, "axis is for 2D plans"),
        ({"strides": [[2, 2, 2]]}, "one entry for each level"),
        ({"widths": (8,), "strides": [[2, 2, 2]], "kernels": [[2, 3, 3]]}, "kernels must be odd"),
        ({"classes": ("background",)}, "classes"),
        ({"network": "resnet"}, "unknown network 'resnet'"),
        ({"pach": 3}, r"unknown key 'pach' \(did you mean 'patch'\?\)"),
    ],
)
def test_a_wrong_plan_says_where_and_what(change, message):
    data = {"ndim": 3, "classes": ("background", "object"), "patch": (16, 16, 16), **change}
    with pytest.raises(SettingsError, match=rf"plan\.yaml: .*{message}"):
        parse(Plan, data, where="plan.yaml")


def test_a_completed_plan_does_not_change_again():
    plan = tiny_plan().completed()
    assert plan.completed() == plan
    assert plan.dropout == 0.0


def test_steps_must_leave_no_gap_between_patches():
    assert tiny_plan(step=(16, 8, 1)).step == (16, 8, 1)
    with pytest.raises(SettingsError, match=r"steps of \(17, 8, 8\) leave gaps"):
        parse(Plan, {**tiny_plan().model_dump(), "step": (17, 8, 8)}, where="plan")
    with pytest.raises(SettingsError, match="step must hold 3 positive numbers"):
        parse(Plan, {**tiny_plan().model_dump(), "step": (8, 8)}, where="plan")
