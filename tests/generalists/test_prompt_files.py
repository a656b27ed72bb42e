"""Files of prompts."""

import json
from pathlib import Path

import numpy as np
import pytest

from frugalseg.errors import DataError
from frugalseg.generalists.classic import Classic
from frugalseg.generalists.predictor import Predictor
from frugalseg.generalists.prompt_file import answer, read_requests

SHAPE = (48, 64)


def requests(tmp_path: Path, *entries: dict):
    (tmp_path / "p.json").write_text(json.dumps(entries))
    return read_requests(tmp_path / "p.json")


def test_clicks_boxes_and_strokes_are_read(tmp_path: Path):
    strokes = [{"path": [[0, 0], [0, 4]]}, {"path": [[9, 9]], "label": 0}]
    clicks, box, drawn, both = requests(
        tmp_path,
        {"points": [[20, 31], [4, 5]], "labels": [1, 0]},
        {"box": [1, 2, 3, 4]},
        {"strokes": strokes},
        {"strokes": strokes, "points": [[7, 7]]},
    )
    assert clicks.prompt.labels.tolist() == [[1, 0]]
    assert box.prompt.boxes.tolist() == [[1, 2, 3, 4]]
    assert drawn.prompt is None
    assert [label for _, label in drawn.strokes] == [1, 0]
    shown = both.shown()
    assert shown.points[0, :6].tolist() == [[7, 7], [0, 0], [0, 1], [0, 2], [0, 3], [0, 4]]
    assert shown.labels.tolist() == [[1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]]


def test_each_request_gets_its_own_answer_whatever_its_kind(tmp_path: Path):
    image = np.zeros(SHAPE)
    image[5:20, 5:20] = image[28:44, 8:24] = image[10:30, 40:60] = 1
    image += 0.05 * np.random.default_rng(0).normal(size=SHAPE)
    asked = requests(
        tmp_path,
        {"strokes": [{"path": [[8, 8], [16, 16]]}, {"path": [[24, 2], [24, 30]], "label": 0}]},
        {"box": [28, 8, 43, 23]},
        {"points": [[20, 50]]},
    )
    predictor = Predictor(Classic(), zoom="off").set_image(image)
    masks = answer(predictor, asked, SHAPE)
    for k, (row, column) in enumerate([(12, 12), (36, 16), (20, 50)]):
        mask = masks.mask(k)
        assert mask[row, column]
        assert mask.sum() < 600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[1]",
        "[{}]",
        '[{"spot": 1}]',
        '[{"points": [[1, 2], [3]]}]',
        '[{"points": "ab"}]',
        '[{"points": [[1, NaN]]}]',
        '[{"points": [[1, 2]], "labels": [2]}]',
        '[{"points": [[1, 2]], "labels": "ab"}]',
        '[{"box": [1, 2, 3]}]',
        '[{"box": null}]',
    ],
)
def test_a_broken_file_of_prompts_is_named(tmp_path: Path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DataError, match=r"p\.json: "):
        read_requests(tmp_path / "p.json")


@pytest.mark.parametrize("stroke", ["1", '{"label": 1}', '{"path": []}', '{"path": [[1, 2]], "label": 3}'])
def test_a_broken_stroke_is_named(tmp_path, stroke):
    (tmp_path / "p.json").write_text(f'[{{"strokes": [{stroke}]}}]')
    with pytest.raises(DataError, match=r"p\.json: prompt 0: "):
        read_requests(tmp_path / "p.json")
