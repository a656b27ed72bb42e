"""Times confident learning on this machine beside cleanlab: four million voxels of two classes, the same answer.

pip install cleanlab && python examples/confident_speed.py 2        # CPU threads
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from cleanlab.filter import find_label_issues as find_by_cleanlab
from scipy import ndimage

from frugalseg.learn.confident import find_label_issues

SHAPE = (112, 112, 80)
VOLUMES = 4


def main(threads: str = "2") -> None:
    """Prints both times, their ratio, and in how many voxels the answers differ."""
    torch.set_num_threads(int(threads))
    labels, p = labels_and_probabilities(np.random.default_rng(0))
    rows = np.ascontiguousarray(np.moveaxis(p, 1, -1).reshape(-1, 2), np.float64)
    given = labels.ravel().astype(np.int64)
    ours, found = median_seconds(lambda: find_label_issues(torch.from_numpy(labels), torch.from_numpy(p)), 7)
    theirs, expected = median_seconds(lambda: find_by_cleanlab(given, rows, filter_by="both", n_jobs=1), 3)
    differ = int((found.numpy().ravel() != expected).sum())
    print(
        f"{given.size} voxels, {threads} threads: {ours:.3f} s; cleanlab {theirs:.2f} s, "
        f"{theirs / ours:.0f} times as long; {differ} voxels differ"
    )


def labels_and_probabilities(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels (B, *space) of an ellipsoid each, its border moved at random, and noisy probabilities (B, 2, *space)."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    labels, p = [], []
    for _ in range(VOLUMES):
        middle, radii = rng.uniform(-0.2, 0.2, 3), rng.uniform(0.4, 0.7, 3)
        depth = 1 - np.sqrt(sum(((x - m) / r) ** 2 for x, m, r in zip(axes, middle, radii, strict=True)))
        rough = [8 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 3) for _ in range(2)]
        labels.append((depth + 0.1 * rough[0] > 0).astype(np.uint8))
        object_ = 1 / (1 + np.exp(-10 * (depth + 0.1 * rough[1])))
        p.append(np.stack([1 - object_, object_]).astype(np.float32))
    return np.stack(labels), np.stack(p)


def median_seconds(work: Callable[[], np.ndarray], times: int) -> tuple[float, np.ndarray]:
    """The median time of some calls, and what the last one gave."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        found = work()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)), found


if __name__ == "__main__":
    main(*sys.argv[1:])
