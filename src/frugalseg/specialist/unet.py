"""The U-Net of this project, in 2D and 3D from one class.

Strided convolutions go down, transposed ones up, skips are concatenated; GroupNorm, so that a batch of one, a batch
divided among processes and a whole batch agree. Source: Ronneberger et al. 2015, Cicek et al. 2016; strides and kernels
by axis as in nnU-Net (Isensee et al. 2021).

With a stem (`strides[0]` above 1) the finest level works at half resolution and a transposed convolution plus one
3x3x3 convolution of the image itself brings the features back to full resolution. At equal parameters a training
step on two CPU cores takes less than half of the time.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugalseg.specialist.architecture import CONV, DROPOUT, UP, Architecture, Axes

SLOPE = 0.01
"""Of the leaky ReLU for negative values (nnU-Net)."""


class UNet(nn.Module):
    """Logits of the image's size, for any image size: what a stride rounds up is cropped on the way back.

    `dropout` drops whole channels of the deepest level and of the features before the head, as the V-Net does.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a, n = architecture, architecture.ndim
        into = (a.channels, *a.widths[:-1])
        self.encoder = nn.ModuleList(
            _Block(n, i, w, k, s) for i, w, k, s in zip(into, a.widths, a.kernels, a.strides, strict=True)
        )
        deeper = range(len(a.widths) - 1, 0, -1)
        self.up = nn.ModuleList(_up(n, a.widths[i], a.widths[i - 1], a.strides[i]) for i in deeper)
        self.decoder = nn.ModuleList(_Block(n, 2 * a.widths[i - 1], a.widths[i - 1], a.kernels[i - 1]) for i in deeper)
        self.full = _FullResolution(a) if max(a.strides[0]) > 1 else None
        self.dropout = DROPOUT[n](a.dropout)
        self.head = CONV[n](n_features(a), a.n_classes, 1)
        self.apply(_initialise)

    def forward(self, x: Float[Tensor, "B K *space"]) -> Float[Tensor, "B C *space"]:
        """Logits (B, C, *space)."""
        return self.forward_features(x)[0]

    def forward_features(
        self, x: Float[Tensor, "B K *space"]
    ) -> tuple[Float[Tensor, "B C *space"], Float[Tensor, "B F *space"]]:
        """Logits and the full-resolution features of which the head makes them."""
        return self.decode(self.encode(x), x)

    def encode(self, x: Float[Tensor, "B K *space"]) -> list[Tensor]:
        """The encoder's feature maps, one a level, the finest first."""
        maps = []
        for block in self.encoder:
            x = block(x)
            maps.append(x)
        return maps

    def decode(
        self, maps: Sequence[Tensor], image: Float[Tensor, "B K *space"]
    ) -> tuple[Float[Tensor, "B C *space"], Float[Tensor, "B F *space"]]:
        """Logits and features, as `forward_features` gives them, of the feature maps of an image."""
        *skips, x = maps
        x = self.dropout(x)
        for up, block in zip(self.up, self.decoder, strict=True):
            skip = skips.pop()
            x = block(torch.cat([_crop(up(x), skip), skip], 1))
        features = self.dropout(x if self.full is None else self.full(x, image))
        return self.head(features), features

    def share_encoder(self, other: "UNet") -> None:
        """Takes the encoder of another network of the same architecture as its own from now on."""
        self.encoder = other.encoder


def n_features(architecture: Architecture) -> int:
    """Channels of the full-resolution features: those of the finest level, or half of them behind a stem."""
    width = architecture.widths[0]
    return max(1, width // 2) if max(architecture.strides[0]) > 1 else width


class _Block(nn.Module):
    """Two convolutions, each with GroupNorm and leaky ReLU; the first one may have a stride."""

    def __init__(self, ndim: int, n_in: int, n_out: int, kernel: Axes, stride: Axes | None = None) -> None:
        super().__init__()
        pad, one = tuple(k // 2 for k in kernel), (1,) * ndim
        wide = tuple(max(k, s) for k, s in zip(kernel, stride or one, strict=True))
        self.layers = nn.Sequential(
            CONV[ndim](n_in, n_out, wide, stride or one, tuple(k // 2 for k in wide), bias=False),
            *_norm_act(n_out),
            CONV[ndim](n_out, n_out, kernel, one, pad, bias=False),
            *_norm_act(n_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class _FullResolution(nn.Module):
    """Features of the image's size from those at half of it and the image itself."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width, kernel = n_features(a), a.kernels[0]
        self.up = _up(a.ndim, a.widths[0], width, a.strides[0])
        self.detail = CONV[a.ndim](a.channels, width, kernel, padding=tuple(k // 2 for k in kernel), bias=False)
        self.norm_act = nn.Sequential(*_norm_act(width))

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        out: Tensor = self.norm_act(_crop(self.up(x), image) + self.detail(image))
        return out


def _up(ndim: int, n_in: int, n_out: int, stride: Axes) -> nn.Module:
    return UP[ndim](n_in, n_out, stride, stride, bias=False)


def _norm_act(width: int) -> tuple[nn.Module, nn.Module]:
    groups = math.gcd(width, min(8, max(1, width // 4)))
    return nn.GroupNorm(groups, width), nn.LeakyReLU(SLOPE, inplace=True)


def _crop(x: Tensor, like: Tensor) -> Tensor:
    inside: tuple[slice, ...] = tuple(slice(n) for n in like.shape)
    return x[(slice(None), slice(None), *inside[2:])]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
