"""Draws of a network with dropout (Gal & Ghahramani 2016): each one is a thinned network that sees the whole image."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


def has_dropout(network: nn.Module) -> bool:
    """True when a layer of the network drops channels, so that its draws differ."""
    return any(layer.p > 0 for layer in _layers(network))


@contextmanager
def thinned(network: nn.Module, rng: np.random.Generator) -> Iterator[None]:
    """Inside the block a network in evaluation mode lacks the channels that one draw of its dropout takes away.

    They stay the same in every call: windows and slices of an image are seen by the same thinned network, where
    dropout in training mode would let overlapping windows average their draws. Nothing else leaves evaluation mode.
    """
    hooks = [layer.register_forward_hook(_Thinning(layer.p, rng)) for layer in _layers(network)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _layers(network: nn.Module) -> list[nn.Dropout2d | nn.Dropout3d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Dropout2d | nn.Dropout3d)]


class _Thinning:
    """Multiplies channels by 0 or 1 / (1 - p); drawn once for each number of channels that passes the layer."""

    def __init__(self, p: float, rng: np.random.Generator) -> None:
        self.p, self.rng = p, rng
        self.kept: dict[int, np.ndarray] = {}

    def __call__(self, _layer: nn.Module, _inputs: tuple[Tensor, ...], x: Tensor) -> Tensor:
        n = x.shape[1]
        if n not in self.kept:
            self.kept[n] = (self.rng.random(n) >= self.p) / (1 - self.p)
        factor = torch.as_tensor(self.kept[n], dtype=x.dtype, device=x.device)
        return x * factor.reshape(1, n, *[1] * (x.ndim - 2))
