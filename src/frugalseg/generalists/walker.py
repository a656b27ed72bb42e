"""Colours and edges of a picture: which colours an object has, and the random walker that ends at its border."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

BLUR = 1.0
"""Sigma in pixels of the smoothing before anything is compared."""

BINS = {1: (16, 16), 3: (10, 10, 10)}
"""Bins of the histograms: brightness and texture of grey pictures, red, green and blue of coloured ones."""

SURE = 50.0
"""Weight of what is known for certain, against about 4 of a pixel's neighbours."""

_STEEP, _LEAKAGE = 2.0, 1e-3  # how fast an edge stops the walker, and what it lets through
_MOST_EVIDENCE = 3.0  # of one pixel's colour, as a logit
_STEPS, _ENOUGH = 200, 1e-2  # of the solver


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture as the walker sees it: `colours` (K, H, W) in standard deviations, `codes` (H, W) their bins."""

    colours: np.ndarray
    codes: np.ndarray

    def part(self, rows: slice, columns: slice) -> "Scene":
        """A rectangle of it."""
        return Scene(self.colours[:, rows, columns], self.codes[rows, columns])

    def histogram(self, weights: np.ndarray) -> np.ndarray:
        """The smoothed distribution of the colours of all pixels, flat, each weighted; even for no weight at all."""
        bins = BINS[len(self.colours)]
        counts = np.bincount(self.codes.ravel(), weights.ravel().astype(float), int(np.prod(bins)))
        smooth = ndimage.gaussian_filter(counts.reshape(bins), 1.0, mode="nearest").ravel()
        floor = 0.01 * smooth.sum() / smooth.size + 1e-9
        return np.asarray((smooth + floor) / (smooth + floor).sum())

    def evidence(self, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
        """How much each pixel's colour speaks for the object (H, W), as a logit, given the weights of both sides.

        The larger side is the more likely one, but only by the root of their ratio: the first guess may be wrong.
        """
        share = (float(inside.sum()) + 1) / (float(outside.sum()) + 1)
        ratio = np.log(self.histogram(inside) / self.histogram(outside)) + np.log(share) / 2
        return np.asarray(np.clip(ratio, -_MOST_EVIDENCE, _MOST_EVIDENCE)[self.codes])


def scene_of(picture: np.ndarray) -> Scene:
    """The scene of a picture (K, H, W) with K = 1 or 3."""
    smooth = np.stack([ndimage.gaussian_filter(channel, BLUR) for channel in picture])
    spread = float(smooth.std())
    colours = (smooth - smooth.mean((1, 2), keepdims=True)) / (spread or 1.0)
    bins = BINS[len(picture)]
    seen = [smooth[0], _texture(picture[0])] if len(picture) == 1 else list(smooth)
    codes = np.ravel_multi_index([_binned(c, n) for c, n in zip(seen, bins, strict=True)], bins)
    return Scene(colours.astype(np.float32), np.asarray(codes))


def _texture(channel: np.ndarray) -> np.ndarray:
    """The logarithm of the standard deviation around each pixel."""
    mean = ndimage.uniform_filter(channel, 5)
    variance = ndimage.uniform_filter(channel**2, 5) - mean**2
    return np.asarray(np.log(np.sqrt(np.maximum(variance, 0)) + 0.01))


def _binned(values: np.ndarray, n: int) -> np.ndarray:
    low, high = np.percentile(values, (0.5, 99.5))
    return np.asarray(np.clip((values - low) / (high - low + 1e-9) * n, 0, n - 1).astype(int))


def walk(scene: Scene, prior: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The probability (H, W) that a random walker, who rarely crosses edges, ends in the object.

    `prior` (H, W) is the probability by itself, `weight` how strongly each pixel holds on to it; all above 0.
    Source: Grady, Multilabel random walker image segmentation using prior models (CVPR 2005): it minimises
    sum w_ij (x_i - x_j)^2 + sum weight_i (x_i - prior_i)^2.
    """
    down, right = _conductance(scene.colours)
    degree = weight.astype(np.float32)
    degree[1:] += down
    degree[:-1] += down
    degree[:, 1:] += right
    degree[:, :-1] += right

    def system(x: np.ndarray) -> np.ndarray:
        y = degree * x
        y[1:] -= down * x[:-1]
        y[:-1] -= down * x[1:]
        y[:, 1:] -= right * x[:, :-1]
        y[:, :-1] -= right * x[:, 1:]
        return np.asarray(y)

    x = prior.astype(np.float32)
    residual = weight.astype(np.float32) * x - system(x)
    step = better = residual / degree
    fit = float((residual * better).sum())
    for _ in range(_STEPS):  # conjugate gradients with Jacobi's preconditioner
        if float(np.abs(better).max()) < _ENOUGH:
            break
        change = system(step)
        length = fit / float((step * change).sum())
        x = x + length * step
        residual = residual - length * change
        better = residual / degree
        last, fit = fit, float((residual * better).sum())
        step = better + fit / last * step
    return np.asarray(np.clip(x, 0.0, 1.0))


def _conductance(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How easily the walker goes from each pixel down (H-1, W) and right (H, W-1)."""
    down = ((colours[:, 1:] - colours[:, :-1]) ** 2).sum(0)
    right = ((colours[:, :, 1:] - colours[:, :, :-1]) ** 2).sum(0)
    usual = (float(down.sum()) + float(right.sum())) / max(1, down.size + right.size) + 1e-9
    return np.exp(-_STEEP * down / usual) + _LEAKAGE, np.exp(-_STEEP * right / usual) + _LEAKAGE
