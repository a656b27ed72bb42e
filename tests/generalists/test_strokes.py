"""Strokes become points."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from frugalseg.errors import DataError
from frugalseg.generalists.prompts import Prompts, read_prompts
from frugalseg.generalists.strokes import POINTS, middle_line, points_along, spread_points

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
    drawn = np.full(SIZE, 255, np.uint8)
    drawn[10:13, 5:30] = 1
    drawn[30:32, 20:45] = 0
    return drawn


def test_a_scribble_becomes_points_on_its_own_strokes():
    prompts = Prompts.at(scribble=scribbled())
    assert prompts.labels.tolist() == [[1] * POINTS + [0] * POINTS]
    rows, columns = prompts.points[0].astype(int).T
    assert (scribbled()[rows, columns] == prompts.labels[0]).all()


def test_clicks_and_a_scribble_make_one_prompt():
    prompts = Prompts.at([(1, 2)], [0], scribble=scribbled())
    assert prompts.points.shape == (1, 1 + 2 * POINTS, 2)
    assert prompts.labels[0, 0] == 0


@pytest.mark.parametrize("drawn", [np.zeros(SIZE, np.uint8), np.full((2, *SIZE), 1)])
def test_a_scribble_that_names_no_object_is_refused(drawn):
    with pytest.raises(DataError, match="1 where a stroke lies on the object"):
        Prompts.at(scribble=drawn)


def test_strokes_are_read_from_a_file(tmp_path):
    file = tmp_path / "p.json"
    strokes = [{"path": [[0, 0], [0, 4]]}, {"path": [[9, 9]], "label": 0}]
    file.write_text(json.dumps([{"strokes": strokes, "points": [[7, 7]]}]))
    prompts = read_prompts(file)
    assert prompts.labels.tolist() == [[1, *[1] * POINTS, *[0] * POINTS]]
    assert prompts.points[0, :6].tolist() == [[7, 7], [0, 0], [0, 1], [0, 2], [0, 3], [0, 4]]
    assert (prompts.points[0, 6:] == 9).all()


@pytest.mark.parametrize("stroke", ["1", '{"label": 1}', '{"path": []}', '{"path": [[1, 2]], "label": 3}'])
def test_a_broken_stroke_is_named(tmp_path, stroke):
    (tmp_path / "p.json").write_text(f'[{{"strokes": [{stroke}]}}]')
    with pytest.raises(DataError, match=r"p\.json: prompt 0: "):
        read_prompts(tmp_path / "p.json")
