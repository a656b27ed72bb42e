from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Picture

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel
from frugalseg.generalists.prompts import Prompts
from frugalseg.report.answers import Answer, answer_panel, answers_png


def image(*shape):
    return Image(np.random.default_rng(0).random(shape), Geometry.plain(shape[:2]))


def box_of(rows, columns, shape=(40, 50)):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


def pixels(png):
    with Picture.open(BytesIO(png)) as picture:
        return np.array(picture.convert("RGB"), int)


def share_of(png, colour, part):
    """How much of the third `part` of a picture is nearly of a colour."""
    seen = np.array_split(pixels(png), 3, axis=1)[part]
    return float((np.abs(seen - colour).max(-1) < 40).mean())


BLUE, ORANGE, YELLOW = (0x56, 0xB4, 0xE9), (0xFF, 0x6A, 0x3D), (0xF0, 0xE4, 0x42)


def test_the_image_comes_bare_and_each_answer_with_all_that_was_said():
    meant, answered = box_of(slice(10, 30), slice(10, 30)), box_of(slice(14, 34), slice(14, 34))
    by_box = Answer("box", answered, Prompts.at(box=[8, 8, 31, 31]))
    by_clicks = Answer("3 clicks", answered, Prompts.at([[20, 20], [32, 32]], [1, 0]))
    panel = answer_panel(image(40, 50), meant, [by_box, by_clicks], title="one")
    assert panel.title == "one"
    for colour in (BLUE, ORANGE, YELLOW):
        assert share_of(panel.image, colour, 0) == 0
        assert share_of(panel.image, colour, 1) > 0
        assert share_of(panel.image, colour, 2) > 0


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
def test_empty_answers_and_colours_are_shown(shape):
    nothing = np.zeros((40, 50), bool)
    panel = answer_panel(image(*shape), nothing, [Answer("box", nothing, Prompts.at([[3, 3]]))], title="x")
    assert panel.image.startswith(b"\x89PNG")


def test_the_same_answer_gives_the_same_bytes():
    meant = box_of(slice(10, 30), slice(10, 30))
    answers = [Answer("box", meant, Prompts.at(box=[8, 8, 31, 31]))]
    once, again = (answer_panel(image(40, 50), meant, answers, title="one").image for _ in range(2))
    assert once == again


def test_all_objects_of_an_image_are_drawn_with_their_prompts(tmp_path):
    ids = np.where(box_of(slice(3, 12), slice(3, 12)), 1, 2 * box_of(slice(20, 38), slice(20, 48))).astype(np.int32)
    answers_png(
        tmp_path / "a.png",
        image(40, 50),
        InstanceLabel(ids),
        [Prompts.in_boxes(box) for box in ([2, 2, 12, 12], [19, 19, 38, 48])],
    )
    png = (tmp_path / "a.png").read_bytes()
    assert share_of(png, ORANGE, 1) > 0  # the first object lies on the left of the right half
    assert share_of(png, BLUE, 2) > 0
    assert share_of(png, YELLOW, 2) > 0
    assert share_of(png, BLUE, 0) == 0
