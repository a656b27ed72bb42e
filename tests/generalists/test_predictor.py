"""The predictor: one picture at a time, with a window around what is small."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.errors import DataError
from frugalseg.generalists.frame import fit_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View
from frugalseg.generalists.masks import Masks, join_masks
from frugalseg.generalists.predictor import Predictor
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.zoom import closer, window_around

INFO = GeneralistInfo("bright", "none", "bright", frozenset({"points", "boxes", "masks"}))


class Bright:
    """Answers every prompt with the bright pixels of the view, on an input of 64 or 128 pixels; counts its work.

    It is surest of views that are `best` pixels wide.
    """

    info = INFO

    def __init__(self, best: int = 10_000) -> None:
        self.best = best
        self.seen: list[View] = []
        self.heard: list[Prompts] = []

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        self.seen += views
        frames = [fit_frame(v.size, max(64, v.least_side), window=v.window, spacing=v.spacing) for v in views]
        pixels = [f.cut(torch.from_numpy(v.array)[None].float()) for v, f in zip(views, frames, strict=True)]
        return [Embedding((p,), f, "bright") for p, f in zip(pixels, frames, strict=True)]

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        self.heard.append(prompts)
        logits = (embedding.features[0] * 20 - 10).expand(len(prompts), -1, -1, -1)
        window = embedding.frame.window
        score = -abs(max(window[2] - window[0], window[3] - window[1]) - self.best)
        return Masks(logits, torch.full((len(prompts), 1), float(score)), (embedding.frame,) * len(prompts))


def spot(size=(300, 400), place=(200, 250), radius=6) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (np.hypot(rows - place[0], columns - place[1]) < radius).astype(np.float32)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("prompt", [{"points": [(200, 250)]}, {"box": (192, 242, 208, 258)}])
def test_a_small_object_is_seen_more_sharply_through_a_window(prompt):
    image = spot()
    sharp, plain = Predictor(Bright()), Predictor(Bright(), zoom="off")
    masks = [p.set_image(image).predict(**prompt).mask(0) for p in (sharp, plain)]
    assert iou(masks[0], image > 0) > 0.9
    assert iou(masks[0], image > 0) > iou(masks[1], image > 0)


def test_a_picture_that_is_shown_pixel_by_pixel_costs_one_embedding():
    generalist = Bright()
    Predictor(generalist).set_image(spot((60, 60), place=(30, 30), radius=20)).predict([(30, 30)])
    assert [view.window for view in generalist.seen] == [None]


def sides_seen(generalist: Bright) -> list[tuple[int, int, int | None]]:
    """The width of each view and the limits of its input."""
    whole = [(view.window or (0, 0, *view.size), view) for view in generalist.seen]
    return [(max(w[2] - w[0], w[3] - w[1]), view.least_side, view.most_side) for w, view in whole]


def test_clicks_are_looked_at_from_ever_nearer_until_each_pixel_is_shown():
    generalist = Bright()
    Predictor(generalist).set_image(spot()).predict([(200, 250)])
    assert sides_seen(generalist)[:3] == [(400, 0, 128), (200, 128, 128), (100, 128, 128)]
    assert len(generalist.seen) == 4


@pytest.mark.parametrize(("best", "width"), [(400, 400), (200, 24), (100, 24)])
def test_the_surest_look_tells_what_is_meant(best, width):
    image = np.maximum(spot(), spot(place=(70, 70), radius=60))  # from afar the large spot, near by the clicked one
    generalist = Bright(best)
    Predictor(generalist).set_image(image).predict([(200, 250)])
    assert sides_seen(generalist)[-1][0] == width


def test_a_window_hears_nothing_of_clicks_beside_it():
    generalist = Bright()
    predictor = Predictor(generalist).set_image(spot())
    predictor.predict([(200, 250), (20, 20), (205, 262)], [1, 0, 0], box=(194, 244, 206, 256))
    assert generalist.heard[-1].labels.tolist() == [[1, -1, 0]]


def test_no_look_leaves_a_click_out():
    generalist = Bright()
    Predictor(generalist).set_image(spot()).predict([(10, 10), (290, 390)])
    assert [view.window for view in generalist.seen[:-1]] == [None]


def test_an_object_that_is_neither_small_nor_large_is_seen_as_sharply_as_the_picture_allows():
    generalist = Bright()
    Predictor(generalist).set_image(spot(radius=80)).predict(box=(120, 170, 280, 330))
    assert sides_seen(generalist) == [(400, 0, None)]


def test_asking_again_embeds_nothing_again():
    generalist = Bright()
    predictor = Predictor(generalist).set_image(spot())
    first = predictor.predict([(200, 250)])
    n = len(generalist.seen)
    predictor.predict([(200, 250)], mask=first.mask(0))
    assert len(generalist.seen) == n == 4
    assert first.logits.shape == (1, 1, 128, 128)
    predictor.set_image(spot())
    predictor.predict([(200, 250)])
    assert len(generalist.seen) == 8


def test_answers_come_in_the_order_of_the_prompts():
    image = np.maximum(spot(), spot(place=(50, 60), radius=8))
    boxes = [[42, 52, 58, 68], [192, 242, 208, 258], [43, 53, 57, 67]]
    answer = Predictor(Bright()).set_image(image).segment(Prompts.in_boxes(boxes))
    centres = [np.argwhere(answer.mask(k)).mean(0) for k in range(3)]
    assert np.allclose(centres, [(50, 60), (200, 250), (50, 60)], atol=1)


def test_nothing_found_leaves_the_whole_picture():
    generalist = Bright()
    answer = Predictor(generalist).set_image(np.zeros((300, 300), np.float32)).predict([(5, 5)])
    assert not answer.mask(0).any()
    assert generalist.seen[-1].window is None


def test_wrong_use_is_said():
    with pytest.raises(DataError, match="call set_image"):
        Predictor(Bright()).predict([(1, 1)])
    with pytest.raises(DataError, match="'auto' or 'off'"):
        Predictor(Bright(), zoom="on")


BOXES = st.tuples(st.integers(0, 190), st.integers(0, 290), st.integers(1, 100), st.integers(1, 100))


@settings(deadline=None, max_examples=60)
@given(BOXES)
def test_a_window_holds_its_box_with_room_around(numbers):
    row, column, height, width = numbers
    box = np.array([row, column, min(row + height, 199), min(column + width, 299)], float)
    r0, c0, r1, c1 = window_around(box, (200, 300))
    longest = max(box[2] - box[0], box[3] - box[1]) + 1
    assert r1 - r0 == c1 - c0
    assert max(24, 2 * longest) * 0.97 <= r1 - r0 <= max(24, 2 * longest * 1.42) + 1
    assert r0 <= box[0]
    assert c0 <= box[1]
    assert r1 > box[2]
    assert c1 > box[3]


def test_neighbours_share_a_window():
    windows = {window_around(np.array([100 + k, 100, 110 + k, 112]), (400, 400)) for k in range(3)}
    assert len(windows) == 1


def test_a_window_is_square_in_millimetres():
    r0, c0, r1, c1 = window_around(np.array([40, 40, 59, 79]), (200, 200), spacing=(2.0, 1.0))
    assert (c1 - c0) == pytest.approx(2 * (r1 - r0), abs=1)


def test_a_view_that_gains_little_stays_whole():
    view = View(np.zeros((100, 100)))
    assert closer(view, np.array([20, 20, 63, 63])) is view
    assert closer(view, np.array([20, 20, 70, 70])) == replace(view, most_side=128)
    assert closer(view, np.array([20, 20, 30, 30])).window is not None


def test_joined_answers_have_the_finest_resolution_and_keep_their_best():
    frame = fit_frame((10, 10), 16)
    one = Masks(torch.full((1, 1, 8, 8), 3.0), torch.tensor([[0.2]]), (frame,))
    three = Masks(torch.arange(3.0).reshape(1, 3, 1, 1).expand(1, 3, 16, 16), torch.tensor([[0.1, 0.9, 0.3]]), (frame,))
    both = join_masks([one, three])
    assert both.logits.shape == (2, 3, 16, 16)
    assert both.best.tolist() == [0, 1]
    assert float(both.logits[0, 0].mean()) == pytest.approx(3.0)
