"""Intensity changes of one normalised patch: gamma, brightness, contrast, bias field, blur, noise."""

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


def change_intensity(
    x: Float32[Tensor, "K *space"], settings: IntensitySettings, rng: torch.Generator
) -> Float32[Tensor, "K *space"]:
    """A changed copy; the same generator state gives the same bits."""
    s = settings
    if _happens(s.bias_probability, rng):
        x = bias_field(x, s.bias, rng)
    if _happens(s.gamma_probability, rng):
        x = gamma(x, float(torch.exp(s.gamma * _signed(rng))))
    if _happens(s.contrast_probability, rng):
        x = x * (1 + s.contrast * _signed(rng)) + s.brightness * _signed(rng)
    if _happens(s.blur_probability, rng):
        x = blur(x, 0.3 + (s.blur - 0.3) * float(torch.rand((), generator=rng)) if s.blur > 0.3 else s.blur)
    if _happens(s.noise_probability, rng):
        x = x + s.noise * torch.rand((), generator=rng) * torch.randn(x.shape, generator=rng)
    return x


def gamma(x: Float32[Tensor, "K *space"], exponent: float) -> Float32[Tensor, "K *space"]:
    """Each channel's range [min, max] is kept and bent by a power; a constant channel stays."""
    flat = x.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    shape = (-1, *[1] * (x.ndim - 1))
    low, width = low.view(shape), (high - low).clamp(min=1e-6).view(shape)
    return ((x - low) / width).clamp(0, 1).pow(exponent) * width + low


def bias_field(x: Float32[Tensor, "K *space"], strength: float, rng: torch.Generator) -> Float32[Tensor, "K *space"]:
    """Multiplied by a smooth field, as uneven coils or light do; the field bends the distance from the minimum."""
    ndim = x.ndim - 1
    coarse = 2 * torch.rand(1, 1, *[3] * ndim, generator=rng) - 1
    mode = "trilinear" if ndim == 3 else "bilinear"
    field = torch.exp(strength * F.interpolate(coarse, size=x.shape[1:], mode=mode, align_corners=True)[0])
    low = x.flatten(1).amin(1).view(-1, *[1] * ndim)
    return (x - low) * field + low


def blur(x: Float32[Tensor, "K *space"], sigma: float) -> Float32[Tensor, "K *space"]:
    """Gaussian blur, one axis after the other, edges repeated."""
    radius = max(1, round(3 * sigma))
    t = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (t / sigma).square())
    kernel = kernel / kernel.sum()
    for axis in range(1, x.ndim):
        n = x.shape[axis]
        index = torch.arange(-radius, n + radius).clamp(0, n - 1)
        padded = x.index_select(axis, index)
        x = torch.stack([w * padded.narrow(axis, i, n) for i, w in enumerate(kernel)]).sum(0)
    return x


def _happens(probability: float, rng: torch.Generator) -> bool:
    return float(torch.rand((), generator=rng)) < probability


def _signed(rng: torch.Generator) -> Tensor:
    return 2 * torch.rand((), generator=rng) - 1
