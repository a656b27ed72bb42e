"""A residual network that sees a small picture as one vector (He et al. 2016), with group norm.

With widths 64 to 512 and two blocks a stage it is ResNet-18; batches of relatives are no place for batch norm, whose
statistics would tell who was drawn together.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

NORM_GROUPS = 8
MEAN, DEVIATION = 0.3, 0.3
"""Of pixels between 0 and 1, roughly; ours."""


class Encoder(nn.Module):
    """Pictures (B, K, S, S), 0 to 1, as vectors (B, the last width)."""

    def __init__(self, channels: int, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], 7, stride=2, padding=3, bias=False),
            nn.GroupNorm(NORM_GROUPS, widths[0]),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        stages: list[nn.Module] = []
        for level, (before, width) in enumerate(zip((widths[0], *widths), widths, strict=False)):
            stages.append(_Block(before, width, stride=2 if level else 1))
            stages += [_Block(width, width, stride=1) for _ in range(blocks - 1)]
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "B K S S"]) -> Float[Tensor, "B D"]:
        """The mean of the last maps."""
        features: Tensor = self.stages(self.stem((x - MEAN) / DEVIATION))
        return features.mean((2, 3))


class _Block(nn.Module):
    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(NORM_GROUPS, width) for _ in range(2))
        self.short: nn.Module = nn.Identity()
        if stride > 1 or before != width:
            conv = nn.Conv2d(before, width, 1, stride=stride, bias=False)
            self.short = nn.Sequential(conv, nn.GroupNorm(NORM_GROUPS, width))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(y)) + self.short(x))


def projection(width: int, out: int = 64) -> nn.Module:
    """The head that is thrown away after training: width -> width -> 64, without bias."""
    return nn.Sequential(nn.Linear(width, width, bias=False), nn.ReLU(), nn.Linear(width, out, bias=False))
