"""The V-Net variant with which the left-atrium (LA) family of methods is compared.

Source: Milletari et al. 2016, in the form of `networks/vnet.py` of those repositories: skips are added, no residual
connection inside a stage, batch norm, channel dropout at the deepest stage and before the head. 9,448,866 parameters
in 3D at width 16 with one channel and two classes.
"""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from frugalseg.errors import SettingsError
from frugalseg.specialist.architecture import CONV, DROPOUT, UP, Architecture

CONVOLUTIONS = (1, 2, 3, 3, 3)
"""In each stage from the finest to the deepest; the way up mirrors it."""

DIVISOR = 16
"""Four halvings: images are padded with zeros at the far ends to a multiple of it, and the result is cropped back."""


class VNet(nn.Module):
    """Logits of the image's size. Its five levels halve every axis; `strides` and `kernels` have no other form.

    The features are what leaves the last stage, after its dropout, and are not negative. In training the batch norm
    sees the padding, so patches should be multiples of 16.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a, n, w = architecture, architecture.ndim, architecture.widths
        if len(w) != len(CONVOLUTIONS):
            raise SettingsError(f"a V-Net has {len(CONVOLUTIONS)} widths, not {len(w)}: {w}; correct the plan")
        into = (a.channels, *w[1:])
        self.encoder = nn.ModuleList(_stage(n, i, o, k) for i, o, k in zip(into, w, CONVOLUTIONS, strict=True))
        self.down = nn.ModuleList(_normed(n, CONV[n](i, o, 2, 2), o) for i, o in pairwise(w))
        deeper = range(len(w) - 1, 0, -1)
        self.up = nn.ModuleList(_normed(n, UP[n](w[i], w[i - 1], 2, 2), w[i - 1]) for i in deeper)
        self.decoder = nn.ModuleList(_stage(n, w[i - 1], w[i - 1], CONVOLUTIONS[i - 1]) for i in deeper)
        self.dropout = DROPOUT[n](a.dropout)
        self.head = CONV[n](w[0], a.n_classes, 1)

    def forward(self, x: Float[Tensor, "B K *space"]) -> Float[Tensor, "B C *space"]:
        """Logits (B, C, *space)."""
        return self.forward_features(x)[0]

    def forward_features(
        self, x: Float[Tensor, "B K *space"]
    ) -> tuple[Float[Tensor, "B C *space"], Float[Tensor, "B F *space"]]:
        """Logits and the full-resolution features of which the head makes them (the prototype features of GM-ABS)."""
        return self.decode(self.encode(x), x)

    def encode(self, x: Float[Tensor, "B K *space"]) -> list[Tensor]:
        """The encoder's feature maps, one a level, the finest first, of the padded image."""
        maps = [self.encoder[0](_padded(x))]
        for down, stage in zip(self.down, self.encoder[1:], strict=True):
            maps.append(stage(down(maps[-1])))
        return maps

    def decode(
        self, maps: Sequence[Tensor], image: Float[Tensor, "B K *space"]
    ) -> tuple[Float[Tensor, "B C *space"], Float[Tensor, "B F *space"]]:
        """Logits and features, as `forward_features` gives them, of the feature maps of an image."""
        *skips, x = maps
        x = self.dropout(x)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(up(x) + skips.pop())
        features = self.dropout(x)[(slice(None), slice(None), *[slice(n) for n in image.shape[2:]])]
        return self.head(features), features

    def share_encoder(self, other: "VNet") -> None:
        """Takes the encoder of another network of the same architecture as its own from now on."""
        self.encoder, self.down = other.encoder, other.down


def _stage(ndim: int, n_in: int, n_out: int, convolutions: int) -> nn.Sequential:
    widths = (n_in, *[n_out] * convolutions)
    layers = [_normed(ndim, CONV[ndim](i, o, 3, padding=1), o) for i, o in pairwise(widths)]
    return nn.Sequential(*layers)


def _normed(ndim: int, conv: nn.Module, width: int) -> nn.Sequential:
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[ndim]
    return nn.Sequential(conv, norm(width), nn.ReLU(inplace=True))


def _padded(x: Tensor) -> Tensor:
    missing = [-n % DIVISOR for n in x.shape[2:]]
    return F.pad(x, [p for m in reversed(missing) for p in (0, m)]) if any(missing) else x
