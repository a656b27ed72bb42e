"""Where the pixels of a network's square input lie in the image."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from frugalseg.errors import DataError

Window = tuple[int, int, int, int]
"""First row, first column, row and column behind the last; may reach beyond the image, which is padded there."""

OUTSIDE = -32.0
"""Logit of the pixels that a window does not see."""


@dataclass(frozen=True)
class Frame:
    """A window of an image, scaled into the upper left part of a square input; the rest of the square is padding.

    `size` is the image's (height, width), `content` the rows and columns of the input that the window fills, and
    `side` the input's. Coordinates are array indices: an integer names the middle of a pixel.
    """

    size: tuple[int, int]
    window: Window
    content: tuple[int, int]
    side: int

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns of the window in pixels of the image."""
        return self.window[2] - self.window[0], self.window[3] - self.window[1]

    @property
    def scale(self) -> np.ndarray:
        """Pixels of the input for each pixel of the image: (2,) for rows and columns."""
        return np.asarray(np.array(self.content) / np.array(self.extent))

    def points_in(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the image as coordinates of the input."""
        return np.asarray((np.asarray(points, float) - self.window[:2] + 0.5) * self.scale - 0.5)

    def boxes_in(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (..., 4), which name their first and last pixel, as boxes of the input that do so too."""
        boxes = np.asarray(boxes, float)
        first = (boxes[..., :2] - self.window[:2]) * self.scale
        last = (boxes[..., 2:] - self.window[:2] + 1) * self.scale - 1
        return np.concatenate([np.minimum(first, last), np.maximum(first, last)], -1)

    def cut(self, image: Tensor) -> Tensor:
        """The input (K, side, side) of an image (K, H, W): cut, scaled with anti-aliasing, padded with zeros.

        Where the window reaches beyond the image, the image's border pixels are repeated.
        """
        if tuple(image.shape[-2:]) != self.size:
            raise DataError(f"an image of {tuple(image.shape[-2:])} pixels does not belong to a frame of {self.size}")
        rows, columns = (
            torch.arange(first, last).clamp(0, n - 1)
            for first, last, n in zip(self.window[:2], self.window[2:], self.size, strict=True)
        )
        part = image[:, rows][:, :, columns]
        if tuple(part.shape[-2:]) != self.content:
            part = _scaled(part, self.content)
        return F.pad(part, (0, self.side - self.content[1], 0, self.side - self.content[0]))

    def into(self, maps: Tensor, *, fill: float) -> Tensor:
        """Maps (N, H, W) that cover the image, seen through this frame: (N, side, side); `fill` where nothing is."""
        if not len(maps):
            return maps.new_zeros(0, self.side, self.side)
        seen = self.cut(F.interpolate(maps[None], size=self.size, mode="bilinear", align_corners=False)[0])
        seen[:, self.content[0] :] = fill
        seen[:, :, self.content[1] :] = fill
        return seen

    def back(self, maps: Tensor) -> Tensor:
        """Logits (N, h, w) of the whole input as logits of the whole image (N, H, W), `OUTSIDE` beyond the window."""
        if not len(maps):
            return maps.new_zeros(0, *self.size)
        whole = F.interpolate(maps[None], size=(self.side, self.side), mode="bilinear", align_corners=False)[0]
        part = whole[:, : self.content[0], : self.content[1]]
        if tuple(part.shape[-2:]) != self.extent:
            part = F.interpolate(part[None], size=self.extent, mode="bilinear", align_corners=False)[0]
        r0, c0, r1, c1 = self.window
        top, left, bottom, right = max(r0, 0), max(c0, 0), min(r1, self.size[0]), min(c1, self.size[1])
        result = maps.new_full((len(maps), *self.size), OUTSIDE)
        result[:, top:bottom, left:right] = part[:, top - r0 : bottom - r0, left - c0 : right - c0]
        return result


def fit_frame(
    size: tuple[int, int], side: int, *, window: Window | None = None, spacing: tuple[float, float] = (1.0, 1.0)
) -> Frame:
    """The frame that keeps the aspect: the window's longer side, in mm, fills the input.

    `spacing` are the millimetres of a pixel along rows and columns, so that pixels of the input are square.
    """
    window = window or (0, 0, *size)
    _check(size, window)
    lengths = ((window[2] - window[0]) * spacing[0], (window[3] - window[1]) * spacing[1])
    longest = max(lengths)
    content = tuple(max(1, int(length * side / longest + 0.5)) for length in lengths)
    return Frame(size, window, (content[0], content[1]), side)


def squash_frame(size: tuple[int, int], side: int, *, window: Window | None = None) -> Frame:
    """The frame that fills the whole square and gives up the aspect, as SAM 2 does."""
    window = window or (0, 0, *size)
    _check(size, window)
    return Frame(size, window, (side, side), side)


def _scaled(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image (K, H, W) at another size, with anti-aliasing."""
    if size[1] == 1:  # torch 2.13 keeps the first row only when it makes a single column, but not a single row
        return F.interpolate(image.mT[None], size=(1, size[0]), mode="bilinear", antialias=True)[0].mT
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def _check(size: tuple[int, int], window: Window) -> None:
    r0, c0, r1, c1 = window
    if not (r0 < r1 and c0 < c1 and r0 < size[0] and c0 < size[1] and r1 > 0 and c1 > 0):
        raise DataError(f"the window {window} holds nothing of an image of {size[0]}x{size[1]} pixels")
