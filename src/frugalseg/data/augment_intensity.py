"""Intensity changes of one normalised patch: gamma, brightness, contrast, bias field, blur, noise.

Parameters are drawn first, as a small record that can be kept, then applied by pure functions.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from frugalseg.settings import Settings


class IntensitySettings(Settings):
    """Each change happens with its own probability; strengths are for images of zero mean and unit deviation.

    Probabilities and ranges follow nnU-Net (Isensee et al. 2021, supplement), the bias field TorchIO's.
    """

    gamma_probability: float = Field(0.3, ge=0, le=1)
    gamma: float = Field(0.3, ge=0, le=1)  # log gamma lies in [-gamma, gamma]
    contrast_probability: float = Field(0.15, ge=0, le=1)
    contrast: float = Field(0.25, ge=0, lt=1)  # factor in [1 - contrast, 1 + contrast]
    brightness: float = Field(0.15, ge=0)  # shift in [-brightness, brightness], together with contrast
    bias_probability: float = Field(0.15, ge=0, le=1)
    bias: float = Field(0.3, ge=0)  # the logarithm of the field reaches this at most
    blur_probability: float = Field(0.1, ge=0, le=1)
    blur: float = Field(1.0, gt=0)  # largest standard deviation in voxels
    noise_probability: float = Field(0.15, ge=0, le=1)
    noise: float = Field(0.1, ge=0)  # largest standard deviation


@dataclass(frozen=True, eq=False)
class Intensity:
    """What happens to the intensities of one patch, in this order; None for what does not."""

    bias: tuple[float, Tensor] | None  # strength and the coarse field, in [-1, 1]
    gamma: float | None  # exponent
    contrast: tuple[Tensor, Tensor] | None  # factor and shift
    blur: float | None  # standard deviation in voxels
    noise: tuple[Tensor, Tensor] | None  # standard deviation and the state of the generator that makes the noise


def draw_intensity(settings: IntensitySettings, ndim: int, rng: torch.Generator) -> Intensity:
    """Random parameters of one sample."""
    s = settings
    bias = (s.bias, 2 * torch.rand(1, 1, *[3] * ndim, generator=rng) - 1) if _happens(s.bias_probability, rng) else None
    exponent = float(torch.exp(s.gamma * _signed(rng))) if _happens(s.gamma_probability, rng) else None
    contrast = None
    if _happens(s.contrast_probability, rng):
        contrast = 1 + s.contrast * _signed(rng), s.brightness * _signed(rng)
    sigma = _blur_width(s.blur, rng) if _happens(s.blur_probability, rng) else None
    noise = None
    if _happens(s.noise_probability, rng):
        noise = s.noise * torch.rand((), generator=rng), rng.get_state()
    return Intensity(bias, exponent, contrast, sigma, noise)


def change_intensity(x: Float32[Tensor, "K *space"], change: Intensity) -> Float32[Tensor, "K *space"]:
    """A changed copy; the same record gives the same bits."""
    if change.bias is not None:
        x = bias_field(x, *change.bias)
    if change.gamma is not None:
        x = gamma(x, change.gamma)
    if change.contrast is not None:
        factor, shift = change.contrast
        x = x * factor + shift
    if change.blur is not None:
        x = blur(x, change.blur)
    if change.noise is not None:
        deviation, state = change.noise
        again = torch.Generator()
        again.set_state(state)
        x = x + (deviation * torch.randn(x.shape, generator=again)).to(x.device)
    return x


def gamma(x: Float32[Tensor, "K *space"], exponent: float) -> Float32[Tensor, "K *space"]:
    """Each channel's range [min, max] is kept and bent by a power; a constant channel stays."""
    flat = x.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    shape = (-1, *[1] * (x.ndim - 1))
    low, width = low.view(shape), (high - low).clamp(min=1e-6).view(shape)
    return ((x - low) / width).clamp(0, 1).pow(exponent) * width + low


def bias_field(
    x: Float32[Tensor, "K *space"], strength: float, coarse: Float32[Tensor, "1 1 *coarse"]
) -> Float32[Tensor, "K *space"]:
    """Multiplied by a smooth field, as uneven coils or light do; the field bends the distance from the minimum.

    Its logarithm is `strength` times the coarse field between its points.
    """
    ndim = x.ndim - 1
    mode = "trilinear" if ndim == 3 else "bilinear"
    smooth = F.interpolate(coarse.to(x.device), size=x.shape[1:], mode=mode, align_corners=True)[0]
    low = x.flatten(1).amin(1).view(-1, *[1] * ndim)
    return (x - low) * torch.exp(strength * smooth) + low


def blur(x: Float32[Tensor, "K *space"], sigma: float) -> Float32[Tensor, "K *space"]:
    """Gaussian blur, one axis after the other, edges repeated."""
    radius = max(1, round(3 * sigma))
    t = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (t / sigma).square())
    kernel = kernel / kernel.sum()
    for axis in range(1, x.ndim):
        n = x.shape[axis]
        index = torch.arange(-radius, n + radius, device=x.device).clamp(0, n - 1)
        padded = x.index_select(axis, index)
        x = torch.stack([w * padded.narrow(axis, i, n) for i, w in enumerate(kernel)]).sum(0)
    return x


def _blur_width(largest: float, rng: torch.Generator) -> float:
    """A standard deviation between 0.3, which hardly changes anything, and the largest."""
    return 0.3 + (largest - 0.3) * float(torch.rand((), generator=rng)) if largest > 0.3 else largest


def _happens(probability: float, rng: torch.Generator) -> bool:
    return float(torch.rand((), generator=rng)) < probability


def _signed(rng: torch.Generator) -> Tensor:
    return 2 * torch.rand((), generator=rng) - 1
