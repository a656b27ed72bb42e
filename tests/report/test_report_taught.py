from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Picture

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.generalists.prompts import Prompts
from frugalseg.prompt.slices import NOTHING, Asked
from frugalseg.report.taught import taught_panel

YELLOW = (240, 228, 66)
CLASSES = ("background", "a")


def panel(shape, places, *, truth=True):
    array = np.zeros(shape, np.uint8)
    array[3:6, 3:6] = 1
    said = np.where(array == 1, UNKNOWN, 0).astype(np.uint8)
    image = Image(np.arange(array.size, dtype=np.float32).reshape(shape), Geometry.plain(shape))
    one = Asked(Prompts.in_boxes([[2, 2, 6, 6]]), np.ones(1, np.uint8))
    asked = {place: one if is_asked else NOTHING for place, is_asked in places.items()}
    labels = [SemanticLabel(x, CLASSES) for x in (array, said)]
    return taught_panel(image, *labels, labels[0] if truth else None, asked, title="t")


def pixels(found):
    return np.asarray(Picture.open(BytesIO(found.image)).convert("RGB")).astype(int)


def is_yellow(x):
    return (np.abs(x - YELLOW).sum(-1) < 60).any()


def test_boxes_are_drawn_where_they_were_asked_and_nowhere_else():
    found = panel((12, 10, 20), {(2, k): k > 12 for k in range(20)})
    x = pixels(found)
    columns = np.array_split(x, 4, axis=1)
    assert [is_yellow(c) for c in columns] == [False, True, False, False]
    assert "prompts" in found.alt


def test_a_column_less_without_truth_and_fewer_rows_where_few_slices_were_asked():
    whole = pixels(panel((12, 10, 20), {(2, k): True for k in range(20)}))
    assert pixels(panel((12, 10, 20), {(2, k): True for k in range(20)}, truth=False)).shape[1] < whole.shape[1]
    assert pixels(panel((12, 10, 20), {(2, 4): True, (2, 5): True})).shape[0] < whole.shape[0]


def test_a_picture_is_its_own_slice():
    x = pixels(panel((12, 10), {(-1, 0): True}))
    assert is_yellow(x)


def test_nothing_asked_is_nothing_to_show():
    with pytest.raises(ValueError, match="nothing was asked"):
        panel((12, 10, 20), {(2, 3): False})
