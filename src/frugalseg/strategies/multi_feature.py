"""The multi-feature distance of CoreCLR: how different two units are, as a sum of terms without units.

    D(x, c) = sum over terms of weight * d(x, c) / (median of d over random pairs)

with the distance of the learnt features, the root mean square difference of pixels under the mask of what was drawn on
c, and whether patient, phase and place in the volume differ.

Source: "MultiFeature Coreset" of CoreCLR. We differ: (a) only labels drawn before this batch give a mask, picks of the
same batch count with all their pixels, for nobody has drawn on them yet; (b) each term is divided by its median, so
weights mean the same on every data set; (c) a mean over the mask, not a sum, so that a long stroke weighs no more than
a short one; (d) uncertainty multiplies the distance in `frugalseg.strategies.coreclr` and is none of its terms, so a
unit is never far from itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Float32, Int
from pydantic import Field

from frugalseg.data.pool import PoolView
from frugalseg.seeds import stream
from frugalseg.settings import Settings
from frugalseg.strategies.distances import ROWS, Points
from frugalseg.strategies.embedding.pictures import Picture
from frugalseg.strategies.places import Places

PAIRS = 2000
"""Random pairs by which a term is measured."""

AT_ONCE = 64
"""Centres to which distances are measured together."""

ALL = slice(None)

Rows = slice | Int[np.ndarray, " n"]
"""The units to which distances are wanted: `ALL` of them, or their numbers."""


class MultiFeatureSettings(Settings):
    """Weights of the terms; equal weights mean equal shares in the distance of two random units. All ours."""

    feature: float = Field(1.0, ge=0)
    pixel: float = Field(0.25, ge=0)
    patient: float = Field(0.25, ge=0)
    phase: float = Field(0.1, ge=0)
    position: float = Field(0.25, ge=0)
    beyond: float = Field(0.0, ge=0, le=1)  # weight of pixels outside of the mask; 0 as in the paper's experiments
    side: int = Field(64, ge=8)  # pixels of the side of the pictures that are compared
    uncertainty: float = Field(0.5, ge=0)  # exponent of the model's uncertainty, which multiplies the distance; 0: none


class Term(Protocol):
    """A distance between N units, each named by its number."""

    def columns(self, centres: Int[np.ndarray, " k"], rows: Rows = ALL) -> Float32[np.ndarray, "n k"]:
        """The distance of every unit, or of those in `rows`, to each of the centres."""
        ...

    def between(self, a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """The distance of each a to the b at the same place, both without a label."""
        ...


class FeatureTerm:
    """Euclidean distance of features (N, D)."""

    def __init__(self, features: Float[np.ndarray, "N D"]) -> None:
        self.points = Points(features)

    def columns(self, centres: Int[np.ndarray, " k"], rows: Rows = ALL) -> Float32[np.ndarray, "n k"]:
        """The distance of every unit, or of those in `rows`, to each of the centres."""
        points = self.points if isinstance(rows, slice) else self.points.part(rows)
        blocks = points.squared(self.points.rows(centres))
        return np.asarray(np.sqrt(np.concatenate([d for _, d in blocks])))

    def between(self, a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """The distance of each a to the b at the same place."""
        return np.asarray(np.linalg.norm(self.points.rows(a) - self.points.rows(b), axis=1))


class PixelTerm:
    """Root mean square difference of pictures (N, P), under the mask (P,) of the centre where it has one.

    sum_p m (x - c)^2 = x^2 . m - 2 x . (m c) + m . c^2 is two matrix products for many centres, block by block. A mask
    counts `beyond` where it is 0. Pixels of type uint8 count from 0 to 1.
    """

    def __init__(self, pixels: np.ndarray, masks: Mapping[int, np.ndarray], *, beyond: float = 0.0) -> None:
        self.pixels, self.masks, self.beyond = pixels, masks, beyond
        self.scale = np.float32(1 / 255 if pixels.dtype == np.uint8 else 1)
        self.mean = np.zeros(pixels.shape[1], np.float32)
        total = sum(self._rows(w).sum(0, dtype=np.float64) for w in self._blocks())
        self.mean = np.asarray(total / len(pixels), np.float32)  # taken off, so that fewer digits cancel

    def columns(self, centres: Int[np.ndarray, " k"], rows: Rows = ALL) -> Float32[np.ndarray, "n k"]:
        """The distance of every unit, or of those in `rows`, to each of the centres, under the centre's mask."""
        m = np.stack([self._mask(int(c)) for c in centres])
        c = self._rows(centres)
        mc, constant, size = m * c, np.einsum("kp,kp->k", m, c * c), m.sum(1)
        squared = []
        for where in self._blocks() if isinstance(rows, slice) else np.split(rows, range(ROWS, len(rows), ROWS)):
            x = self._rows(where)
            squared.append((x * x) @ m.T - 2 * (x @ mc.T) + constant)
        return np.asarray(np.sqrt(np.maximum(np.concatenate(squared), 0) / size))

    def between(self, a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """The distance of each a to the b at the same place, over all pixels."""
        gaps = [self._rows(a[k : k + ROWS]) - self._rows(b[k : k + ROWS]) for k in range(0, len(a), ROWS)]
        return np.concatenate([np.sqrt(np.square(gap).mean(1)) for gap in gaps])

    def _mask(self, centre: int) -> np.ndarray:
        mask = self.masks.get(centre)
        if mask is None or not mask.any():
            return np.ones_like(self.mean)
        return np.asarray(mask + self.beyond * (1 - mask), np.float32)

    def _rows(self, where: slice | np.ndarray) -> np.ndarray:
        return np.asarray(np.asarray(self.pixels[where], np.float32) * self.scale - self.mean)

    def _blocks(self) -> list[slice]:
        return [slice(start, start + ROWS) for start in range(0, len(self.pixels), ROWS)]


class DifferenceTerm:
    """1 where the numbers (N,) of two units differ, else 0."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    def columns(self, centres: Int[np.ndarray, " k"], rows: Rows = ALL) -> Float32[np.ndarray, "n k"]:
        """1 where every unit, or each of those in `rows`, differs from each of the centres."""
        return np.asarray(self.numbers[rows, None] != self.numbers[centres][None, :], np.float32)

    def between(self, a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """1 where a and b differ."""
        return np.asarray(self.numbers[a] != self.numbers[b], np.float32)


class GapTerm:
    """The absolute difference of a value (N,) of two units."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.asarray(values, np.float32)

    def columns(self, centres: Int[np.ndarray, " k"], rows: Rows = ALL) -> Float32[np.ndarray, "n k"]:
        """The difference of every unit, or of those in `rows`, to each of the centres."""
        return np.asarray(np.abs(self.values[rows, None] - self.values[centres][None, :]))

    def between(self, a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """The difference of each a to the b at the same place."""
        return np.asarray(np.abs(self.values[a] - self.values[b]))


@dataclass(frozen=True, eq=False)
class WeightedTerms:
    """A weighted sum of terms is a term too."""

    terms: Sequence[tuple[float, Term]]

    def columns(self, centres: Int[np.ndarray, " k"], rows: Rows = ALL) -> Float32[np.ndarray, "n k"]:
        """The distance of every unit, or of those in `rows`, to each of the centres."""
        return np.asarray(sum(np.float32(weight) * term.columns(centres, rows) for weight, term in self.terms))

    def between(self, a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
        """The distance of each a to the b at the same place."""
        return np.asarray(sum(np.float32(weight) * term.between(a, b) for weight, term in self.terms))


def unit_free(terms: Sequence[tuple[float, Term]], n: int, *, seed: int) -> WeightedTerms:
    """The sum of terms of n units, each divided by its median over random pairs, by its mean where that is 0.

    A term in which all units are equal says nothing and is left out.
    """
    a, b = stream(seed, "pairs").integers(0, n, (2, PAIRS))
    a, b = a[a != b], b[a != b]
    found = []
    for weight, term in terms:
        distances = term.between(a, b) if weight and len(a) else np.zeros(1)
        scale = float(np.median(distances)) or float(distances.mean())
        if scale:
            found.append((weight / scale, term))
    return WeightedTerms(found or terms[:1])


def multi_feature(
    view: PoolView, places: Places, features: np.ndarray, pixels: np.ndarray, settings: MultiFeatureSettings
) -> Term:
    """The distance above; `features` (N, D) of the units, `pixels` (P, K, S, S) uint8 of the pictures."""
    seen = places.means(pixels)
    masks = {int(i): _drawn_mask(view, places, int(i), seen.shape[1:]) for i in places.drawn}
    phases = np.unique([picture.phase for picture in places.firsts], return_inverse=True)[1]
    terms: list[tuple[float, Term]] = [
        (settings.feature, FeatureTerm(features)),
        (settings.pixel, PixelTerm(seen.reshape(len(seen), -1), masks, beyond=settings.beyond)),
        (settings.patient, DifferenceTerm(places.groups)),
        (settings.phase, DifferenceTerm(phases)),
        (settings.position, GapTerm(places.positions)),
    ]
    return unit_free(terms, len(places.units), seed=view.seed)


def nearest_of(term: Term) -> Callable[[Sequence[int] | np.ndarray], np.ndarray]:
    """The distance of each unit to the nearest of some, as `k_centre_by` asks for it."""

    def distance(indices: Sequence[int] | np.ndarray) -> np.ndarray:
        chosen = np.asarray(indices, np.int64)
        parts = [term.columns(chosen[k : k + AT_ONCE]).min(1) for k in range(0, len(chosen), AT_ONCE)]
        return np.asarray(np.min(parts, axis=0))

    return distance


def area_mean(x: Float32[np.ndarray, "H W"], side: int) -> Float32[np.ndarray, "S S"]:
    """A picture at another size in which each pixel is the mean of what it covers: nothing drawn is lost."""
    for _ in range(2):
        n = len(x)
        total = np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x, 0, dtype=np.float64)])
        edges = np.linspace(0, n, side + 1)
        low = np.minimum(edges.astype(np.int64), n - 1)
        at_edges = total[low] + (edges - low)[:, None] * x[low]
        x = np.asarray((np.diff(at_edges, axis=0) * side / n).T, np.float32)
    return x


def _drawn_mask(view: PoolView, places: Places, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """How much of each pixel of a unit's picture (K, S, S) somebody has drawn on, 0 to 1, flat."""
    label = view.drawn(places.units[number].case)
    if label is None:  # noted as bought, but its label lies elsewhere
        return np.ones(int(np.prod(shape)), np.float32)
    known = [_slice(label.known, picture) for picture in places.pictures[places.rows[number]]]
    shares = np.mean([area_mean(np.asarray(k, np.float32), shape[-1]) for k in known], axis=0)
    return np.broadcast_to(shares, shape).reshape(-1)


def _slice(known: np.ndarray, picture: Picture) -> np.ndarray:
    return known if picture.axis < 0 else np.take(known, picture.index, axis=picture.axis)
