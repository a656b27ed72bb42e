"""A sparse graph of neighbours: every point is joined to the few whose features point most nearly the same way."""

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array, csr_array, diags_array, eye_array

ROWS = 256
"""Points whose similarities to all others are in memory together; with 20,000 points they are 40 MB."""

DIGITS = 6
"""Decimals of a similarity that are more than rounding; of equal ones the first point is taken."""


def neighbour_graph(features: Float[np.ndarray, "N d"], k: int) -> csr_array:
    """The symmetric graph (N, N) that joins each point to the k of the largest cosine, which is the edge's weight.

    Features are vectors of length 1, or 0 for a point without neighbours. Only cosines above 0 are edges, none joins a
    point to itself, and a point may get more than k where it is the neighbour of others.
    """
    n = len(features)
    k = min(k, n - 1)
    rows, columns, weights = [], [], []
    for start in range(0, n if k else 0, ROWS):
        block = np.arange(start, min(start + ROWS, n))
        nearest, cosine = _nearest(features, block, k)
        is_edge = cosine > 0
        rows.append(np.repeat(block, k)[is_edge.ravel()])
        columns.append(nearest[is_edge])
        weights.append(cosine[is_edge])
    if not rows:
        return csr_array((n, n), dtype=np.float32)
    edges = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    directed = csr_array(coo_array(edges, shape=(n, n)), dtype=np.float32)
    return csr_array(directed.maximum(directed.T))


def _nearest(features: np.ndarray, block: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar others of some points and their cosines, (n, k) each, in no order."""
    cosine = np.asarray(features[block] @ features.T, np.float64).round(DIGITS)  # n N
    cosine[np.arange(len(block)), block] = -np.inf
    in_order = cosine - np.arange(len(features)) * 10.0 ** -(2 * DIGITS)
    nearest = np.sort(np.argpartition(-in_order, k - 1, axis=1)[:, :k], axis=1)
    return nearest, np.take_along_axis(cosine, nearest, axis=1)


def propagation(graph: csr_array) -> csr_array:
    """I + D^-1/2 A D^-1/2 of a symmetric graph: every point and, as much again, the mean of its neighbours.

    Symmetric, so it is its own gradient. A point without neighbours stays what it is.
    """
    degree = np.asarray(graph.sum(axis=1)).ravel()
    root = diags_array(1 / np.sqrt(np.where(degree > 0, degree, 1)))
    return csr_array(eye_array(graph.shape[0]) + root @ graph @ root, dtype=np.float32)
