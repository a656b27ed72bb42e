"""Strokes become clicks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from frugalseg.errors import DataError
from frugalseg.generalists.predictor import Predictor
from frugalseg.generalists.strokes import (
    MOST_CLICKS,
    NO_STROKE,
    drawn,
    first_click,
    middle_line,
    next_click,
    points_along,
    spread_points,
)

SIZE = (40, 50)


def blob(seed):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SIZE), 3)
    return field > 0.5 * field.max()


def test_spread_points_begin_at_the_ends_of_a_line():
    line = np.zeros(SIZE, bool)
    line[7, 4:45] = True
    assert sorted(spread_points(line, 3)) == [(7, 4), (7, 24), (7, 44)]


def test_each_spread_point_is_the_farthest_from_those_before():
    stroke = blob(4)
    pixels, points = np.argwhere(stroke), np.array(spread_points(stroke, 6))
    for n in range(1, 6):
        away = np.linalg.norm(pixels[:, None] - points[None, :n], axis=-1).min(1)
        assert np.linalg.norm(points[:n] - points[n], axis=1).min() == away.max()


def test_a_stroke_without_a_pixel_is_refused():
    with pytest.raises(DataError, match="without a pixel"):
        spread_points(np.zeros(SIZE, bool), 3)


def test_the_middle_line_has_no_width_and_loses_no_piece():
    stroke = np.zeros(SIZE, bool)
    stroke[10:15, 5:40] = True
    stroke[30, 30] = True
    line = middle_line(stroke)
    assert not (line & ~stroke).any()
    assert line[12, 8:36].all()
    assert line[10].sum() + line[14].sum() <= 4
    assert line[30, 30]


@given(st.lists(st.tuples(st.floats(0, 99), st.floats(0, 99)), min_size=1, max_size=6), st.integers(2, 9))
def test_points_along_a_path_begin_and_end_with_it_at_equal_distances(path, n):
    points = points_along(path, n)
    assert points.shape == (n, 2)
    np.testing.assert_allclose(points[[0, -1]], [path[0], path[-1]], atol=1e-9)
    straight = points_along([path[0], path[-1]], n)
    steps = np.linalg.norm(np.diff(straight, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), atol=1e-9)


def test_a_path_with_a_corner_is_followed():
    assert points_along([[0, 0], [0, 4], [4, 4]], 5).tolist() == [[0, 0], [0, 2], [0, 4], [2, 4], [4, 4]]


def scribbled():
    scribble = np.full(SIZE, NO_STROKE, np.uint8)
    scribble[10:13, 5:30] = 1
    scribble[30:32, 20:45] = 0
    return scribble


def test_the_first_click_is_the_middle_of_the_longest_stroke_on_the_object():
    scribble = scribbled()
    scribble[20, 5:10] = 1
    assert first_click(scribble) in {(11, 16), (11, 17), (11, 18)}


def test_the_next_click_is_where_the_answer_contradicts_most_of_a_stroke():
    everything = np.ones(SIZE, bool)
    point, label = next_click(scribbled(), everything)
    assert label == 0
    assert scribbled()[int(point[0]), int(point[1])] == 0
    half = np.zeros(SIZE, bool)
    half[:, :15] = True
    (_, column), label = next_click(scribbled(), half)
    assert label == 1
    assert 15 <= column < 30


def test_an_answer_that_agrees_with_all_strokes_needs_no_click():
    agreeing = np.zeros(SIZE, bool)
    agreeing[8:16] = True
    assert next_click(scribbled(), agreeing) is None


@given(st.integers(0, 50))
def test_a_next_click_lies_on_a_stroke_that_the_answer_contradicts(seed):
    answer = blob(seed)
    click = next_click(scribbled(), answer)
    if click is not None:
        row, column = map(int, click[0])
        assert scribbled()[row, column] == click[1] != answer[row, column]


class Threshold:
    """Answers with all that is as bright as the clicks on the object, less a square around those beside it."""

    def __init__(self):
        self.asked = []

    def segment(self, prompts):
        self.asked.append(prompts)
        mask = np.ones(SIZE, bool)
        for r, c in prompts.points[0][prompts.labels[0] == 0].astype(int):
            mask[max(r - 4, 0) : r + 5, max(c - 4, 0) : c + 5] = False
        return Said(mask)


class Said:
    def __init__(self, mask):
        self.array = mask

    def mask(self, k):
        return self.array

    def at_image(self, k):
        return np.where(self.array, 3.0, -3.0)


@pytest.fixture
def predictor(monkeypatch):
    class Knows:
        class info:  # noqa: N801
            prompts = frozenset({"points", "masks"})

    threshold, found = Threshold(), Predictor(Knows())
    monkeypatch.setattr(found, "segment", threshold.segment)
    return found, threshold


def test_strokes_are_said_click_by_click_until_the_answer_agrees(predictor):
    found, threshold = predictor
    answer = found.predict(scribble=scribbled()).mask(0)
    numbers = [p.labels.shape[1] for p in threshold.asked]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 3 <= len(numbers) <= MOST_CLICKS
    assert [p.masks is not None for p in threshold.asked] == [False] + [True] * (len(numbers) - 1)
    assert len(numbers) == MOST_CLICKS or not answer[scribbled() == 0].any()


def test_clicks_and_a_box_go_before_the_strokes(predictor):
    found, threshold = predictor
    found.predict([(1, 2)], [0], box=[0, 0, 39, 49], scribble=scribbled())
    assert threshold.asked[0].labels.tolist() == [[0]]
    assert all(p.boxes is not None and p.points[0, 0].tolist() == [1, 2] for p in threshold.asked)
    assert len(threshold.asked) <= MOST_CLICKS


@pytest.mark.parametrize("scribble", [np.zeros(SIZE, np.uint8), np.full((2, *SIZE), 1)])
def test_a_scribble_that_names_no_object_is_refused(predictor, scribble):
    with pytest.raises(DataError, match="1 where a stroke lies on the object"):
        predictor[0].predict(scribble=scribble)


def test_paths_are_drawn_without_gaps_and_cut_at_the_border():
    scribble = drawn([(np.array([[2.0, 2], [2, 20], [12, 30]]), 1), (np.array([[5.0, 60], [5, 40]]), 0)], SIZE)
    assert (scribble[2, 2:21] == 1).all()
    assert ndimage.label(scribble == 1, structure=np.ones((3, 3)))[1] == 1
    assert (scribble[5, 40:] == 0).all()
    assert (scribble == NO_STROKE).sum() > 1900
