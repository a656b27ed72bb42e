"""A training batch: tensors whose first samples are labelled."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from frugalseg.seeds import derive


@dataclass(frozen=True, eq=False)
class Batch:
    """Patches of one step. The first `n_labelled` come from cases somebody has drawn on, the rest from the others.

    `image` is normalised; `label` is `UNKNOWN` (255) wherever nobody has looked, so everywhere in the rest.
    `seeds` holds one number a sample: noise drawn through `generators` is the same however the batch is cut over
    processes, and the same when a step is repeated after a restart.
    """

    image: Float32[Tensor, "B K *space"]
    label: UInt8[Tensor, "B *space"]
    n_labelled: int
    cases: tuple[str, ...]
    seeds: tuple[int, ...]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return replace(self, image=self.image.to(device), label=self.label.to(device))

    def generators(self, purpose: str) -> list[torch.Generator]:
        """One seeded CPU generator a sample for this purpose."""
        return [torch.Generator().manual_seed(derive(seed, purpose)) for seed in self.seeds]

    def normal(self, purpose: str) -> Float32[Tensor, "B K *space"]:
        """Standard normal noise of the image's shape, drawn sample by sample on the CPU."""
        shape = self.image.shape[1:]
        noise = [torch.randn(shape, generator=g) for g in self.generators(purpose)]
        return torch.stack(noise).to(self.image.device)
