"""The decoder of `lite-medsam-clicks`: SAM's, trained to follow clicks, beside a small network that sees the pixels.

The published LiteMedSAM was trained on boxes, and its tokens lie four pixels apart. The second network, as in
interactive segmentation without a foundation model (Sofiiuk et al., RITM, ICIP 2022), is shown the picture's own pixels
together with the clicks, the box and the mask so far, and adds what it sees to the fine image tokens.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugalseg.generalists.sam_decoder import SamDecoder

CLICK_RADIUS = 2.5
"""Pixels of the input after which the disc of a click fades."""

MARKS = 4
"""Maps of what the user said: clicks on the object, clicks beside it, inside of the box, the mask so far."""

FINE = 32
"""Channels of SAM's fine image tokens."""


class ClickDecoder(nn.Module):
    """Prompts, tokens and pixels -> logits (P, 4, S, S) and scores (P, 4): the interface of `SamDecoder`."""

    def __init__(self) -> None:
        super().__init__()
        self.sam = SamDecoder()
        self.details = Details()

    def forward(
        self,
        image: Float[Tensor, "I 256 g g"],
        pixels: Float[Tensor, "I 3 m m"],
        points: Float[Tensor, "P N 2"],
        labels: Int[Tensor, "P N"],
        boxes: Float[Tensor, "P 4"] | None = None,
        masks: Float[Tensor, "P 1 m m"] | None = None,
    ) -> tuple[Float[Tensor, "P 4 m m"], Float[Tensor, "P 4"], Float[Tensor, "P 256 g g"]]:
        """Logits, scores and image tokens; the pixels (0 to 1) are those of the input, four times the tokens' grid."""
        seen = torch.cat([pixels.expand(len(points), -1, -1, -1), _marks(pixels, points, labels, boxes, masks)], 1)
        logits, scores, tokens = self.sam(image, points, labels, boxes, masks, self.details(seen))
        return logits, scores, tokens


def _marks(pixels: Tensor, points: Tensor, labels: Tensor, boxes: Tensor | None, masks: Tensor | None) -> Tensor:
    """What the user said, drawn on the input's pixels: (P, 4, S, S) from 0 to 1."""
    side = pixels.shape[-1]
    middles = (torch.arange(side, device=pixels.device) + 0.5) / side
    x, y = (points[..., k, None] - middles for k in (0, 1))  # P N S
    reach = (side / CLICK_RADIUS) ** 2
    discs = torch.exp(-0.5 * reach * y.square())[..., :, None] * torch.exp(-0.5 * reach * x.square())[..., None, :]
    clicks = [_strongest(discs * (labels == kind)[..., None, None]) for kind in (1, 0)]
    inside = torch.zeros_like(clicks[0])
    if boxes is not None:
        columns = (middles >= boxes[:, 0, None]) & (middles <= boxes[:, 2, None])
        rows = (middles >= boxes[:, 1, None]) & (middles <= boxes[:, 3, None])
        inside = (rows[:, :, None] & columns[:, None, :]).to(pixels.dtype)
    before = torch.zeros_like(inside) if masks is None else masks[:, 0].sigmoid()
    return torch.stack([*clicks, inside, before], 1)


def _strongest(discs: Tensor) -> Tensor:
    return discs.amax(1) if discs.shape[1] else discs.new_zeros(len(discs), *discs.shape[2:])


class Details(nn.Module):
    """A small U-Net on pixels and marks; its last layer begins at zero, so training begins at the published decoder."""

    def __init__(self, width: int = 12):
        super().__init__()
        self.first = _layers(3 + MARKS, width, width)
        self.down_half = _layers(width, 2 * width, 2 * width)
        self.down_quarter = _layers(2 * width, 4 * width, 4 * width)
        self.down_eighth = _layers(4 * width, 4 * width, 4 * width)
        self.up_quarter = _layers(8 * width, 4 * width)
        self.up_half = _layers(6 * width, 2 * width)
        self.up_whole = _layers(3 * width, width)
        self.out = nn.Conv2d(width, FINE, 1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "P K m m"]) -> Float[Tensor, "P 32 m m"]:
        """What is added to the fine image tokens."""
        whole = self.first(x)
        half = self.down_half(F.avg_pool2d(whole, 2))
        quarter = self.down_quarter(F.avg_pool2d(half, 2))
        eighth = self.down_eighth(F.avg_pool2d(quarter, 2))
        quarter = self.up_quarter(torch.cat([quarter, _twice(eighth)], 1))
        half = self.up_half(torch.cat([half, _twice(quarter)], 1))
        whole = self.up_whole(torch.cat([whole, _twice(half)], 1))
        details: Tensor = self.out(whole)
        return details


def _layers(inputs: int, *outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in outputs:
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.GroupNorm(4, width), nn.SiLU()]
        inputs = width
    return nn.Sequential(*layers)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
