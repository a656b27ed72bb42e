"""Times pseudo-labels on this machine: the same prompts with an empty cache and from the cache, and none that moved.

python examples/refresh_speed.py 'folder=scans,classes=1+3' 4 1        # data, cases, CPU threads

What a specialist would believe is the smoothed truth.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from frugalseg.data.case import Case
from frugalseg.data.pool import Pool
from frugalseg.data.spec import open_data, parse_data_spec
from frugalseg.generalists.cache import Cached, EmbeddingCache
from frugalseg.generalists.registry import build_generalist
from frugalseg.prompt.prototypes import Belief, believe
from frugalseg.prompt.pseudo_labels import PseudoLabels
from frugalseg.prompt.views import Work


def main(data: str, cases: str = "4", threads: str = "1") -> None:
    """Prints what each refresh took, and whether the cache has changed a label."""
    torch.set_num_threads(int(threads))
    pool = open_data(parse_data_spec(data), labels_are="truth")
    chosen = pool.cases[: int(cases)]
    beliefs = [belief(pool, case) for case in chosen]
    with tempfile.TemporaryDirectory() as folder:
        generalist = Cached(build_generalist("lite-medsam"), EmbeddingCache(Path(folder) / "cache"))
        first, second = (PseudoLabels(Path(folder) / name, generalist) for name in ("first", "second"))
        encoding = timed("an empty cache", first, chosen, beliefs, step=1)
        cached = timed("from the cache", second, chosen, beliefs, step=1)
        timed("no prompt has moved", second, chosen, beliefs, step=2)
        differ = sum(int((first.said(c.id).label != second.said(c.id).label).sum()) for c in chosen)
        print(f"from the cache {encoding / cached:.1f} times as fast; {differ} voxels have another label")


def belief(pool: Pool, case: Case) -> Belief:
    """What a specialist would hold of a case if it were sure of the truth."""
    truth = pool.truth.semantic(case.id).array
    p = [ndimage.gaussian_filter((truth == k).astype(np.float32), 1) for k in range(len(pool.classes))]
    return believe(np.stack(p) / np.maximum(np.sum(p, 0), 1e-6))


def timed(name: str, kept: PseudoLabels, cases: Sequence[Case], beliefs: Sequence[Belief], *, step: int) -> float:
    """The seconds that refreshing some cases takes."""
    images = [case.image() for case in cases]
    began, work = time.perf_counter(), Work()
    for case, image, held in zip(cases, images, beliefs, strict=True):
        work += kept.refresh(case.id, image, held, step=step).work
    seconds = time.perf_counter() - began
    print(f"{name}: {seconds:.2f} s, {work.shown} slices, {work.encoded} encoded, {work.decoded} prompts")
    return seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
