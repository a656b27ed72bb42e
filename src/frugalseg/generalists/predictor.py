"""One picture at a time, the way users of SAM know it: set an image, then ask with clicks, boxes or a rough mask."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from frugalseg.errors import DataError
from frugalseg.generalists.generalist import Embedding, Generalist, View
from frugalseg.generalists.masks import Masks, join_masks
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.zoom import closer, extents

Zoom = Literal["auto", "off"]


class Predictor:
    """A generalist with a picture before it.

    With zoom "auto" an object that is small in the picture is looked at through a window around it: around its box or
    rough mask where there is one, else around what the clicks give in the whole picture. Embeddings are kept as long
    as the picture stays.
    """

    def __init__(self, generalist: Generalist, *, zoom: Zoom = "auto"):
        if zoom not in ("auto", "off"):
            raise DataError(f"zoom is 'auto' or 'off', not {zoom!r}")
        self.generalist = generalist
        self.zoom = zoom
        self._view: View | None = None
        self._embeddings: dict[Any, Embedding] = {}

    def set_image(self, image: np.ndarray, *, spacing: tuple[float, float] = (1.0, 1.0)) -> "Predictor":
        """Takes a picture (H, W) or (H, W, 3) of any real dtype; `spacing`: mm of a pixel along rows and columns."""
        self._view = View(np.asarray(image), spacing=spacing)
        self._embeddings = {}
        return self

    def predict(
        self,
        points: Sequence[Any] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        *,
        box: Sequence[float] | np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> Masks:
        """The candidates for one object: points (row, col) with labels 1 or 0, a box (row, col, row, col), a mask."""
        return self.segment(Prompts.at(points, labels, box=box, mask=mask))

    def segment(self, prompts: Prompts) -> Masks:
        """The candidates for each prompt, in their order."""
        view = self._picture()
        if self.zoom == "off":
            return self.generalist.decode(self._embedded([view])[0], prompts)
        return self._through([self._closer(view, prompts, k, box) for k, box in enumerate(extents(prompts))], prompts)

    def _closer(self, view: View, prompts: Prompts, k: int, box: np.ndarray | None) -> View:
        """The view through which a prompt is answered."""
        if box is None:
            first = self.generalist.decode(self._embedded([view])[0], prompts[[k]])
            rows, columns = np.nonzero(first.mask(0, largest=True))
            if not len(rows):
                return view
            box = np.array([rows.min(), columns.min(), rows.max(), columns.max()])
        return closer(view, box)

    def _through(self, views: Sequence[View], prompts: Prompts) -> Masks:
        """Each prompt answered through its own view; prompts that share one are decoded together."""
        groups: dict[Any, list[int]] = {}
        for k, view in enumerate(views):
            groups.setdefault(view.window, []).append(k)
        embeddings = self._embedded([views[members[0]] for members in groups.values()])
        parts = [
            self.generalist.decode(embedding, prompts[members])
            for embedding, members in zip(embeddings, groups.values(), strict=True)
        ]
        order = np.argsort([k for members in groups.values() for k in members])
        return join_masks(parts)[order]

    def _embedded(self, views: Sequence[View]) -> list[Embedding]:
        missing = {view.window: view for view in views if view.window not in self._embeddings}
        made = self.generalist.embed(list(missing.values())) if missing else []
        self._embeddings.update(zip(missing, made, strict=True))
        return [self._embeddings[view.window] for view in views]

    def _picture(self) -> View:
        if self._view is None:
            raise DataError("there is no picture yet: call set_image(image) first")
        return self._view
