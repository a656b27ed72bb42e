import numpy as np
import pytest
import torch
from scipy import ndimage, sparse

from frugalseg.bench.grabcut import GrabCut, _border, _cut, _Start
from frugalseg.errors import DataError
from frugalseg.generalists.generalist import View
from frugalseg.generalists.prompts import Prompts
from frugalseg.metrics.overlap import iou

GRABCUT = GrabCut()
ROWS, COLUMNS = np.ogrid[:60, :80]
MASK = np.hypot(ROWS - 30, COLUMNS - 35) <= 14
IMAGE = np.where(MASK, 0.8, 0.2) + 0.05 * np.random.default_rng(0).normal(size=MASK.shape)
BOX = [13, 19, 47, 52]


def ask(image, prompts, **view):
    return GRABCUT.decode(GRABCUT.embed([View(image, **view)])[0], prompts)


@pytest.mark.parametrize("prompts", [Prompts.at(box=BOX), Prompts.at([[30, 35]]), Prompts.at([[25, 30]], box=BOX)])
@pytest.mark.parametrize("zoom", [1, 3])
def test_an_object_of_its_own_colour_is_found(prompts, zoom):
    image, mask = ndimage.zoom(IMAGE, zoom, order=1), ndimage.zoom(MASK, zoom, order=0)
    boxes = None if prompts.boxes is None else prompts.boxes * zoom
    answer = ask(image, Prompts(prompts.points * zoom, prompts.labels, boxes))
    assert iou(answer.mask(0), mask) > 0.88


def test_nothing_beside_the_box_is_taken():
    box = [13, 19, 30, 52]
    assert not ask(IMAGE, Prompts.at(box=box)).mask(0)[33:].any()


def test_a_click_beside_takes_away_and_one_inside_adds():
    two = MASK | (np.hypot(ROWS - 30, COLUMNS - 52) <= 9)
    image = np.where(two, 0.8, 0.2) + 0.05 * np.random.default_rng(0).normal(size=two.shape)
    for label in (0, 1):
        answer = ask(image, Prompts.at([[30, 35], [30, 54]], [1, label]))
        assert bool(answer.mask(0)[30, 54]) == bool(label)


def test_pieces_that_nobody_clicked_are_left_out():
    two = MASK | (np.hypot(ROWS - 30, COLUMNS - 68) <= 8)
    image = np.where(two, 0.8, 0.2) + 0.05 * np.random.default_rng(0).normal(size=two.shape)
    assert iou(ask(image, Prompts.at([[30, 35]])).mask(0), MASK) > 0.88


def test_a_hopeless_picture_leaves_the_first_guess():
    answer = ask(np.full((40, 40), 3.0), Prompts.at(box=[10, 10, 29, 29]))
    assert iou(answer.mask(0), np.pad(np.ones((20, 20), bool), 10)) > 0.9


def test_a_window_is_answered_in_pixels_of_the_image():
    assert iou(ask(IMAGE, Prompts.at(box=BOX), window=(5, 10, 55, 60)).mask(0), MASK) > 0.88


def test_answers_repeat_and_do_not_depend_on_company():
    prompts = Prompts.in_boxes([BOX, [0, 0, 20, 20]])
    together, alone = ask(IMAGE, prompts), ask(IMAGE, prompts[[0]])
    assert torch.equal(together.logits[0], alone.logits[0])
    assert together.scores.shape == (2, 1)
    assert ((together.scores >= 0) & (together.scores <= 1)).all()


def test_no_prompts_give_no_answers():
    assert len(ask(IMAGE, Prompts.in_boxes([]))) == 0


def test_what_cannot_be_answered_is_refused():
    embedding = GRABCUT.embed([View(IMAGE)])[0]
    with pytest.raises(DataError, match="names no object"):
        GRABCUT.decode(embedding, Prompts.at([[3, 3]], [0]))
    with pytest.raises(DataError, match="points only"):
        GRABCUT.decode(embedding, Prompts.at(mask=MASK))
    with pytest.raises(DataError, match="no image tokens"):
        GRABCUT.decode(embedding, Prompts.at([[3, 3]]), features=True)


def energy(mask, surer, border):
    parted = mask.ravel()[border.coords[0]] & ~mask.ravel()[border.coords[1]]
    return border.data[parted].sum() - np.rint(100 * surer[mask]).sum()


@pytest.mark.parametrize("seed", range(5))
def test_no_other_mask_is_cheaper_than_the_cut(seed):
    rng = np.random.default_rng(seed)
    surer, border = rng.normal(0, 6, (3, 4)), _border(rng.random((3, 4, 3)))
    nobody = np.zeros((3, 4), bool)
    found = _cut(surer, border, _Start(nobody, nobody, nobody))
    masks = ((np.arange(2**12)[:, None] >> np.arange(12)) & 1).astype(bool).reshape(-1, 3, 4)
    assert energy(found, surer, border) == min(energy(mask, surer, border) for mask in masks)


def test_what_is_known_never_changes_sides():
    rng = np.random.default_rng(0)
    inside, beside = np.zeros((6, 6), bool), np.zeros((6, 6), bool)
    inside[1, 1] = beside[4, 4] = True
    for sign in (1, -1):
        found = _cut(np.full((6, 6), 20.0 * sign), _border(rng.random((6, 6, 3))), _Start(inside, inside, beside))
        assert found[1, 1]
        assert not found[4, 4]


def test_diagonal_neighbours_are_farther_away():
    border = sparse.csr_array(_border(np.zeros((4, 4, 3))))
    assert border[0, 1] == pytest.approx(np.sqrt(2) * border[0, 5], rel=0.01)
    assert border[0, 2] == 0
