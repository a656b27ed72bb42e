"""One picture at a time, the way users of SAM know it: set an image, then ask with clicks, boxes or a rough mask."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from frugalseg.errors import DataError
from frugalseg.generalists.generalist import Embedding, Generalist, View
from frugalseg.generalists.masks import Masks, join_masks
from frugalseg.generalists.prompts import OBJECT, Prompts
from frugalseg.generalists.strokes import MOST_CLICKS, first_click, next_click
from frugalseg.generalists.zoom import closer, extents, glance, nearer, shows_each_pixel

Zoom = Literal["auto", "off"]


class Predictor:
    """A generalist with a picture before it.

    With zoom "auto" an object that is small in the picture is looked at through a window around it: around its box or
    rough mask where there is one, else around what the clicks give at the width where the generalist is surest.
    Embeddings are kept as long as the picture stays.
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
        scribble: np.ndarray | None = None,
    ) -> Masks:
        """The candidates for one object: points (row, col) with labels 1 or 0, a box (row, col, row, col), a mask.

        A scribble (H, W) is 1 on strokes on the object and 0 on those beside it, see `trace`.
        """
        if scribble is None:
            return self.segment(Prompts.at(points, labels, box=box, mask=mask))
        is_named = len(points) > 0 or box is not None or mask is not None
        return self.trace(scribble, Prompts.at(points, labels, box=box, mask=mask) if is_named else None)

    def trace(self, scribble: np.ndarray, prompt: Prompts | None = None) -> Masks:
        """The candidates for the object that a scribble (H, W) is drawn on, and that one prompt names as well.

        Strokes are said click by click, each where the answer so far contradicts them most, as a person would click;
        said all at once, background far from the object is only in the way. Raises `DataError` for a scribble that
        names no object when no prompt does.
        """
        prompt = prompt or Prompts.at([first_click(scribble)])
        said = self.segment(prompt)
        for _ in range(MOST_CLICKS - 1):
            click = next_click(scribble, said.mask(0))
            if click is None:
                break
            points = np.concatenate([prompt.points[0], [click[0]]])
            labels = np.concatenate([prompt.labels[0], [click[1]]])
            rough = said.at_image(0) if "masks" in self.generalist.info.prompts else None
            prompt = Prompts.at(points, labels, box=prompt.boxes, mask=rough)
            said = self.segment(prompt)
        return said

    def segment(self, prompts: Prompts) -> Masks:
        """The candidates for each prompt, in their order."""
        view = self._picture()
        if self.zoom == "off":
            return self.generalist.decode(self._embedded([view])[0], prompts)
        return self._through([self._closer(view, prompts, k, box) for k, box in enumerate(extents(prompts))], prompts)

    def _closer(self, view: View, prompts: Prompts, k: int, box: np.ndarray | None) -> View:
        """The view through which a prompt is answered."""
        found = self._sought(view, prompts[[k]]) if box is None else box
        return view if found is None else closer(view, found)

    def _sought(self, view: View, prompt: Prompts) -> np.ndarray | None:
        """The box of what clicks mean, None when nothing is found.

        They are answered in the whole picture and in ever smaller windows around them, down to one that is shown
        pixel by pixel; the answer with the highest score tells how large the object is.
        """
        clicks = prompt.points[0][prompt.labels[0] == OBJECT]
        box, highest = None, -np.inf
        look: View | None = glance(view)
        while look is not None:
            embedding = self._embedded([look])[0]
            answer = self.generalist.decode(embedding, prompt.within(embedding.frame.window))
            rows, columns = np.nonzero(answer.mask(0, largest=True))
            score = float(answer.scores[0, answer.best[0]])
            if len(rows) and score > highest:
                box, highest = np.array([rows.min(), columns.min(), rows.max(), columns.max()]), score
            is_last = not len(clicks) or shows_each_pixel(look, embedding.frame.side)
            look = None if is_last else nearer(look, clicks)
        return box

    def _through(self, views: Sequence[View], prompts: Prompts) -> Masks:
        """Each prompt answered through its own view; prompts that share one are decoded together."""
        groups: dict[Any, list[int]] = {}
        for k, view in enumerate(views):
            groups.setdefault(_place(view), []).append(k)
        embeddings = self._embedded([views[members[0]] for members in groups.values()])
        parts = [
            self.generalist.decode(embedding, prompts[members].within(embedding.frame.window))
            for embedding, members in zip(embeddings, groups.values(), strict=True)
        ]
        order = np.argsort([k for members in groups.values() for k in members])
        return join_masks(parts)[order]

    def _embedded(self, views: Sequence[View]) -> list[Embedding]:
        missing = {_place(view): view for view in views if _place(view) not in self._embeddings}
        made = self.generalist.embed(list(missing.values())) if missing else []
        self._embeddings.update(zip(missing, made, strict=True))
        return [self._embeddings[_place(view)] for view in views]

    def _picture(self) -> View:
        if self._view is None:
            raise DataError("there is no picture yet: call set_image(image) first")
        return self._view


def _place(view: View) -> tuple[Any, ...]:
    """What tells the views of one picture apart."""
    return view.window, view.most_side
