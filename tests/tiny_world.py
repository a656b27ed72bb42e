"""A world small enough to learn in seconds: a bright and a dark blob on noise, of which a row and a column are drawn.

Used by the tests of `learn` and `methods`, also in processes of their own.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.learn.method import MakeNetwork
from frugalseg.seeds import derive, stream

CLASSES = 3
SIDE = 24


class TinyNetwork(nn.Sequential):
    """The first four layers are its encoder, the others its decoder."""

    def encode(self, x: Tensor) -> list[Tensor]:
        return [self[:4](x)]

    def decode(self, maps: Sequence[Tensor], image: Tensor) -> tuple[Tensor, Tensor]:
        features = self[4:-1](maps[0])
        return self[-1](features), features

    def share_encoder(self, other: "TinyNetwork") -> None:
        for layer in range(4):
            self[layer] = other[layer]


def network_maker(seed: int = 0, *, ndim: int = 2, dropout: float = 0.0) -> MakeNetwork:
    """Makes small convolutional networks with group norm; each call draws other weights."""
    conv: type[nn.Module] = {2: nn.Conv2d, 3: nn.Conv3d}[ndim]
    count = iter(range(100))

    def make() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "network", next(count)))
            return TinyNetwork(
                conv(1, 8, 3, padding=1),
                nn.GroupNorm(2, 8),
                nn.ReLU(),
                nn.Dropout(dropout),
                conv(8, 8, 3, padding=1),
                nn.GroupNorm(2, 8),
                nn.ReLU(),
                conv(8, CLASSES, 1),
            )

    return make


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image (SIDE, SIDE) and its truth: two discs, one bright, one dark, on noise."""
    rows, cols = np.mgrid[:SIDE, :SIDE]
    truth = np.zeros((SIDE, SIDE), np.uint8)
    for value, (low, high) in ((1, (5, 10)), (2, (14, 19))):
        r, c = rng.uniform(5, SIDE - 5), rng.uniform(low, high)
        truth[(rows - r) ** 2 + (cols - c) ** 2 < rng.uniform(3, 5) ** 2] = value
    image = np.choose(truth, [0.0, 1.5, -1.5]) + rng.normal(0, 0.7, truth.shape)
    return image.astype(np.float32), truth


def drawn(truth: np.ndarray, known: str) -> np.ndarray:
    """What somebody drew of a truth: ``all``, ``cross`` (a row and a column through the middle) or ``nothing``."""
    label = np.full_like(truth, UNKNOWN)
    if known == "all":
        label[:] = truth
    if known == "cross":
        label[SIDE // 2], label[:, SIDE // 2] = truth[SIDE // 2], truth[:, SIDE // 2]
    return label


def world(
    seed: int = 0, *, known: tuple[str, ...] = ("cross", "all", "nothing", "nothing"), n_labelled: int = 2
) -> Callable[[int], Batch]:
    """Batches as a pure function of the step; `known` says what was drawn of each sample."""

    def batch(step: int) -> Batch:
        scenes = [scene(stream(seed, "scene", step, i)) for i in range(len(known))]
        return Batch(
            image=torch.from_numpy(np.stack([image for image, _ in scenes]))[:, None],
            label=torch.from_numpy(np.stack([drawn(t, k) for (_, t), k in zip(scenes, known, strict=True)])),
            n_labelled=n_labelled,
            cases=tuple(f"case-{step}-{i}" for i in range(len(known))),
            seeds=tuple(derive(seed, "noise", step, i) for i in range(len(known))),
        )

    return batch


@torch.no_grad()
def dice(network: nn.Module, seed: int = 99) -> float:
    """Mean Dice of the two blobs over sixteen new scenes."""
    scenes = [scene(stream(seed, "test", i)) for i in range(16)]
    x = torch.from_numpy(np.stack([image for image, _ in scenes]))[:, None]
    y = torch.from_numpy(np.stack([truth for _, truth in scenes]))
    p = network.eval()(x).argmax(1)
    return float(np.mean([2 * ((p == c) & (y == c)).sum() / ((p == c).sum() + (y == c).sum()) for c in (1, 2)]))
