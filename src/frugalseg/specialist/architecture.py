"""What a specialist's network is built from, and how its levels follow from the patch and the spacing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

Axes = tuple[int, ...]
"""One number for each spatial axis."""

CONV: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
UP: dict[int, Callable[..., nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
DROPOUT: dict[int, Callable[..., nn.Module]] = {2: nn.Dropout2d, 3: nn.Dropout3d}

SMALLEST_MAP = 4
"""No axis is halved below this size (nnU-Net)."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of an encoder-decoder. Level 0 is the finest; `strides[i]` is the step into level i.

    `strides[0]` is 1 where the finest level works at the image's own resolution, and 2 where a stem halves it first.
    """

    ndim: int
    channels: int
    n_classes: int
    widths: tuple[int, ...]
    strides: tuple[Axes, ...]
    kernels: tuple[Axes, ...]
    dropout: float = 0.0


class SegmentationNetwork(Protocol):
    """What every network here can do, beside being an `nn.Module`. Any spatial size is allowed."""

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (B, C, *space) of images (B, K, *space)."""
        ...

    def forward_features(
        self, x: Float[Tensor, "B K *space"]
    ) -> tuple[Float[Tensor, "B C *space"], Float[Tensor, "B F *space"]]:
        """Logits, and the full-resolution features of which the 1x1 head makes them."""
        ...


@runtime_checkable
class EncoderDecoder(Protocol):
    """A network whose two halves can be called alone, so that several decoders may share one encoder.

    ``network(x)`` is ``network.decode(network.encode(x), x)[0]``.
    """

    def encode(self, x: Float[Tensor, "B K *space"]) -> list[Tensor]:
        """The feature maps (B, F, *) of all levels, all that the decoder gets beside the image."""
        ...

    def decode(
        self, maps: Sequence[Tensor], image: Float[Tensor, "B K *space"]
    ) -> tuple[Float[Tensor, "B C *space"], Float[Tensor, "B F *space"]]:
        """Logits and full-resolution features of the feature maps of an image."""
        ...

    def share_encoder(self, other: Any) -> None:
        """Takes the encoder of another network of the same architecture as its own from now on."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A named network: its class, its widths from the finest level on, and whether a stem halves the image first.

    `fits` lets the levels follow the patch and spacing; otherwise every level halves every axis.
    """

    build: Callable[[Architecture], nn.Module]
    widths: tuple[int, ...]
    stem: bool = False
    fits: bool = True
    dropout: float = 0.0

    def levels(self, patch: Axes, spacing: tuple[float, ...]) -> tuple[tuple[Axes, ...], tuple[Axes, ...]]:
        """Strides and kernels, one for each level."""
        if self.fits:
            return fitted_levels(patch, spacing, n_levels=len(self.widths), stem=self.stem)
        ndim, n = len(patch), len(self.widths)
        return ((1,) * ndim, *[(2,) * ndim] * (n - 1)), ((3,) * ndim,) * n


def fitted_levels(
    patch: Axes, spacing: tuple[float, ...], *, n_levels: int, stem: bool
) -> tuple[tuple[Axes, ...], tuple[Axes, ...]]:
    """Strides and kernels of at most `n_levels` levels that make voxels isotropic first and keep short axes.

    An axis is halved while it stays at least 4 long and its voxels are less than twice as long as the shortest; a
    kernel spans an axis as soon as that holds. Source: nnU-Net (Isensee et al. 2021), experiment planning.
    """
    size, step = list(patch), list(spacing)
    strides: list[Axes] = []
    kernels: list[Axes] = []
    for level in range(n_levels):
        stride = (1,) * len(patch) if level == 0 and not stem else _stride(size, step)
        if level > 0 and max(stride) == 1:
            break
        finest = min(step)
        reached = [s < 2 * finest and n > 1 for n, s in zip(size, step, strict=True)]
        before = kernels[-1] if kernels else (1,) * len(patch)
        kernels.append(tuple(3 if near or k == 3 else 1 for near, k in zip(reached, before, strict=True)))
        strides.append(stride)
        size = [-(-n // k) for n, k in zip(size, stride, strict=True)]
        step = [s * k for s, k in zip(step, stride, strict=True)]
    return tuple(strides), tuple(kernels)


def _stride(size: list[int], step: list[float]) -> Axes:
    long = [n >= 2 * SMALLEST_MAP for n in size]
    finest = min((s for s, ok in zip(step, long, strict=True) if ok), default=0.0)
    return tuple(2 if ok and s < 2 * finest else 1 for ok, s in zip(long, step, strict=True))
