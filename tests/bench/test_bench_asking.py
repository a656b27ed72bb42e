import numpy as np
import pytest
from object_worlds import GreyGeneralist, discs, pool_of

from frugalseg.bench.asking import Asking, Reply, Timed
from frugalseg.bench.replies import Report, quality
from frugalseg.bench.targets import Sample, pictures_of, sample_targets
from frugalseg.data.label import InstanceLabel, SemanticLabel

SAMPLE = Sample(axis=0, per_class=50, per_case=50, min_pixels=1, rater=None)
IDS = discs((10, 10, 6), (12, 32, 8), (30, 14, 7))


def ask(generalist, ids=IDS, *, zoom="off", **changes):
    pool = pool_of({"c": InstanceLabel(ids)})
    (picture,) = pictures_of(pool, sample_targets(pool, SAMPLE, seed=0), SAMPLE)
    asking = Asking(**{"jitter": (0, 4), "users": ("centre",), "max_clicks": 6, "feedback": True, "seed": 0, **changes})
    return list(asking.ask(generalist, picture, zoom=zoom))


def test_a_perfect_answer_ends_a_session_at_once():
    for one in ask(GreyGeneralist()):
        assert one.box == Reply(1.0, 1.0)
        assert one.clicks == {"centre": (Reply(1.0, 1.0),)}


def test_each_click_is_put_where_something_is_missing_until_nothing_is():
    one = ask(GreyGeneralist(loss=3))[0]
    overlaps = [reply.iou for reply in one.clicks["centre"]]
    assert overlaps == sorted(overlaps)
    assert len(overlaps) == 4
    assert overlaps[-1] == 1.0
    assert one.box.iou < overlaps[-1]


def test_strokes_that_people_drew_are_asked_about_the_objects_they_touch():
    drawn = np.full(IDS.shape, 255, np.uint8)
    drawn[10, 8:13] = 1
    drawn[38] = 0
    pool = pool_of({"c": InstanceLabel(IDS)})
    pool.labels.put("c", "anna", SemanticLabel(drawn, pool.classes))
    (picture,) = pictures_of(pool, sample_targets(pool, SAMPLE, seed=0), SAMPLE)
    asking = Asking((0, 4), ("centre",), 1, feedback=True, seed=0)
    asked = list(asking.ask(generalist := GreyGeneralist(), picture, zoom="off"))
    assert [set(one.strokes) for one in asked] == [{"anna"}, set(), set()]
    assert asked[0].strokes["anna"].iou == 1.0
    said = [p for p in generalist.prompts if p.boxes is None][1]  # behind the one click of the user
    assert drawn[tuple(said.points[0, 0].astype(int))] == said.labels[0, 0] == 1
    assert Report({1: "object"}, 1).metrics(asked)["iou_strokes"] == 1.0


def test_users_stop_after_the_clicks_they_are_allowed():
    assert all(len(one.clicks["centre"]) == 2 for one in ask(GreyGeneralist(loss=9), max_clicks=2))


def test_users_differ_in_where_they_click():
    asked = ask(generalist := GreyGeneralist("points"), users=("centre", "noisy"), max_clicks=1)
    assert all(set(one.clicks) == {"centre", "noisy"} for one in asked)
    first, second = np.concatenate([p.points[0] for p in generalist.prompts]).reshape(3, 2, 2).swapaxes(0, 1)
    assert np.abs(first - second).max(1).min() > 0


def test_generalists_are_asked_only_what_they_were_trained_on():
    boxes, points = GreyGeneralist("boxes"), GreyGeneralist("points")
    assert all(one.box and not one.clicks for one in ask(boxes))
    assert all(one.box is None and one.clicks for one in ask(points))
    assert {kind for p in boxes.prompts for kind in p.kinds} == {"boxes"}


def test_the_last_answer_goes_in_as_a_rough_mask_where_masks_are_understood():
    understands, does_not = GreyGeneralist("points", "masks", loss=2), GreyGeneralist("points", loss=2)
    ask(understands), ask(does_not)
    assert {len(p.labels[0]) > 1 for p in understands.prompts if p.masks is not None} == {True}
    assert all((p.masks is None) == (len(p.labels[0]) == 1) for p in understands.prompts)
    assert all(p.masks is None for p in does_not.prompts)
    ask(off := GreyGeneralist("points", "masks", loss=2), feedback=False)
    assert all(p.masks is None for p in off.prompts)


def test_boxes_lie_a_few_pixels_outside():
    generalist = GreyGeneralist("boxes")
    asked = ask(generalist, jitter=(1, 4))
    for one, prompts in zip(asked, generalist.prompts, strict=True):
        rows, columns = np.nonzero(one.target.number == IDS)
        tight = np.array([rows.min(), columns.min(), rows.max(), columns.max()])
        gaps = (prompts.boxes[0] - tight) * [-1, -1, 1, 1]
        assert gaps.min() >= 1
        assert gaps.max() <= 4


def test_all_generalists_are_asked_with_the_same_boxes_and_first_clicks():
    a, b = GreyGeneralist(loss=2), GreyGeneralist()
    ask(a), ask(b)

    def first(generalist):
        return [
            (p.points.tolist(), None if p.boxes is None else p.boxes.tolist())
            for p in generalist.prompts
            if len(p.labels[0]) < 2
        ]

    assert first(a) == first(b)


def test_what_nobody_looked_at_does_not_count():
    ids = IDS.copy()
    ids[:, 24:] = -1
    whole = ask(GreyGeneralist(), ids)
    assert {one.box.iou for one in whole} == {1.0}


def test_a_picture_is_embedded_once():
    generalist = GreyGeneralist()
    ask(generalist)
    assert len(generalist.views) == 1


def test_pictures_are_cut_around_the_object():
    for one in ask(GreyGeneralist(loss=1)):
        assert one.image.array.shape == one.meant.shape < IDS.shape
        assert one.meant.sum() == (one.target.number == IDS).sum()
        assert [answer.title.rsplit(" ", 1)[0] for answer in one.answers] == ["box", "centre, 2 clicks"]
        assert all(one.meant[tuple(p.astype(int))] for p in one.answers[1].prompts.points[0])


def test_every_view_and_every_prompt_is_timed():
    timed = Timed(GreyGeneralist())
    assert timed.medians() == {}
    ask(timed)
    assert (len(timed.embed_ms), len(timed.decode_ms)) == (1, 6)
    assert min(timed.medians().values()) > 0


def test_metrics_of_perfect_answers():
    found = Report({1: "disc"}, 6).metrics(ask(GreyGeneralist()))
    assert {found[key] for key in ("iou_box", "iou_1", "iou_3", "iou_5", "iou_box_median", "iou_3_worst10")} == {1.0}
    assert (found["noc80"], found["noc90"], found["objects"]) == (1, 1, 3)
    assert "iou_10" not in found
    assert "score_rank" not in found  # all scores are equal


def test_metrics_are_means_over_objects_and_users():
    asked = ask(GreyGeneralist(loss=7), max_clicks=8)
    found = Report({1: "disc"}, 8).metrics(asked)
    assert found["iou_1"] == pytest.approx(np.mean([r[0].iou for one in asked for r in one.clicks.values()]))
    assert found["iou_box"] == pytest.approx(np.mean([one.box.iou for one in asked]))
    assert 1 < found["noc80"] <= found["noc90"] <= 8
    assert found["score_rank"] > 0.8


def test_who_has_nothing_to_correct_keeps_his_overlap():
    asked = ask(GreyGeneralist(loss=2))
    assert {len(replies) for one in asked for replies in one.clicks.values()} == {3}
    assert Report({1: "disc"}, 6).metrics(asked)["iou_5"] == 1.0


def test_a_generalist_of_boxes_has_no_click_metrics():
    found = Report({1: "disc"}, 6).metrics(ask(GreyGeneralist("boxes")))
    assert [key for key in found if key.startswith(("iou_", "noc"))] == ["iou_box", "iou_box_median", "iou_box_worst10"]


def test_several_classes_are_told_apart():
    asked = ask(GreyGeneralist("boxes"))
    assert "iou_box_disc" not in Report({1: "disc"}, 6).metrics(asked)
    found = Report({1: "disc", 2: "ring"}, 6).metrics(asked)
    assert found["iou_box_disc"] == 1.0
    assert "iou_box_ring" not in found


def test_quality_falls_with_the_loss():
    few, many = (np.mean([quality(one) for one in ask(GreyGeneralist(loss=loss))]) for loss in (3, 6))
    assert many < few < 1
