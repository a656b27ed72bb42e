"""TinyViT as LiteMedSAM and MobileSAM use it: a stem, convolutions, three stages of windowed attention, SAM's neck.

Wu et al., TinyViT (ECCV 2022), section 3; Zhang et al., MobileSAM (2023); MedSAM's LiteMedSAM keeps the image's full
resolution in the stem. All attention lies within windows, so the same weights run at any input size.

Parameters have the names of the published checkpoints. `fused` makes the form in which an encoder is used: the batch
norms are folded into the convolutions, which lie in memory channel by channel.
"""

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)
TOKENS = 256


class TinyViT(nn.Module):
    """Pictures (B, 3, S, S) -> tokens (B, 256, g, g): g = S/4 with stem stride 1 (LiteMedSAM), S/16 with 2 (MobileSAM).

    Stage 4 keeps the grid of stage 3, as SAM's decoder wants 64x64 tokens.
    """

    def __init__(self, *, stem_stride: int):
        super().__init__()
        kernel = 1 if stem_stride == 1 else 3
        half, full = WIDTHS[0] // 2, WIDTHS[0]
        stem = [ConvNorm(3, half, kernel, stem_stride), nn.GELU(), ConvNorm(half, full, kernel, stem_stride)]
        self.patch_embed = Stem(nn.Sequential(*stem))
        self.layers = nn.ModuleList(_stage(i) for i in range(4))
        self.neck = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], TOKENS, 1, bias=False),
            ChannelNorm(TOKENS),
            nn.Conv2d(TOKENS, TOKENS, 3, padding=1, bias=False),
            ChannelNorm(TOKENS),
        )

    def forward(self, x: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 256 g g"]:
        """The image embedding."""
        x = self.patch_embed(x)
        for stage in self.layers:
            x = stage(x)
        tokens: Tensor = self.neck(x)
        return tokens


class Stem(nn.Module):
    """The first convolutions; a module of its own for the published names' sake."""

    def __init__(self, seq: nn.Sequential):
        super().__init__()
        self.seq = seq

    def forward(self, x: Tensor) -> Tensor:
        """Pictures -> the first stage's input."""
        result: Tensor = self.seq(x)
        return result


class Stage(nn.Module):
    """Blocks at one resolution, then the step to the next stage's width and resolution."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, h, w) -> the next stage's input."""
        for block in self.blocks:
            x = block(x)
        if self.downsample is not None:
            x = self.downsample(x)
        return x


def _stage(i: int) -> Stage:
    width = WIDTHS[i]
    blocks: list[nn.Module] = [
        MBConv(width) if i == 0 else AttentionBlock(width, HEADS[i], WINDOWS[i]) for _ in range(DEPTHS[i])
    ]
    is_last = i + 1 == len(WIDTHS)
    return Stage(
        blocks, None if is_last else Merging(width, WIDTHS[i + 1], stride=1 if WIDTHS[i + 1] == WIDTHS[-1] else 2)
    )


class ConvNorm(nn.Sequential):
    """A convolution `c` without bias and its batch norm `bn`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)


class MBConv(nn.Module):
    """An inverted bottleneck of expansion 4."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = ConvNorm(width, 4 * width)
        self.conv2 = ConvNorm(4 * width, 4 * width, 3, groups=4 * width)
        self.conv3 = ConvNorm(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, h, w) -> the same."""
        return in_strips(self._whole, x, halo=1)

    def _whole(self, x: Tensor) -> Tensor:
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


STRIP = 64 * 64
"""Pixels of a strip: what an inverted bottleneck makes of them stays in the processor's cache."""


def in_strips(layers: Callable[[Tensor], Tensor], x: Tensor, *, halo: int) -> Tensor:
    """`layers(x)` for (B, K, h, w), strip by strip of rows, each computed with `halo` rows around that are cut off.

    Right for layers that keep the size, pad with zeros and look `halo` rows far.
    """
    rows = max(4, STRIP // (x.shape[0] * x.shape[3]))
    if x.shape[2] <= rows:
        return layers(x)
    strips = []
    for first in range(0, x.shape[2], rows):
        start, stop = max(first - halo, 0), min(first + rows + halo, x.shape[2])
        strips.append(layers(x[:, :, start:stop])[:, :, first - start : first - start + rows])
    return torch.cat(strips, 2)


class Merging(nn.Module):
    """From one stage to the next: another width, half the resolution (or the same)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int):
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, h, w) -> (B, K', h', w')."""
        result: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return result


class AttentionBlock(nn.Module):
    """Windowed attention, a depthwise convolution that joins the windows, a perceptron."""

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width, heads, window)
        self.local_conv = ConvNorm(width, width, 3, groups=width)
        self.mlp = Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, h, w) -> the same."""
        joined: Tensor = self.local_conv(x + self._attended(x))
        added: Tensor = self.mlp(joined.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return joined + added

    def _attended(self, x: Tensor) -> Tensor:
        """Attention within windows; the last ones are filled up with zeros, which the published weights expect."""
        b, k, h, w = x.shape
        n = self.window
        rows, columns = -(-h // n), -(-w // n)
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, columns * n - w, 0, rows * n - h))
        windows = x.reshape(b, rows, n, columns, n, k).transpose(2, 3).reshape(-1, n * n, k)
        x = self.attn(windows).reshape(b, rows, columns, n, n, k).transpose(2, 3)
        return x.reshape(b, rows * n, columns * n, k)[:, :h, :w].permute(0, 3, 1, 2)


class WindowAttention(nn.Module):
    """Attention among the pixels of a window with a learned bias for each distance."""

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        offsets, index = _offsets(window)
        self.attention_biases = nn.Parameter(torch.zeros(heads, offsets))
        self.index: Tensor
        self.register_buffer("index", index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (B, n, K) -> the same; a head's query, key and value lie side by side in `qkv`."""
        b, n, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, n, self.heads, 3, width // self.heads).permute(3, 0, 2, 1, 4)
        bias = self.attention_biases[:, self.index]
        attended = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=bias[None])
        projected: Tensor = self.proj(attended.transpose(1, 2).reshape(b, n, width))
        return projected


def _offsets(window: int) -> tuple[int, Tensor]:
    """How many distances (|row|, |column|) there are, numbered as they are met, and the number for each pair (n, n)."""
    places = list(product(range(window), range(window)))
    numbers: dict[tuple[int, int], int] = {}
    index = [numbers.setdefault((abs(a - c), abs(b - d)), len(numbers)) for a, b in places for c, d in places]
    return len(numbers), torch.tensor(index).reshape(len(places), len(places))


class Perceptron(nn.Module):
    """Norm and two linear layers of expansion 4, channels last."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> the same."""
        result: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return result


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (B, K, h, w)."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, h, w) -> the same."""
        return F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


def fused(encoder: TinyViT) -> TinyViT:
    """The encoder itself in evaluation mode, its batch norms folded into the convolutions; this cannot be undone."""
    encoder.eval().requires_grad_(False)
    for module in list(encoder.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ConvNorm):
                module.register_module(name, nn.utils.fuse_conv_bn_eval(child.c, child.bn))
    for parameter in encoder.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return encoder
