from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.errors import DataError
from frugalseg.generalists.frame import OUTSIDE, Frame, fit_frame, squash_frame
from frugalseg.generalists.generalist import GeneralistInfo, View
from frugalseg.generalists.masks import Masks, largest_piece
from frugalseg.generalists.pixels import to_rgb
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.pyramid import PyramidGeneralist
from frugalseg.generalists.sam import Intake, SamGeneralist, standard

SIDE = 64
few = settings(max_examples=40, deadline=None)


@st.composite
def frames(draw: st.DrawFn, *, beyond: int = 12) -> Frame:
    """Frames of both kinds, of odd aspects, with windows that may reach beyond the image, with spacing."""
    size = draw(st.integers(2, 150)), draw(st.integers(2, 150))
    window = None
    if draw(st.booleans()):
        first = [draw(st.integers(-beyond, n - 1)) for n in size]
        last = [draw(st.integers(max(f, 0) + 1, n + beyond)) for f, n in zip(first, size, strict=True)]
        window = (first[0], first[1], last[0], last[1])
    if draw(st.booleans()):
        return squash_frame(size, SIDE, window=window)
    spacing = draw(st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)))
    return fit_frame(size, SIDE, window=window, spacing=spacing)


def seen(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixel of the image that the frame shows."""
    window = np.array(frame.window)
    return np.maximum(window[:2], 0), np.minimum(window[2:], frame.size) - 1


def pixel_of(frame: Frame) -> np.ndarray:
    """How exact the way back can be: a pixel of the image and one of the input, in pixels of the image."""
    return 0.99 + 1 / frame.scale


@few
@given(frames(), st.data())
def test_a_hill_at_a_point_comes_back_with_its_top_at_the_point(frame, data):
    low, high = seen(frame)
    point = np.array([data.draw(st.integers(int(a), int(b))) for a, b in zip(low, high, strict=True)])
    row, column = frame.points_in(point)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    hill = -((rows - row) ** 2 + (columns - column) ** 2) / SIDE
    back = frame.back(torch.from_numpy(hill)[None].float())[0].numpy()
    top = np.argwhere(back == back.max()).mean(0)
    assert back.shape == frame.size
    assert (np.abs(top - point) <= pixel_of(frame) + 1e-6).all()


@few
@given(frames(), st.data())
def test_a_painted_box_comes_back_within_a_pixel(frame, data):
    low, high = seen(frame)
    a, b = (np.array([data.draw(st.integers(int(x), int(y))) for x, y in zip(low, high, strict=True)]) for _ in "ab")
    box = np.concatenate([np.minimum(a, b), np.maximum(a, b)])
    painted = paint(frame.boxes_in(box)[None] + [0, 0, 1, 1], SIDE)
    mask = frame.back(painted)[0].numpy() > 0
    if not mask.any():
        assert ((box[2:] - box[:2] + 1) <= 2 * pixel_of(frame)).any()
        return
    rows, columns = np.nonzero(mask)
    found = np.array([rows.min(), columns.min(), rows.max(), columns.max()])
    assert (np.abs(found - box) <= np.tile(pixel_of(frame), 2) + 1e-6).all()


def paint(edges: np.ndarray, side: int) -> torch.Tensor:
    """Logits (P, side, side) of boxes with those edges: the share of each pixel that lies inside, from -8 to 8."""
    cells = np.arange(side)
    first, last = (
        (np.maximum(edges[:, k, None], cells) for k in (0, 1)),
        (np.minimum(edges[:, k, None], cells + 1) for k in (2, 3)),
    )
    rows, columns = (np.clip(b - a, 0, 1) for a, b in zip(first, last, strict=True))
    return torch.from_numpy(16 * rows[:, :, None] * columns[:, None, :] - 8).float()


@few
@given(frames(beyond=0))
def test_pixels_lie_in_the_input_where_points_say(frame):
    image = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in frame.size), indexing="ij"))
    cut = frame.cut(image)
    rows, columns = frame.content
    places = frame.points_in(cut[:, :rows, :columns].permute(1, 2, 0).numpy())
    expected = np.stack(np.mgrid[:rows, :columns], -1)
    margin = np.ceil(frame.scale + 1).astype(int)  # at the border the image is repeated
    inner = (slice(margin[0], rows - margin[0]), slice(margin[1], columns - margin[1]))
    assert cut.shape == (2, SIDE, SIDE)
    np.testing.assert_allclose(places[inner], expected[inner], atol=0.15)  # the filter is no exact one


@few
@given(frames())
def test_the_padding_is_zero_and_the_rest_is_not(frame):
    cut = frame.cut(torch.ones(1, *frame.size))
    rows, columns = frame.content
    assert torch.allclose(cut[:, :rows, :columns], torch.ones(1))
    assert cut.sum().item() == pytest.approx(rows * columns, rel=1e-4)


@few
@given(frames())
def test_beyond_the_window_nothing_is_said(frame):
    back = frame.back(torch.full((1, 16, 16), 3.0))[0]
    (r0, c0), (r1, c1) = seen(frame)
    expected = torch.full(frame.size, OUTSIDE)
    expected[r0 : r1 + 1, c0 : c1 + 1] = 3
    torch.testing.assert_close(back, expected)


@few
@given(frames(beyond=0))
def test_a_smooth_mask_survives_the_way_in_and_back(frame):
    rows, columns = (torch.linspace(-4, 4, n) for n in frame.size)
    rough = rows[:, None] + columns[None, :]
    inside = frame.into(rough[None], fill=0.0)
    (r0, c0), (r1, c1) = seen(frame)
    error = (frame.back(inside)[0] - rough)[r0 : r1 + 1, c0 : c1 + 1].abs()
    steps = 8 / (np.array(frame.size) - 1) * pixel_of(frame)
    assert error.max() <= steps.sum() + 1e-3


def test_the_whole_box_fills_the_content():
    frame = fit_frame((30, 50), SIDE)
    np.testing.assert_allclose(frame.boxes_in(np.array([0, 0, 29, 49])), [0, 0, 37, 63], atol=1e-9)


def test_a_box_smaller_than_a_pixel_of_the_input_keeps_its_corners_in_order():
    box = fit_frame((640, 640), SIDE).boxes_in(np.array([5, 7, 5, 7]))
    assert (box[:2] <= box[2:]).all()


def test_pixels_of_the_input_are_square_millimetres():
    assert fit_frame((20, 100), SIDE, spacing=(5.0, 1.0)).content == (64, 64)
    assert fit_frame((40, 40), SIDE, spacing=(1.0, 2.0)).content == (32, 64)


@pytest.mark.parametrize("size", [(2, 200), (200, 2)])
def test_a_sliver_is_shown_along_its_whole_length(size):
    length = torch.arange(200.0).reshape(1, *(n if n == 200 else 1 for n in size)).expand(1, *size)
    frame = fit_frame(size, SIDE)
    shown = frame.cut(length)[0][: frame.content[0], : frame.content[1]].flatten()
    assert 1 in frame.content
    assert (shown.diff() > 2).all()


def test_a_sliver_keeps_one_row_at_least():
    assert fit_frame((2, 5000), SIDE).content == (1, 64)


@pytest.mark.parametrize("window", [(5, 5, 5, 9), (20, 0, 30, 9), (-9, 0, 0, 9), (0, 40, 9, 50), (3, 9, 8, 2)])
@pytest.mark.parametrize("lay", [fit_frame, squash_frame])
def test_a_window_that_holds_nothing_of_the_image_is_refused(lay, window):
    with pytest.raises(DataError, match="holds nothing of an image of 20x40 pixels"):
        lay((20, 40), SIDE, window=window)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(DataError, match="does not belong to a frame"):
        fit_frame((20, 40), SIDE).cut(torch.zeros(3, 40, 20))


def test_no_maps_come_back_as_none():
    frame = fit_frame((20, 40), SIDE)
    assert frame.back(torch.zeros(0, 16, 16)).shape == (0, 20, 40)
    assert frame.into(torch.zeros(0, 5, 5), fill=0.0).shape == (0, SIDE, SIDE)


def boxes_painted(tokens, points, labels, boxes, masks):
    """A decoder for tests: it paints the box (x, y as parts of the side) that it is given."""
    edges = boxes.numpy()[:, [1, 0, 3, 2]] * SIDE + [-0.5, -0.5, 0.5, 0.5]
    logits = paint(edges, SIDE)[:, None].expand(-1, 4, -1, -1)
    return logits, torch.ones(len(boxes), 4), tokens.expand(len(boxes), -1, -1, -1)


class PaintingDecoder(torch.nn.Module):
    def on(self, tokens):
        return partial(boxes_painted, tokens)


class Tokens(torch.nn.Module):
    def forward(self, pixels):
        return torch.zeros(len(pixels), 256, SIDE // 4, SIDE // 4)


class OneMap(Tokens):
    def forward(self, pixels):
        return (super().forward(pixels),)


class PaintingPyramid(torch.nn.Module):
    def forward(self, maps, prompts):
        return boxes_painted(maps[0], *prompts)


def painting(kind: str):
    """Generalists of every kind with a fake network that paints the box."""
    info = GeneralistInfo("fake", "none", "fake", frozenset({"boxes"}))
    intake = Intake((SIDE,), standard, squashes=kind.endswith("squash"))
    if kind.startswith("sam"):
        return SamGeneralist(info, Tokens(), PaintingDecoder(), intake)

    return PyramidGeneralist(info, OneMap(), PaintingPyramid(), intake)


@pytest.mark.parametrize("kind", ["sam-fit", "sam-squash", "pyramid-fit", "pyramid-squash"])
@pytest.mark.parametrize(
    ("shape", "window", "spacing"),
    [
        ((90, 200), None, (1, 1)),
        ((200, 90), None, (1, 1)),
        ((90, 200), (-20, 40, 100, 140), (1, 1)),
        ((40, 200), None, (5, 1)),
    ],
)
def test_a_box_on_a_picture_that_is_not_square_comes_back_where_it_was(kind, shape, window, spacing):
    generalist = painting(kind)
    embedding = generalist.embed([View(np.eye(*shape), window, spacing)])[0]
    boxes = np.array([[10, 50, 29, 79], [12, 60, 35, 88]])
    masks = generalist.decode(embedding, Prompts.in_boxes(boxes))
    for k, (r0, c0, r1, c1) in enumerate(boxes):
        truth = np.zeros(shape, bool)
        truth[r0 : r1 + 1, c0 : c1 + 1] = True
        rows, columns = np.nonzero(masks.mask(k))
        away = np.abs([rows.min() - r0, columns.min() - c0, rows.max() - r1, columns.max() - c1])
        assert (away <= np.tile(pixel_of(embedding.frame), 2)).all()
        overlap = (masks.mask(k) & truth).sum() / (masks.mask(k) | truth).sum()
        assert overlap >= 0.8


def prompt_of(**changes):
    given = {"points": np.zeros((2, 1, 2)), "labels": np.ones((2, 1), int), "boxes": None, "masks": None}
    return Prompts(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"points": np.zeros((2, 2))}, "points must have shape"),
        ({"labels": np.ones((1, 1), int)}, "points must have shape"),
        ({"labels": np.full((2, 1), 2)}, "point labels are 1"),
        ({"labels": np.full((2, 1), -1)}, "without points needs a box or a mask"),
        ({"points": np.full((2, 1, 2), np.nan)}, "not a finite number"),
        ({"boxes": np.zeros((1, 4))}, r"boxes must have shape \(2, 4\)"),
        ({"boxes": np.array([[5.0, 5, 4, 9]] * 2)}, "upper left before its lower right"),
        ({"boxes": np.full((2, 4), np.nan)}, "not a finite number"),
        ({"masks": np.zeros((1, 8, 8))}, r"masks must have shape \(2, h, w\)"),
        ({"masks": np.ones((2, 8, 8), bool)}, "masks must be logits as floats, not bool"),
        ({"masks": np.full((2, 8, 8), np.inf)}, "not a finite number"),
    ],
)
def test_prompts_that_mean_nothing_are_refused(changes, reason):
    with pytest.raises(DataError, match=reason):
        prompt_of(**changes)


@pytest.mark.parametrize(
    ("points", "labels", "box"),
    [
        ([[1, 2, 3], [4, 5, 6]], None, None),
        ([[1, 2], [3, 4]], [1], None),
        ([[1, 2]], [257], None),
        ([[1, 2]], [0.5], None),
        ([[1, 2]], None, [[1, 2], [3, 4]]),
        ([[1, 2]], None, [1, 2, 3]),
        ([], None, None),
    ],
)
def test_one_prompt_of_the_wrong_shape_is_refused_and_never_reshaped(points, labels, box):
    with pytest.raises(DataError):
        Prompts.at(points, labels, box=box)


def test_boxes_that_are_not_rows_of_four_are_refused():
    with pytest.raises(DataError, match="4 numbers each"):
        Prompts.in_boxes(np.zeros((4, 2)))


def test_one_point_and_one_box_may_come_without_outer_brackets():
    assert Prompts.at([3, 4], box=[1, 2, 5, 6]).points.shape == (1, 1, 2)
    assert len(Prompts.in_boxes([1, 2, 5, 6])) == 1


def test_a_boolean_mask_becomes_logits():
    prompts = Prompts.at(mask=np.eye(3, dtype=bool))
    assert set(np.unique(prompts.masks)) == {-8, 8}
    assert prompts.kinds == {"masks"}


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
@few
def test_joined_prompts_can_be_taken_apart_again(numbers, data):
    parts = [Prompts.at(np.arange(2.0 * n).reshape(n, 2), [1] * n) for n in numbers]
    joined = Prompts.join(parts)
    k = data.draw(st.integers(0, len(parts) - 1))
    one = joined[[k]]
    assert len(joined) == len(parts)
    assert joined.labels.shape == (len(parts), max(numbers))
    kept = one.labels[0] != -1
    np.testing.assert_array_equal(one.points[0][kept], parts[k].points[0])


def test_prompts_of_different_kinds_cannot_be_joined():
    with pytest.raises(DataError, match="cannot be joined"):
        Prompts.join([Prompts.at([[1, 2]]), Prompts.in_boxes([1, 2, 3, 4])])


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32, np.float64, np.float16])
def test_a_grey_picture_is_stretched_without_rounding(dtype):
    values = np.arange(2000).reshape(40, 50).astype(dtype)
    pixels = to_rgb(values)
    inner = pixels[0].flatten()[20:-20]
    assert pixels.shape == (3, 40, 50)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (inner.diff() > 0).all() or dtype is np.float16


def test_small_steps_on_a_large_offset_are_kept():
    pixels = to_rgb(1_000_000_000 + np.arange(100).reshape(10, 10))
    assert len(torch.unique(pixels)) > 90


def test_colour_of_eight_bits_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 200, (5, 7, 4), np.uint8)
    np.testing.assert_array_equal(to_rgb(image).numpy(), image[..., :3].transpose(2, 0, 1))


@pytest.mark.parametrize("image", [np.full((4, 6), 7), np.zeros((4, 6, 3), np.float32), np.ones((4, 6, 1), bool)])
def test_a_constant_picture_is_black(image):
    pixels = to_rgb(image)
    assert pixels.shape == (3, 4, 6)
    assert pixels.dtype == torch.float32
    assert not pixels.any()


def test_one_bright_pixel_is_seen_although_percentiles_miss_it():
    image = np.zeros((50, 50), np.uint16)
    image[3, 4] = 9000
    assert to_rgb(image)[0, 3, 4] == 255


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_picture_with_holes_is_refused(value):
    image = np.ones((4, 6))
    image[2, 2] = value
    with pytest.raises(DataError, match="NaN or infinite"):
        to_rgb(image)


@pytest.mark.parametrize("shape", [(4,), (4, 6, 2), (4, 6, 5), (2, 4, 6, 3), (0, 6), ()])
def test_what_is_not_a_picture_is_refused(shape):
    with pytest.raises(DataError, match=r"pictures of shape \(H, W\) or \(H, W, 3\)"):
        to_rgb(np.zeros(shape))


@pytest.mark.parametrize("dtype", [complex, object, "U1", "datetime64[s]"])
def test_pixels_that_are_not_numbers_are_refused(dtype):
    with pytest.raises(DataError, match="real numbers"):
        to_rgb(np.zeros((4, 6), dtype))


def test_the_best_candidate_is_the_one_with_the_highest_score():
    logits = torch.stack([torch.full((8, 8), float(v)) for v in (-1, 1, 2)])[None]
    masks = Masks(logits, torch.tensor([[0.1, 0.9, 0.9]]), (squash_frame((8, 8), 8),))
    assert masks.best.tolist() == [1]
    assert masks.at_image(0).max() == 1
    assert masks.at_image(0, 2).max() == 2


def test_a_mask_can_be_cut_to_its_largest_piece_and_filled():
    logits = torch.full((1, 1, 9, 9), -1.0)
    logits[0, 0, 1:6, 1:6] = 1
    logits[0, 0, 3, 3] = -1
    logits[0, 0, 8, 8] = 1
    masks = Masks(logits, torch.ones(1, 1), (squash_frame((9, 9), 9),))
    assert masks.mask(0).sum() == 25
    assert masks.mask(0, largest=True, filled=True).sum() == 25
    assert masks.mask(0, largest=True).sum() == 24


def test_of_equal_pieces_the_first_one_is_kept():
    mask = np.zeros((5, 5), bool)
    mask[0, 3], mask[4, 0] = True, True
    assert np.argwhere(largest_piece(mask)).tolist() == [[0, 3]]


def test_masks_whose_parts_do_not_fit_are_refused():
    with pytest.raises(DataError, match="do not belong together"):
        Masks(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1), (squash_frame((4, 4), 4),))
