import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from frugalseg.errors import DataError, SettingsError
from frugalseg.generalists.prompts import BACKGROUND, OBJECT
from frugalseg.metrics.overlap import iou
from frugalseg.prompt.simulate import (
    UserSettings,
    click_session,
    first_click,
    jittered_box,
    next_click,
    points_of_scribble,
)
from frugalseg.seeds import stream
from frugalseg.settings import parse

SIZE = (40, 50)


def disc(row, column, radius, size=SIZE):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def blob(seed):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SIZE), 3)
    return field > 0.5 * field.max()


def union_of_clicked_discs(prompts):
    """A model that draws a disc of 6 pixels around each click on the object and cuts one out beside it."""
    mask = np.zeros(SIZE, bool)
    for (row, column), label in zip(prompts.points[0], prompts.labels[0], strict=True):
        mask = mask | disc(row, column, 6) if label == OBJECT else mask & ~disc(row, column, 6)
    return mask


def test_the_oracle_opens_in_the_middle_of_a_disc():
    assert first_click(disc(20, 30, 7), stream(0), noise=0) == (20, 30)


def test_the_oracle_never_draws_a_number():
    rng = stream(0)
    before = rng.bit_generator.state
    first_click(blob(0), rng, noise=0)
    assert rng.bit_generator.state == before


def test_the_border_of_the_image_is_no_middle():
    mask = np.zeros(SIZE, bool)
    mask[:, :11] = True
    assert first_click(mask, stream(0), noise=0)[1] == 5


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_correction_lies_deepest_in_all_errors_as_in_ritm(seed):
    truth, predicted = blob(seed), blob(seed + 1)
    depths = {
        label: ndimage.distance_transform_edt(np.pad(error, 1))[1:-1, 1:-1]
        for label, error in ((OBJECT, truth & ~predicted), (BACKGROUND, predicted & ~truth))
    }
    (row, column), label = next_click(truth, predicted, stream(0), noise=0)
    assert depths[label][int(row), int(column)] == max(d.max() for d in depths.values())


def test_a_miss_is_clicked_as_object_and_an_excess_as_background():
    big, small = disc(12, 12, 8), disc(30, 40, 4)
    assert next_click(big | small, small, stream(0), noise=0) == ((12, 12), OBJECT)
    assert next_click(small, big | small, stream(0), noise=0) == ((12, 12), BACKGROUND)


def test_of_equal_errors_the_missing_one_is_clicked():
    a, b = disc(10, 10, 5), disc(30, 40, 5)
    assert next_click(a, b, stream(0), noise=0) == ((10, 10), OBJECT)


def test_a_perfect_prediction_needs_no_click():
    assert next_click(blob(0), blob(0), stream(0), noise=1) is None


def test_a_click_that_was_ignored_is_not_repeated():
    mask, empty = disc(20, 20, 6), np.zeros(SIZE, bool)
    points = [first_click(mask, stream(0), noise=0)]
    for _ in range(4):
        points.append(next_click(mask, empty, stream(0), noise=0, taken=points)[0])
    assert len(set(points)) == 5


def test_noisy_clicks_are_off_centre_but_rarely_outside_and_never_far():
    mask, rng = disc(20, 25, 9), stream(3)
    points = np.array([first_click(mask, rng, noise=1) for _ in range(500)])
    away = np.hypot(*(points - (20, 25)).T)
    inside = mask[tuple(points.astype(int).T)]
    assert 2 < np.median(away) < 6
    assert 0.9 < inside.mean() < 1
    assert ndimage.distance_transform_edt(~mask)[tuple(points.astype(int).T)].max() <= 3


def test_more_noise_misses_more_often():
    mask = disc(20, 25, 12)
    missed = [
        np.mean([not mask[tuple(np.array(first_click(mask, stream(k), noise=noise)).astype(int))] for k in range(300)])
        for noise in (0.1, 2.5)
    ]
    assert missed[0] < missed[1] / 2


def test_the_hand_is_sure_on_tiny_objects():
    mask = disc(20, 25, 1.5)
    points = [first_click(mask, stream(k), noise=3) for k in range(200)]
    assert np.mean([mask[int(r), int(c)] for r, c in points]) > 0.8


@given(st.integers(0, 1000), st.floats(0, 5))
@settings(max_examples=30, deadline=None)
def test_clicks_are_pixels_of_the_image_and_repeat_with_the_seed(seed, noise):
    mask = blob(seed)
    point = first_click(mask, stream(seed), noise=noise)
    assert point == first_click(mask, stream(seed), noise=noise)
    assert all(v == int(v) and 0 <= v < n for v, n in zip(point, SIZE, strict=True))


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_each_side_of_a_box_lies_as_far_outside_as_asked(seed):
    mask = np.pad(blob(seed), 10)
    rows, columns = np.nonzero(mask)
    tight = np.array([rows.min(), columns.min(), rows.max(), columns.max()])
    out = (jittered_box(mask, stream(seed), pixels=(1, 4)) - tight) * [-1, -1, 1, 1]
    assert ((out >= 1) & (out <= 4)).all()


def test_sides_move_independently_over_the_whole_range():
    mask = disc(20, 25, 6)
    boxes = np.array([jittered_box(mask, stream(k)) for k in range(200)])
    moved = (boxes - (14, 19, 26, 31)) * [-1, -1, 1, 1]
    assert all(set(side) == {0, 1, 2, 3, 4} for side in moved.T)
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.25


def test_a_box_stays_within_the_image():
    assert jittered_box(np.ones(SIZE, bool), stream(0)).tolist() == [0, 0, 39, 49]


def test_a_box_that_cuts_into_its_object_keeps_the_middle():
    box = jittered_box(disc(20, 25, 2), stream(0), pixels=(-9, -9))
    assert box.tolist() == [20, 25, 20, 25]


@pytest.mark.parametrize("seed", range(8))
def test_points_of_a_scribble_lie_on_the_object_and_apart(seed):
    mask = disc(20, 20, 9) | disc(20, 32, 7)
    points = np.array(points_of_scribble(mask, 5, stream(seed)))
    assert mask[tuple(points.astype(int).T)].all()
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(5, dtype=bool)]
    assert distances.min() > 2


@pytest.mark.parametrize("mask", [disc(3, 4, 0), disc(3, 4, 1), disc(0, 0, 2)])
def test_a_tiny_object_gives_as_many_points_as_asked(mask):
    points = points_of_scribble(mask, 6, stream(0))
    assert len(points) == 6
    assert all(mask[int(row), int(column)] for row, column in points)


def session(answer, truth, clicks, **user):
    return click_session(answer, truth, clicks=clicks, rng=stream(0), user=UserSettings(**user))


def test_a_session_tells_the_overlap_after_each_click():
    truth = disc(20, 20, 9) | disc(20, 36, 6)
    results = session(union_of_clicked_discs, truth, 3)
    assert [r.iou for r in results] == [iou(union_of_clicked_discs(r.prompts), truth) for r in results]
    assert [len(r.prompts.labels[0]) for r in results] == [1, 2, 3]
    assert results[1].iou > results[0].iou + 0.2


def test_the_last_result_stands_where_nothing_is_left_to_correct():
    truth = disc(20, 20, 6)
    results = session(union_of_clicked_discs, truth, 4)
    assert [r.iou for r in results] == [1.0] * 4
    assert all(r.prompts.labels.shape == (1, 1) for r in results)


def test_a_session_ends_early_only_for_a_user_who_is_content():
    truth = disc(20, 25, 11)
    assert len(session(union_of_clicked_discs, truth, 8)) == 8
    content = session(union_of_clicked_discs, truth, 8, stop_at=0.5)
    assert 1 < len(content) < 8
    assert content[-1].iou >= 0.5 > content[-2].iou


def test_a_noisy_session_repeats_with_its_seed():
    truth = blob(5)
    a, b = (session(union_of_clicked_discs, truth, 6, noise=1) for _ in range(2))
    assert [r.iou for r in a] == [r.iou for r in b]
    assert (a[-1].prompts.points == b[-1].prompts.points).all()


@pytest.mark.parametrize(
    "act",
    [
        lambda mask: first_click(mask, stream(0), noise=0),
        lambda mask: jittered_box(mask, stream(0)),
        lambda mask: points_of_scribble(mask, 3, stream(0)),
    ],
)
def test_an_empty_mask_is_refused(act):
    with pytest.raises(DataError, match="empty mask"):
        act(np.zeros(SIZE, bool))


def test_settings_name_the_nearest_key():
    with pytest.raises(SettingsError, match="did you mean 'noise'"):
        parse(UserSettings, {"nois": 1}, where="here")
