"""What an embedding of pictures is, and how it is kept."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float32

from frugalseg.data.pool import PoolView
from frugalseg.files import atomic_path
from frugalseg.strategies.embedding.pictures import Picture


class Embedder(Protocol):
    """Turns the pictures of a pool into vectors whose distances say how differently they look."""

    def embed(self, view: PoolView, pictures: Sequence[Picture], folder: Path) -> Float32[np.ndarray, "N D"]:
        """One vector of length 1 for each picture; what is dear is kept in the folder and read back next time."""
        ...


@contextmanager
def cache_of(view: PoolView) -> Iterator[Path]:
    """Where pictures and what was learnt from them are kept: in the view's cache, else nowhere for long."""
    if view.cache is not None:
        yield view.cache / "embeddings"
        return
    with tempfile.TemporaryDirectory(prefix="frugalseg-") as scratch:
        yield Path(scratch)


def kept(file: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array in a file, memory-mapped; made and written whole when there is none."""
    if not file.exists():
        array = make()
        with atomic_path(file) as part, part.open("wb") as out:
            np.save(out, array)
    found: np.ndarray = np.load(file, mmap_mode="r")
    return found


def standardised(features: np.ndarray) -> Float32[np.ndarray, "N D"]:
    """Each feature less its mean over the pool, in units of its deviation, then vectors of length 1.

    Pooled maps of a network share a large offset, beside which all pictures look alike.
    """
    deviation = features.std(0)
    return unit_length((features - features.mean(0)) / np.where(deviation > 0, deviation, 1))


def unit_length(features: np.ndarray) -> Float32[np.ndarray, "N D"]:
    """The vectors divided by their lengths; a vector of zeros stays."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12), np.float32)
