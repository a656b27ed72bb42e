import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from frugalseg.data.formats import read_image, read_values
from frugalseg.errors import DataError
from frugalseg.generalists.classic import Classic
from frugalseg.generalists.generalist import Embedding, View
from frugalseg.generalists.prompts import PADDING, Prompts
from frugalseg.generalists.walker import scene_of, walk
from frugalseg.metrics.overlap import iou

CLASSIC = Classic()


def disc(size, row, column, radius):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.hypot(rows - row, columns - column) <= radius


def noisy(mask, *, contrast=1.0, seed=0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=mask.shape), 1) * 0.3
    return (ndimage.gaussian_filter(mask * contrast, 1) + noise).astype(np.float32)


MASK = disc((90, 120), 50, 40, 14)
IMAGE = noisy(MASK)


def ask(image, prompts, **view):
    return CLASSIC.decode(CLASSIC.embed([View(image, **view)])[0], prompts)


def box_of(mask, room=2):
    rows, columns = np.nonzero(mask)
    return [rows.min() - room, columns.min() - room, rows.max() + room, columns.max() + room]


@pytest.mark.parametrize("contrast", [1.0, -1.0])
@pytest.mark.parametrize(("prompts", "least"), [(Prompts.at([[50, 40]]), 0.85), (Prompts.at(box=box_of(MASK)), 0.85)])
def test_a_disc_is_found_from_one_click_or_a_box(contrast, prompts, least):
    assert iou(ask(noisy(MASK, contrast=contrast), prompts).mask(0), MASK) > least


def test_an_object_that_differs_in_hue_alone_is_found():
    image = np.full((*MASK.shape, 3), 100, np.uint8)
    image[MASK] = (140, 60, 100)
    assert iou(ask(image, Prompts.at([[50, 40]])).mask(0), MASK) > 0.9


@pytest.mark.parametrize("zoom", [4, 1 / 0.6])
def test_large_images_are_answered_in_their_own_pixels(zoom):
    image, mask = ndimage.zoom(IMAGE, zoom, order=1), ndimage.zoom(MASK, zoom, order=0)
    answer = ask(image, Prompts.at([np.array([50, 40]) * zoom]))
    assert iou(answer.mask(0), mask) > 0.85


def test_three_candidates_ascend_in_size_and_a_box_has_one():
    ring = disc(MASK.shape, 50, 40, 28) * 0.5 + disc(MASK.shape, 50, 40, 10) * 0.5
    answer = ask(noisy(ring.astype(float)), Prompts.at([[50, 40]]))
    sizes = [int(answer.mask(0, m).sum()) for m in range(3)]
    assert sizes == sorted(sizes)
    overlaps = [max(iou(answer.mask(0, m), disc(MASK.shape, 50, 40, radius)) for m in range(3)) for radius in (10, 28)]
    assert min(overlaps) > 0.75
    assert ask(IMAGE, Prompts.at(box=box_of(MASK))).scores.shape == (1, 1)


def test_scores_are_shares_and_prefer_the_object_to_noise():
    answer = ask(IMAGE, Prompts.join([Prompts.at([[50, 40]]), Prompts.at([[20, 95]])]))
    assert ((answer.scores >= 0) & (answer.scores <= 1)).all()
    assert answer.scores[0].max() > answer.scores[1].max()


def test_nothing_beside_a_box_is_taken():
    box = [30, 30, 60, 45]
    mask = ask(IMAGE, Prompts.at(box=box)).mask(0)
    mask[30:61, 30:46] = False
    assert not mask[:28].any()
    assert not mask[63:].any()
    assert not mask[:, 48:].any()


def test_a_click_beside_the_object_takes_a_neighbour_away():
    two = MASK | disc(MASK.shape, 50, 64, 14)
    first = ask(noisy(two), Prompts.at(box=box_of(two)))
    second = ask(noisy(two), Prompts.at([[50, 68]], [0], box=box_of(two)))
    assert first.mask(0)[50, 68]
    assert not second.mask(0)[50, 68]
    assert iou(second.mask(0), MASK) > iou(first.mask(0), MASK)


def test_clicks_are_obeyed():
    points, labels = [[50, 40], [50, 75], [10, 10], [44, 34]], [1, 1, 0, 0]
    answer = ask(IMAGE, Prompts.at(points, labels))
    for m in range(3):
        assert [bool(answer.mask(0, m)[tuple(p)]) for p in points] == [True, True, False, False]


def test_a_rough_mask_is_improved():
    rough = np.roll(ndimage.binary_dilation(MASK, iterations=3), 3, axis=1)
    assert iou(ask(IMAGE, Prompts.at(mask=rough)).mask(0, 1), MASK) > iou(rough, MASK) + 0.08


def test_a_click_corrects_a_rough_mask():
    two = MASK | disc(MASK.shape, 50, 80, 10)
    answer = ask(noisy(two), Prompts.at([[50, 80]], [0], mask=two))
    assert max(iou(answer.mask(0, m), MASK) for m in range(3)) > 0.8
    assert not any(answer.mask(0, m)[50, 80] for m in range(3))


@pytest.mark.parametrize("add", [{}, {"box": box_of(MASK)}, {"mask": MASK}, {"box": box_of(MASK), "mask": MASK}])
def test_any_mix_of_prompts_is_answered(add):
    assert iou(ask(IMAGE, Prompts.at([[50, 40], [20, 20]], [1, 0], **add)).mask(0), MASK) > 0.75


def test_a_prompt_is_answered_the_same_alone_and_in_company():
    prompts = Prompts.join([Prompts.at([[50, 40]]), Prompts.at([[50, 44], [10, 10]], [1, 0])])
    assert prompts.labels[0, 1] == PADDING
    together, alone = ask(IMAGE, prompts), ask(IMAGE, prompts[[0]])
    assert torch.equal(together.logits[0], alone.logits[0])
    assert torch.equal(together.scores[0], alone.scores[0])


def test_the_same_question_has_the_same_answer_bit_for_bit():
    a, b = (Classic().embed([View(IMAGE)])[0] for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a.features, b.features, strict=True))
    prompts = Prompts.at([[50, 40]])
    assert torch.equal(Classic().decode(a, prompts).logits, Classic().decode(b, prompts).logits)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_images_of_any_shape_give_finite_answers(height, width, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
    point = [rng.integers(height), rng.integers(width)]
    for prompts in (Prompts.at([point]), Prompts.at(box=[0, 0, height - 1, width - 1])):
        answer = ask(image, prompts)
        assert torch.isfinite(answer.logits).all()
        assert torch.isfinite(answer.scores).all()


@pytest.mark.parametrize("image", [np.zeros((40, 40)), np.full((40, 50, 3), 7, np.uint8)])
def test_a_constant_image_is_answered(image):
    assert torch.isfinite(ask(image, Prompts.at([[20, 20]])).logits).all()


def test_a_window_is_answered_in_pixels_of_the_image():
    answer = ask(IMAGE, Prompts.at([[50, 40]]), window=(25, 15, 80, 70))
    assert iou(answer.mask(0), MASK) > 0.85
    assert answer.at_image(0)[5, 100] < 0


def test_the_side_follows_the_size_of_what_is_seen():
    sizes = [(40, 50), (90, 120), (200, 130), (900, 1200)]
    assert [e.frame.side for e in CLASSIC.embed([View(np.zeros(s)) for s in sizes])] == [64, 128, 256, 256]


def test_embeddings_survive_half_precision():
    embedding = CLASSIC.embed([View(IMAGE)])[0]
    halved = Embedding(tuple(f.half() for f in embedding.features), embedding.frame, embedding.owner)
    prompts = Prompts.at([[50, 40]])
    a, b = (CLASSIC.decode(e, prompts).mask(0) for e in (embedding, halved))
    assert iou(a, b) > 0.97


def test_no_prompts_give_no_answers():
    assert ask(IMAGE, Prompts.in_boxes([])).logits.shape == (0, 1, 128, 128)


def test_what_cannot_be_answered_is_refused():
    embedding = CLASSIC.embed([View(IMAGE)])[0]
    with pytest.raises(DataError, match="names no object"):
        CLASSIC.decode(embedding, Prompts.at([[3, 3]], [0]))
    with pytest.raises(DataError, match="no image tokens"):
        CLASSIC.decode(embedding, Prompts.at([[3, 3]]), features=True)
    with pytest.raises(DataError, match="other weights"):
        CLASSIC.decode(Embedding(embedding.features, embedding.frame, "x"), Prompts.at([[3, 3]]))


def test_the_walker_solves_its_linear_system():
    rng = np.random.default_rng(0)
    scene = scene_of(rng.random((1, 9, 11)).astype(np.float32))
    prior, weight = rng.random((9, 11)), rng.uniform(0.1, 2, (9, 11))
    number = np.arange(99).reshape(9, 11)
    usual = np.concatenate([np.diff(scene.colours[0], axis=axis).ravel() ** 2 for axis in (0, 1)])
    ends = [(number[:-1], number[1:]), (number[:, :-1], number[:, 1:])]
    a, b = (np.concatenate([pair[k].ravel() for pair in ends]) for k in (0, 1))
    edges = np.exp(-2 * usual / usual.mean()) + 1e-3
    graph = sparse.coo_array((np.tile(edges, 2), (np.append(a, b), np.append(b, a))), (99, 99)).tocsr()
    system = sparse.diags_array(graph.sum(1) + weight.ravel()) - graph
    expected = spsolve(system.tocsc(), weight.ravel() * prior.ravel())
    assert np.abs(walk(scene, prior, weight).ravel() - expected).max() < 0.02


@pytest.mark.real
def test_nuclei_are_found_in_their_boxes():
    folder = os.environ.get("FRUGALSEG_DATA")
    if not folder:
        pytest.skip("FRUGALSEG_DATA names no folder of real data")
    from pathlib import Path

    overlaps = []
    for path in sorted(Path(folder, "dsb2018", "images").iterdir())[:5]:
        image = read_image(path).array
        ids = read_values(next(Path(folder, "dsb2018", "labels").glob(path.stem + ".*")))[0]
        largest = ids == np.argmax(np.bincount(ids[ids > 0]))
        overlaps.append(iou(ask(image, Prompts.at(box=np.clip(box_of(largest), 0, None))).mask(0), largest))
    assert np.mean(overlaps) > 0.65
