"""Pools of which every case is a tiny picture at a known place in a space of features."""

import numpy as np

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit

SHAPE = (2, 3)


class Picture:
    """An image in memory."""

    def __init__(self, array):
        self.array = array

    def read(self):
        return Image(self.array, Geometry.plain(self.array.shape))

    def fingerprint(self):
        return "0" * 16


def view_of_points(points, *, bought=(), probabilities=None, members=None, pictures=None):
    """A view whose i-th case (2D image) has the features points[i] in every pixel."""
    points = np.asarray(points, np.float32)
    arrays = [np.zeros(SHAPE, np.float32)] * len(points) if pictures is None else pictures
    names = [f"p{i:04d}" for i in range(len(points))]
    cases = tuple(Case(n, n, Geometry.plain(a.shape), Picture(a)) for n, a in zip(names, arrays, strict=True))

    def features(case):
        return np.broadcast_to(points[int(case[1:])][:, None, None], (points.shape[1], *SHAPE))

    bought = frozenset(Unit(names[i], "image") for i in bought)
    return PoolView(cases, {}.get, "image", 0, probabilities, features, members, bought)


def numbers(units):
    """Which cases were chosen."""
    return [int(unit.case[1:]) for unit in units]


def planted(seed, sizes=(120, 60, 30, 20, 15, 12, 10, 9, 8, 7), d=8):
    """Points in redundant clusters of unequal size far from each other, shuffled, and the cluster of each."""
    rng = np.random.default_rng(seed)
    cluster = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = 10 * rng.normal(size=(len(sizes), d))
    return centres[cluster] + rng.normal(size=(len(cluster), d)), cluster
