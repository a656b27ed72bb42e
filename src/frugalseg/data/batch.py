"""A training batch: tensors whose first samples are labelled."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from frugalseg.errors import SettingsError
from frugalseg.seeds import derive

TRUST = 254
"""Full trust in a label that a model has made; 255 is what lies outside of an image."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Patches of one step. The first `n_labelled` come from cases somebody has drawn on, the rest from the others.

    `image` is normalised; `label` is `UNKNOWN` (255) wherever nobody has looked, so everywhere in the rest.
    `pseudo`, where a method learns from labels that a model has made: those (255: none) and, beside them, how far each
    is to be trusted, in 254ths (`TRUST`).
    `seeds` holds one number a sample: noise drawn through `generators` is the same however the batch is cut over
    processes, and the same when a step is repeated after a restart.
    """

    image: Float[Tensor, "B K *space"]
    label: UInt8[Tensor, "B *space"]
    n_labelled: int
    cases: tuple[str, ...]
    seeds: tuple[int, ...]
    pseudo: UInt8[Tensor, "B 2 *space"] | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        pseudo = None if self.pseudo is None else self.pseudo.to(device)
        return replace(self, image=self.image.to(device), label=self.label.to(device), pseudo=pseudo)

    def channels_last(self) -> "Batch":
        """The same batch with the image's channels innermost in memory, which some networks are faster with."""
        layout = torch.channels_last if self.image.ndim == 4 else torch.channels_last_3d
        return replace(self, image=self.image.contiguous(memory_format=layout))

    def part(self, rank: int, world: int) -> "Batch":
        """The share of process `rank` of `world`: as much of the labelled samples and of the rest as any other's.

        Raises `SettingsError` when either number is not divisible by `world`.
        """
        n_rest = len(self.cases) - self.n_labelled
        if self.n_labelled % world or n_rest % world:
            raise SettingsError(
                f"a step has {self.n_labelled} labelled and {n_rest} unlabelled patches, which cannot be shared "
                f"equally by {world} processes: make both numbers multiples of {world}, or use another 'devices'"
            )
        labelled, rest = self.n_labelled // world, n_rest // world
        mine = [*range(rank * labelled, (rank + 1) * labelled)]
        mine += range(self.n_labelled + rank * rest, self.n_labelled + (rank + 1) * rest)
        return Batch(
            image=self.image[mine],
            label=self.label[mine],
            n_labelled=labelled,
            cases=tuple(self.cases[i] for i in mine),
            seeds=tuple(self.seeds[i] for i in mine),
            pseudo=None if self.pseudo is None else self.pseudo[mine],
        )

    def generators(self, purpose: str) -> list[torch.Generator]:
        """One seeded CPU generator a sample for this purpose."""
        return [torch.Generator().manual_seed(derive(seed, purpose)) for seed in self.seeds]

    def normal(self, purpose: str) -> Float[Tensor, "B K *space"]:
        """Standard normal noise of the image's shape, drawn sample by sample on the CPU."""
        shape = self.image.shape[1:]
        noise = [torch.randn(shape, generator=g) for g in self.generators(purpose)]
        return torch.stack(noise).to(self.image.device)

    def noisy(self, purpose: str, *, std: float, clip: float) -> Float[Tensor, "B K *space"]:
        """The image with normal noise of that standard deviation, no value of it larger than `clip`."""
        return self.image + (std * self.normal(purpose)).clamp(-clip, clip)
