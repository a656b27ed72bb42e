"""Files of prompts: JSON that says of each object where to click, its box, or strokes on and beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.errors import DataError
from frugalseg.generalists.masks import Masks, join_masks
from frugalseg.generalists.predictor import Predictor
from frugalseg.generalists.prompts import BACKGROUND, OBJECT, Prompts
from frugalseg.generalists.strokes import drawn, points_along

SHOWN = 5
"""Points along a stroke in a picture of the prompts."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is said of one object: clicks and a box, or None, and strokes as paths (N, 2) of (row, col) with labels."""

    prompt: Prompts | None
    strokes: tuple[tuple[np.ndarray, int], ...] = ()

    def shown(self) -> Prompts:
        """What a picture of it shows: strokes as points along them."""
        points = [points_along(path, SHOWN) for path, _ in self.strokes]
        labels = [np.full(SHOWN, label) for _, label in self.strokes]
        if self.prompt is None:
            return Prompts.at(np.concatenate(points), np.concatenate(labels))
        points, labels = [self.prompt.points[0], *points], [self.prompt.labels[0], *labels]
        return Prompts.at(np.concatenate(points), np.concatenate(labels), box=self.prompt.boxes)


def answer(predictor: Predictor, requests: Sequence[Request], shape: tuple[int, int]) -> Masks:
    """The answer to each request about the picture (H, W) before a predictor."""
    return join_masks([_answered(predictor, request, shape) for request in requests])


def _answered(predictor: Predictor, request: Request, shape: tuple[int, int]) -> Masks:
    if request.prompt is not None and not request.strokes:
        return predictor.segment(request.prompt)
    return predictor.trace(drawn(request.strokes, shape), request.prompt)


def read_requests(path: Path) -> list[Request]:
    """What a JSON file asks: a list of ``{"points": [[row, col], ...], "labels": [1, ...], "box": [...]}``.

    Beside or instead of them ``"strokes": [{"path": [[row, col], ...], "label": 1}]``. Raises `DataError` that names
    the file and the entry.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file of prompts")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise DataError(f'{path}: must hold a list of prompts such as [{{"points": [[20, 31]], "labels": [1]}}]')
    return [_request(entry, f"{path}: prompt {k}") for k, entry in enumerate(entries)]


def _request(entry: Any, where: str) -> Request:
    if not isinstance(entry, dict) or not entry or set(entry) - {"points", "labels", "box", "strokes"}:
        raise DataError(f"{where}: must hold some of 'points', 'labels', 'box', 'strokes', and nothing else")
    try:
        strokes = tuple(_stroke(stroke) for stroke in entry.get("strokes", ()))
        if strokes and set(entry) == {"strokes"}:
            return Request(None, strokes)
        return Request(Prompts.at(entry.get("points", ()), entry.get("labels"), box=entry.get("box")), strokes)
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: {error}") from None


def _stroke(stroke: Any) -> tuple[np.ndarray, int]:
    if not isinstance(stroke, dict) or "path" not in stroke or set(stroke) - {"path", "label"}:
        raise DataError("a stroke holds its 'path', a list of [row, col], and its 'label', 1 on the object or 0 beside")
    label = stroke.get("label", OBJECT)
    if label not in (OBJECT, BACKGROUND):
        raise DataError(f"the label of a stroke is 1 on the object or 0 beside it, not {label!r}")
    points_along(stroke["path"], SHOWN)  # refuses what is no path
    return np.asarray(stroke["path"], float), int(label)
