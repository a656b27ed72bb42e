"""The bench of GM-ABS on tiny phantoms with a stand-in for the generalist, end to end."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from choosing_worlds import choose_units
from frugalseg.bench.gmabs import ARMS, GMABS, GmAbsBenchSettings, campaign_of, weights
from frugalseg.bench.labels import (
    ClassQuality,
    LabelQuality,
    classes_below_teacher,
    label_metrics,
    label_panel,
    label_qualities,
)
from frugalseg.bench.outcome import write_outcome
from frugalseg.bench.run import BenchRun, Wanted
from frugalseg.campaign.settings import read_campaign
from frugalseg.data.geometry import Geometry
from frugalseg.data.spec import open_data, parse_data_spec
from frugalseg.errors import SettingsError
from frugalseg.learn.hardware import Hardware
from frugalseg.methods.gmabs import GmAbsSettings
from frugalseg.prompt.pseudo_labels import PUBLISHED
from frugalseg.report.results import read_results
from frugalseg.settings import parse
from frugalseg.strategies.viewing import view_of
from frugalseg.training import GENERALIST_LABELS
from view_worlds import BrightInBox

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = "phantom=anatomy,n=9,shape=16x16x16"
TINY = {
    "labeled_num": 2,
    "budget": 2,
    "topk": 1,
    "test": 3,
    "planes": "orthogonal",
    "train": {"labelled": 1, "unlabelled": 1, "fit": {"steps": 10, "tensorboard": False}},
    "plan": {"network": "unet-tiny", "patch": [16, 16, 16]},
}
RUN = ("sparse-only", "full", "full+active", "dense")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Four arms, stopped once in the middle."""
    out = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("frugalseg.generalists.registry.build_generalist", lambda name, **_: BrightInBox())
        list(islice(opened(out).run(), 15))
        bench = opened(out)
        for _ in bench.run():
            pass
    return bench


def opened(out, **changes):
    wanted = Wanted(preset="smoke", data=DATA, only=RUN, seeds=1)
    return BenchRun.open(
        GMABS, out, wanted=wanted, changes={**TINY, **changes}, hardware=Hardware(device="cpu", threads=1)
    )


def test_every_arm_but_the_bound_ends_with_the_same_number_of_planes(finished):
    found = write_outcome(finished, command="frugalseg bench gmabs")
    planes = {arm: measured["planes"].mean for arm, measured in found.arms.items()}
    assert planes["sparse-only"] == planes["full"] == planes["full+active"] == 4 * 3
    assert planes["dense"] > 12
    assert read_results(finished.trials.out / "results.json") == found


def test_arms_with_a_generalist_say_what_its_labels_were_worth(finished):
    for arm in RUN:
        metrics = finished.measured(arm, 0).metrics
        keys = {"dice_labels", "dice_denoised", "dice_teacher", "trust", "harmful", "below_teacher"}
        assert ("dice_generalist" in metrics) == (arm == "full")
        assert keys <= set(metrics) if arm.startswith("full") else not keys & set(metrics)


def test_arms_with_a_generalist_show_what_it_was_asked_and_said(finished):
    titles = {arm: [panel.title for panel in finished.measured(arm, 0).pictures] for arm in RUN}
    for arm in RUN:
        assert any(t.startswith(f"{arm} labels of anatomy-") for t in titles[arm]) == arm.startswith("full")


def test_the_active_arm_goes_on_with_one_training(finished):
    job = finished.trials.folder("full+active", 0) / "workspace" / "runs"
    assert len(sorted(job.glob("*/last.ckpt"))) == 3


def pool_of(shape):
    pool = open_data(parse_data_spec(DATA), labels_are="truth")
    for case in pool.cases:
        object.__setattr__(case, "geometry", Geometry.plain(shape))
    return pool


def settings(**changes):
    return parse(GmAbsBenchSettings, {**TINY, **changes}, where="test")


def test_stacks_of_thick_slices_get_parallel_planes_and_volumes_orthogonal_ones():
    stack, volume = (
        campaign_of("full", 0, pool=pool_of(shape), data=DATA, settings=settings(plan={}, planes="auto"))
        for shape in ((90, 80, 8), (40, 40, 40))
    )
    assert (stack.start.placement, stack.start.axis, stack.plan["ndim"]) == ("parallel-thirds", 2, 2)
    assert (volume.start.placement, volume.plan) == ("centre", {})


def test_published_names_reach_the_method_and_the_rounds():
    found = campaign_of(
        "full+active",
        0,
        pool=pool_of((40, 40, 40)),
        data=DATA,
        settings=settings(labeled_num=4, budget=16, topk=2, active_type="uncertainty", label_strategy="majority"),
    ).arm("full+active")
    assert (found.start.units, found.rounds, found.then.units, found.then.strategy) == (4, 8, 2, "uncertainty")
    assert found.train.options["labels"]["fusion"]["label_strategy"] == "majority"


@pytest.mark.parametrize("arm", ["+generalist", "+overlap", "full"])
def test_an_arm_that_changes_the_labels_keeps_what_was_said_of_them(arm):
    given = settings(label_strategy="majority", add_point=1, train={"options": {"labels": {"views": {"every": 2}}}})
    found = campaign_of(arm, 0, pool=pool_of((40,) * 3), data=DATA, settings=given).arm(arm)
    labels = parse(GmAbsSettings, found.train.options, where="test").labels
    assert (labels.fusion.label_strategy, labels.prompts.add_point, labels.views.every) == ("majority", 1, 2)
    assert labels.views.unconfirmed == ("silent" if arm == "+overlap" else "background")


def test_each_part_of_the_ablation_is_one_more_than_the_part_before():
    options = [ARMS[arm]["train.options"] for arm in ("+generalist", "+denoise", "unguarded", "full")]
    assert [o.get("denoise", True) for o in options] == [False, True, True, True]
    assert ["clip" not in o for o in options] == [False, False, True, True]
    assert ["guard" not in o for o in options] == [False, False, False, True]
    overlap, confirmed = (ARMS[arm]["train.options"] for arm in ("+overlap", "+confirmed"))
    assert overlap == {**confirmed, "labels": {"views": {"unconfirmed": "silent"}}}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"budget": 3}, "rounds of topk 2"),
        ({"active_type": "uncerper-dv"}, "uncerper_div"),
        ({"placement": "center"}, "centre"),
        ({"placement": "centre", "planes": "parallel"}, "placement means nothing for parallel planes"),
        ({"slices": "parallel"}, "slices means nothing for orthogonal planes"),
        ({"slices": "thirds", "planes": "parallel"}, "parallel-thirds"),
        ({"budget": 6}, "labeled_num 2 and budget 6 are more than the 6 scans"),
        ({"add_point": 2}, "was trained on boxes only"),
        ({"train": {"options": {"labels": {"views": {"axes": [5]}}}}}, "axis 0, 1 or 2"),
        ({"schedule": "paper"}, "in 10 steps the schedule 'paper' makes no labels"),
    ],
)
def test_what_would_fail_in_a_later_arm_is_refused_at_once(tmp_path, monkeypatch, changes, problem):
    monkeypatch.setattr("frugalseg.generalists.registry.build_generalist", lambda name, **_: BrightInBox())
    with pytest.raises(SettingsError, match=problem):
        opened(tmp_path, **{"topk": 2, **changes})
    assert not list(tmp_path.iterdir())


def test_planes_through_the_middle_of_the_true_object_are_the_oracles():
    found = campaign_of(
        "full+active", 0, pool=pool_of((40,) * 3), data=DATA, settings=settings(placement="truth-centre", budget=4)
    )
    assert found.oracle.planes == "truth-centre"
    assert (found.start.placement, found.then.placement) == ("centre", "centre")
    default = campaign_of("full", 0, pool=pool_of((40,) * 3), data=DATA, settings=settings())
    assert default.oracle.planes == "as-placed"


def test_the_numbers_of_a_class_that_is_not_asked_again_are_those_of_the_first_labels():
    def at(step, labels, trust):
        classes = [ClassQuality(n, x, x, 0.5, 1.0, t) for n, x, t in zip("ab", labels, trust, strict=True)]
        return LabelQuality(step, tuple(classes))

    found = label_metrics([at(10, (0.6, 0.3), (1, 0)), at(20, (0.8, 0.0), (1, 0))])
    assert (found["dice_labels_a"], found["dice_labels_b"]) == (0.8, 0.3)
    assert found["dice_labels"] == pytest.approx(0.55)
    assert found["trust"] == 0.5


def test_label_quality_is_that_of_a_loop_over_voxels(finished):
    workspace_folder = finished.trials.folder("full", 0) / "workspace"
    (folder,) = sorted(workspace_folder.glob(f"runs/*/{GENERALIST_LABELS}"))
    pool = open_data(parse_data_spec(DATA), labels_are="truth")
    case = sorted(p.name for p in (folder / "records").iterdir())[0]
    *_, last = label_qualities(folder, pool, [case])
    with np.load(sorted((folder / "records" / case).glob("*.npz"))[-1]) as z:
        said, predicted = z["said"], z["predicted"]
    truth, spoken = pool.truth.semantic(case).array, said != 255
    for value, quality in enumerate(last.classes, 1):
        for found, dice in ((said, quality.labels), (predicted, quality.teacher)):
            a, b = (found == value) & spoken, (truth == value) & spoken
            assert dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else 1.0)


def at(step, labels, *, teacher=0.7, trust=1.0):
    return LabelQuality(step, (ClassQuality("LV", labels, labels, teacher=teacher, covered=1.0, trust=trust),))


@pytest.mark.parametrize(
    ("trust", "teacher", "said"),
    [
        (1.0, 0.7, "harmful, below the teacher: LV (learnt from)"),
        (0.0, 0.7, "harmful, below the teacher: LV (not learnt from)"),
        (1.0, 0.5, "no class is harmful"),
        (0.0, 0.5, "no class is harmful"),
    ],
)
def test_labels_below_the_teacher_are_called_harmful_and_whether_they_taught(trust, teacher, said):
    qualities = [at(step, 0.6, teacher=teacher, trust=trust) for step in (10, 20)]
    assert label_panel(qualities, title="full").title == f"full, {said}"
    metrics = label_metrics(qualities)
    assert metrics["below_teacher"] == (teacher > 0.6)
    assert metrics["harmful"] == (teacher > 0.6 and trust > 0)


def test_labels_that_were_harmful_once_are_called_so():
    assert classes_below_teacher([at(10, 0.6), at(20, 0.8)]) == {"LV": True}
    assert classes_below_teacher([at(10, 0.8), at(20, 0.8)]) == {}
    assert classes_below_teacher([at(10, 0.6, trust=0.0), at(20, 0.6)]) == {"LV": True}


def test_a_class_that_is_not_asked_about_again_is_not_called_harmful_for_its_silence():
    assert classes_below_teacher([at(10, 0.8, trust=0.0), at(20, 0.0, trust=0.0)]) == {}


def test_the_arm_as_published_asks_and_learns_as_the_script_does():
    found = campaign_of("as-published", 0, pool=pool_of((90, 80, 8)), data=DATA, settings=settings(planes="auto"))
    options = parse(GmAbsSettings, found.arm("as-published").train.options, where="test")
    prompts = PUBLISHED.prompts.model_copy(update={"add_point": 0})  # the generalist knows boxes only
    assert options.labels == PUBLISHED.model_copy(update={"prompts": prompts})
    assert (options.dice, options.label_dice, options.guard, options.prototypes.expert_share) == (0, 0, None, 0)


def test_the_example_of_the_paper_has_the_published_options_of_the_bench():
    def options(arm):
        return read_campaign(EXAMPLES / "gmabs_la.yaml").arm(arm).train.options

    given = settings(schedule="paper")
    bench = campaign_of("as-published", 0, pool=pool_of((40,) * 3), data=DATA, settings=given).arm("as-published")
    found, expected = (parse(GmAbsSettings, o, where="test") for o in (options("as-published"), bench.train.options))
    assert found == expected
    teacher = campaign_of("mean-teacher", 0, pool=pool_of((40,) * 3), data=DATA, settings=given).arm("mean-teacher")
    assert options("mean-teacher") == teacher.train.options == {"ramp_steps": 6000}


def test_results_rest_on_the_weights_of_the_generalist_that_is_asked(monkeypatch):
    monkeypatch.setattr(
        "frugalseg.generalists.registry.build_generalist", lambda name, **_: BrightInBox(fingerprint=name)
    )
    given = settings(train={"options": {"generalist": "other"}})
    assert [weights(arm, given) for arm in ("full", "+gamma", "dense")] == ["other", None, None]
    assert weights("full", settings()) == "lite-medsam"


def test_slices_come_four_and_four_and_patches_two_and_two_unless_said_otherwise():
    def per_step(shape, **train):
        given = settings(plan={}, planes="auto", train=train)
        found = campaign_of("full", 0, pool=pool_of(shape), data=DATA, settings=given).train
        return found.labelled, found.unlabelled

    assert per_step((90, 80, 8)) == (4, 4)
    assert per_step((40, 40, 40)) == (2, 2)
    assert per_step((90, 80, 8), labelled=3) == (3, 4)


@pytest.mark.parametrize(("planes", "shape"), [("orthogonal", (16, 16, 16)), ("parallel", (90, 80, 8))])
def test_the_published_budget_is_exactly_sixty_planes(planes, shape):
    given = settings(labeled_num=4, budget=16, planes=planes)
    start = campaign_of("full", 0, pool=pool_of(shape), data=DATA, settings=given).start
    pool = open_data(parse_data_spec("phantom=anatomy,n=24,shape=16x16x16"), labels_are="truth")
    axis = 0 if start.axis is None else start.axis
    view = view_of(pool, [], unit=start.unit, axis=axis)
    units = choose_units(view, "random", start.units, placement=start.placement)
    assert sum(len(unit.regions((16, 16, 16))) for unit in units) == 60
