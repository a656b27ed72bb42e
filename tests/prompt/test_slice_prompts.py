import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from frugalseg.generalists.prompts import BACKGROUND, OBJECT, Prompts
from frugalseg.prompt.prototypes import Belief
from frugalseg.prompt.slices import NOTHING, Asked, PromptSettings, moved, slice_prompts
from frugalseg.seeds import stream


def random_belief(seed: int, *, rows: int = 18, columns: int = 31) -> Belief:
    """A slice that is not square with wobbly pieces of two classes."""
    rng = stream(seed, "slice")
    maps = ndimage.gaussian_filter(rng.normal(size=(3, rows, columns)), (0, 2, 2)) * 20
    similarity = np.exp(maps) / np.exp(maps).sum(0)
    classes = similarity.argmax(0).astype(np.uint8)
    return Belief(classes, classes, similarity)


def of(mask: np.ndarray) -> Belief:
    return Belief(mask.astype(np.uint8), mask.astype(np.uint8), np.stack([1.0 - mask, mask * 1.0]))


def asked(belief: Belief, seed: int = 0, **options) -> Asked:
    return slice_prompts(belief, PromptSettings(**options), rng=lambda value: stream(seed, "test", value))


def points(prompts: Prompts, k: int, label: int) -> np.ndarray:
    return prompts.points[k][prompts.labels[k] == label].astype(int)


beliefs = st.integers(0, 2**20).map(random_belief)


@given(beliefs)
@settings(max_examples=25, deadline=None)
def test_every_large_enough_piece_has_its_box_and_its_points(belief: Belief):
    found = asked(belief, add_point=2, smallest=4, least_share=0, most=99)
    k = 0
    for value in (1, 2):
        pieces, n = ndimage.label(belief.classes == value, structure=np.ones((3, 3)))
        for piece in range(1, n + 1):
            mask = pieces == piece
            if mask.sum() < 4:
                continue
            rows, columns = np.nonzero(mask)
            tight = [rows.min() - 1, columns.min() - 1, rows.max() + 1, columns.max() + 1]
            assert found.classes[k] == value
            assert found.boxes[k].tolist() == np.clip(tight, 0, [17, 30, 17, 30]).tolist()
            assert mask[tuple(points(found.prompts, k, OBJECT).T)].all()
            around = points(found.prompts, k, BACKGROUND)
            assert not (belief.classes == value)[tuple(around.T)].any()
            assert (ndimage.distance_transform_edt(~mask)[tuple(around.T)] <= 4).all()
            k += 1
    assert len(found) == k


@given(beliefs, st.sampled_from([0, 1, 2]))
@settings(max_examples=25, deadline=None)
def test_a_published_prompt_is_one_pushed_box_a_class(belief: Belief, add_point: int):
    found = asked(belief, rule="published", add_point=add_point)
    assert found.classes.tolist() == [c for c in (1, 2) if (belief.classes == c).any()]
    for k, value in enumerate(found.classes):
        mask = belief.classes == value
        rows, columns = np.nonzero(mask)
        out = np.array([rows.min(), columns.min(), 0, 0]) - found.boxes[k]
        out[2:] = found.boxes[k, 2:] - (rows.max(), columns.max())
        assert ((out >= 0) & (out <= 4)).all()
        assert mask[tuple(points(found.prompts, k, OBJECT).T)].all()
        assert not mask[tuple(points(found.prompts, k, BACKGROUND).T)].any()


def test_published_points_are_the_five_most_and_the_one_least_similar():
    belief = random_belief(3)
    found = asked(belief, rule="published", add_point=2)
    mask, similarity = belief.classes == 1, belief.similarity[1]
    best = sorted(similarity[mask])[-5:]
    assert sorted(similarity[tuple(points(found.prompts, 0, OBJECT).T)]) == pytest.approx(best)
    worst = points(found.prompts, 0, BACKGROUND)
    assert len(worst) == 1
    assert similarity[tuple(worst[0])] == similarity[~mask].min()


def test_published_random_points_come_from_the_prediction_not_from_the_prototypes():
    belief = random_belief(3)
    belief = Belief(np.roll(belief.predicted, 3, 1), belief.classes, belief.similarity)
    found = asked(belief, rule="published", add_point=1)
    assert len(points(found.prompts, 0, OBJECT)) == 5
    assert (belief.predicted == 1)[tuple(points(found.prompts, 0, OBJECT).T)].all()


@pytest.mark.parametrize("add_point", [1, 2])
def test_a_published_prompt_for_five_pixels_is_a_box_only(add_point: int):
    mask = np.zeros((9, 12), bool)
    mask[4, 3:8] = True
    assert asked(of(mask), rule="published", add_point=add_point).prompts.kinds == {"boxes"}


def test_the_box_is_in_array_order():
    mask = np.zeros((10, 40), bool)
    mask[2:4, 25:36] = True
    assert asked(of(mask), margin=0).boxes.tolist() == [[2, 25, 3, 35]]


def test_a_ring_gets_a_negative_in_its_hole():
    r = np.hypot(*(np.indices((40, 40)) - 20))
    ring = (r < 14) & (r >= 4)
    found = asked(of(ring), add_point=2, negatives=12)
    assert (r[tuple(points(found.prompts, 0, BACKGROUND).T)] < 4).any()


def test_positives_lie_apart():
    mask = np.zeros((20, 60), bool)
    mask[5:15, 4:56] = True
    inside = points(asked(of(mask), add_point=2, positives=3).prompts, 0, OBJECT)
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(inside) for b in inside[:i]]
    assert min(gaps) > 15


def test_small_pieces_and_empty_slices_have_no_prompt():
    mask = np.zeros((9, 12), bool)
    assert asked(of(mask)) is NOTHING
    mask[4, 3:8] = True
    assert len(asked(of(mask), smallest=6)) == 0
    assert len(asked(of(mask), smallest=5)) == 1


@pytest.mark.parametrize("rule", ["components", "published"])
def test_a_class_that_fills_the_slice_is_no_error(rule: str):
    found = asked(of(np.ones((7, 9), bool)), rule=rule, add_point=2)
    assert found.boxes.tolist() == [[0, 0, 6, 8]]
    assert not (found.prompts.labels == BACKGROUND).any()


def test_one_class_draws_whatever_the_other_does():
    belief = random_belief(5)
    alone = Belief(*(np.where(x == 2, x, 0) for x in (belief.predicted, belief.classes)), belief.similarity)
    both, one = (asked(b, rule="published", add_point=1) for b in (belief, alone))
    assert (both.boxes[1] == one.boxes[0]).all()
    assert (both.prompts.points[1] == one.prompts.points[0]).all()


def test_rough_masks_are_the_pieces_themselves():
    belief = random_belief(4)
    found = asked(belief, rough_mask=True, smallest=1, least_share=0)
    pieces = found.prompts.masks > 0
    assert (pieces[found.classes == 1].any(0) == (belief.classes == 1)).all()
    assert pieces.sum() == (belief.classes > 0).sum()


def boxed(*boxes, classes=(1, 1)) -> Asked:
    return Asked(Prompts.in_boxes(boxes), np.array(classes[: len(boxes)], np.uint8))


def test_a_box_has_moved_below_the_stated_overlap():
    first = boxed((0, 0, 19, 19))
    assert not moved(first, boxed((0, 0, 19, 19)), least_iou=1.0)
    assert not moved(boxed((0, 0, 19, 18)), first, least_iou=0.95)  # 380 of 400
    assert moved(boxed((0, 0, 19, 17)), first, least_iou=0.95)


def test_prompts_have_moved_when_one_comes_goes_or_changes_its_class():
    a, b = (0, 0, 9, 9), (20, 20, 29, 29)
    assert moved(boxed(a), boxed(a, b), least_iou=0.95)
    assert moved(boxed(a), NOTHING, least_iou=0.95)
    assert moved(boxed(a, b), boxed(a, b, classes=(1, 2)), least_iou=0.95)
    assert not moved(boxed(b, a), boxed(a, b), least_iou=0.95)
    assert not moved(NOTHING, NOTHING, least_iou=0.95)


def test_a_rough_mask_moves_within_its_box():
    ring = np.zeros((20, 20), bool)
    ring[2:18, 2:18] = True
    whole = asked(of(ring), rough_mask=True)
    ring[6:14, 6:14] = False
    assert moved(asked(of(ring), rough_mask=True), whole, least_iou=0.95)
    assert not moved(asked(of(ring)), whole, least_iou=0.95)


def test_where_nothing_may_differ_points_that_moved_within_their_box_are_asked_again():
    """The published refresh asks about all prompts anew; its five most similar pixels jump while the box stays."""
    belief = random_belief(3)
    other = Belief(belief.predicted, belief.classes, belief.similarity[:, ::-1, ::-1])
    first, second = (asked(b, rule="published", add_point=2) for b in (belief, other))
    assert (first.boxes == second.boxes).all()
    assert moved(second, first, least_iou=1.0)
    assert not moved(second, first, least_iou=0.95)
    assert not moved(first, asked(belief, rule="published", add_point=2), least_iou=1.0)


@pytest.mark.parametrize(("most", "least_share", "wanted"), [(8, 0.1, 2), (8, 0.0, 4), (1, 0.0, 1), (8, 1.0, 1)])
def test_specks_beside_a_large_piece_are_not_asked_about(most, least_share, wanted):
    classes = np.zeros((40, 60), np.uint8)
    for size, left in ((20, 0), (10, 25), (4, 40), (3, 50)):
        classes[:size, left : left + size] = 1
    belief = Belief(classes, classes, np.stack([classes == 0, classes == 1]).astype(np.float32))
    settings = PromptSettings(most=most, least_share=least_share)
    assert len(slice_prompts(belief, settings, rng=lambda value: np.random.default_rng(value))) == wanted
