"""A simulated user of interactive segmentation: clicks where the largest error is, boxes, strokes.

Points are (row, col) of pixel centres. A user with noise 0 is the oracle of the field's benchmarks (RITM, SAM): he
clicks the point of the largest error that lies deepest in it. Real clicks are off-centre and flatter a model less
(RClicks, arXiv 2410.11722): with noise above 0 he clicks anywhere in that error, in its middle more often than at its
border, and his hand misses by about `noise` pixels, so that some clicks lie just outside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy import ndimage

from frugalseg.errors import DataError
from frugalseg.generalists.prompts import BACKGROUND, OBJECT, Prompts
from frugalseg.generalists.strokes import spread_points
from frugalseg.metrics.overlap import iou
from frugalseg.prompt.scribbles import ScribbleSettings, scribble
from frugalseg.settings import Settings

Point = tuple[float, float]

_FARTHEST = 2
"""Pixels beyond the error at which a noisy click lies at most."""

_STROKE = ScribbleSettings(smallest=1, width=1, background=0)


class UserSettings(Settings):
    """How a simulated user works."""

    noise: float = Field(0.0, ge=0)  # pixels by which the hand misses; 0 clicks the centre, above 0 anywhere inside
    stop_at: float | None = Field(None, gt=0, le=1)  # IoU with which he is content; None: he makes all his clicks


@dataclass(frozen=True, eq=False)
class ClickResult:
    """All clicks so far as one prompt, and the IoU of the answer to it."""

    prompts: Prompts
    iou: float


def first_click(mask: np.ndarray, rng: np.random.Generator, *, noise: float) -> Point:
    """The click on a mask (H, W) that opens a session; raises `DataError` when it is empty."""
    return _click(_deepest(_depth(_filled(mask, "click"))), rng, noise)


def next_click(
    truth: np.ndarray,
    predicted: np.ndarray,
    rng: np.random.Generator,
    *,
    noise: float,
    taken: Sequence[Point] = (),
) -> tuple[Point, int] | None:
    """The click that corrects a prediction (H, W), with its label; None when there is nothing to correct.

    The largest error is the one into which the largest disc fits; of equals what is missing comes before what is too
    much. Points in `taken` are not clicked again, as in RITM: an answer that ignores a click would get it for ever.
    """
    missing, extra = _depth(truth & ~predicted), _depth(predicted & ~truth)
    for row, column in taken:
        missing[round(row), round(column)] = extra[round(row), round(column)] = 0
    if not missing.any() and not extra.any():
        return None
    is_missing = missing.max() >= extra.max()
    return _click(_deepest(missing if is_missing else extra), rng, noise), OBJECT if is_missing else BACKGROUND


def click_session(
    answer: Callable[[Prompts], np.ndarray],
    truth: np.ndarray,
    *,
    clicks: int,
    rng: np.random.Generator,
    user: UserSettings,
) -> list[ClickResult]:
    """One result a click: the first click on the truth (H, W), each next one on the largest error of the last answer.

    `answer` gives a boolean mask (H, W). When nothing is left to correct the last result stands for the clicks that
    are left; the list is shorter than `clicks` only for a user who stops with `stop_at`.
    """
    points, labels = [first_click(truth, rng, noise=user.noise)], [OBJECT]
    results: list[ClickResult] = []
    while len(results) < clicks:
        prompts = Prompts.at(points, labels)
        mask = answer(prompts)
        results.append(ClickResult(prompts, iou(mask, truth)))
        if user.stop_at is not None and results[-1].iou >= user.stop_at:
            return results
        click = next_click(truth, mask, rng, noise=user.noise, taken=points)
        if click is None:
            return results + results[-1:] * (clicks - len(results))
        points, labels = [*points, click[0]], [*labels, click[1]]
    return results


def jittered_box(mask: np.ndarray, rng: np.random.Generator, *, pixels: tuple[int, int] = (0, 4)) -> np.ndarray:
    """A box (first row, first column, last row, last column) around a mask, float, within the image.

    Each side lies so many pixels outside of the object, drawn evenly from `pixels`, both ends included; below 0 it
    cuts into the object, but never past its middle. Raises `DataError` when the mask is empty.
    """
    rows, columns = np.nonzero(_filled(mask, "box"))
    tight = np.array([rows.min(), columns.min(), rows.max(), columns.max()])
    middle = np.tile((tight[:2] + tight[2:]) // 2, 2)
    first, last = tight[:2], tight[2:]
    out = rng.integers(pixels[0], pixels[1] + 1, 4)
    box = np.concatenate([np.minimum(first - out[:2], middle[:2]), np.maximum(last + out[2:], middle[2:])])
    return np.asarray(np.clip(box, 0, np.tile(mask.shape, 2) - 1), float)


def points_of_scribble(mask: np.ndarray, n: int, rng: np.random.Generator) -> list[Point]:
    """Points spread along a stroke that a person draws on the largest piece of a mask (H, W).

    Exactly n; they repeat where the stroke is shorter. Raises `DataError` when the mask is empty.
    """
    piece = _deepest(_depth(_filled(mask, "stroke"))) > 0
    box = ndimage.find_objects(piece.astype(np.uint8))[0]
    drawn = scribble(np.where(piece[box], 1, 0).astype(np.uint8), _STROKE, rng=rng)
    corner = [side.start for side in box]
    return [(row + corner[0], column + corner[1]) for row, column in spread_points(drawn == 1, n)]


def _filled(mask: np.ndarray, what: str) -> np.ndarray:
    if not mask.any():
        raise DataError(f"an empty mask has no place for a {what}; leave such objects out")
    return mask


def _depth(mask: np.ndarray) -> np.ndarray:
    """How far each pixel of a mask lies from what does not belong to it, the image's border included; 0 outside."""
    depth = np.zeros(mask.shape)
    found = ndimage.find_objects(mask.astype(np.uint8))
    if found:
        depth[found[0]] = ndimage.distance_transform_edt(np.pad(mask[found[0]], 1))[1:-1, 1:-1]
    return depth


def _deepest(depth: np.ndarray) -> np.ndarray:
    """The depth (H, W) of the connected region with the deepest point alone."""
    regions, _ = ndimage.label(depth > 0, structure=np.ones((3, 3)))
    return np.where(regions == regions.flat[int(depth.argmax())], depth, 0)


def _click(depth: np.ndarray, rng: np.random.Generator, noise: float) -> Point:
    """The deepest point of a region, or with noise a drawn one and a hand that misses it.

    On small regions the hand is surer: people zoom in.
    """
    if noise <= 0:
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        return float(row), float(column)
    places = np.flatnonzero(depth)
    weights = depth.flat[places]
    aim = np.array(np.unravel_index(int(rng.choice(places, p=weights / weights.sum())), depth.shape))
    miss = np.clip(rng.normal(0, min(noise, float(depth.max()) / 4), 2), -_FARTHEST, _FARTHEST)
    row, column = np.clip(np.rint(aim + miss), 0, np.array(depth.shape) - 1)
    return float(row), float(column)
