"""VAAL: the units of which a discriminator is surest that nobody has labelled anything like them.

A variational autoencoder learns from all pictures of the pool. A discriminator learns to tell from a picture's latent
vector whether it is labelled, while the autoencoder learns to make all look labelled. The units chosen are those with
the least labelled look. The choice knows no labels and no model, and nothing keeps the units of one round apart.
Source: "Variational Adversarial Active Learning" (Sinha, Ebrahimi & Darrell, ICCV 2019) and its code.

| paper | here |
|---|---|
| L_trd, both parts | `reconstruction`, `divergence` |
| L_adv | `adversary` |
| L_D | `discriminator` |
| beta, lambda_2 | `VaalSettings.beta`, `VaalSettings.adversary` |

We differ: (a) the discriminator's targets are 1 for labelled and 0 for unlabelled pictures; in CoreCLR's code both are
1, so that nothing is learnt; (b) reconstruction and divergence are the two parts of one likelihood, that of Gaussian
pixels, each divided by the number of pixels; in VAAL's code the divergence is a sum over the batch beside a mean over
pixels, and no picture is left in the latent vector; (c) both sides step at the same time instead of in turns; (d) group
norm and a smaller network, for two CPU cores; (e) each unit is chosen once, by what is drawn now.

Where nothing is labelled there is nothing to tell apart, and the choice is plain random, as in the paper.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.files import fingerprint_array, fingerprint_json, held
from frugalseg.learn.engine import CHECKPOINT, FitSettings, Hardware, Step, fit
from frugalseg.seeds import derive, stream
from frugalseg.settings import Settings
from frugalseg.strategies.embedding.embedder import cache_of, kept
from frugalseg.strategies.embedding.pictures import fingerprint, read_pixels
from frugalseg.strategies.places import Places, places_of
from frugalseg.strategies.random import Random

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Pictures that are judged together; always so, for another number gives other last bits."""

NORM_GROUPS = 8


class VaalSettings(Settings):
    """The autoencoder, the discriminator and how they learn. The defaults are for two CPU cores and a minute."""

    side: int = Field(32, ge=8)  # pixels of a picture's side; a multiple of 2 to the power of the number of widths
    widths: tuple[int, ...] = Field((16, 32, 64), min_length=1)  # each stage halves the side; multiples of 8
    latent: int = Field(32, ge=1)  # numbers in a latent vector; as published
    hidden: int = Field(128, ge=1)  # of the discriminator's two layers; 512 as published
    deviation: float = Field(0.1, gt=0)  # of a pixel, 0 to 1, from its reconstruction; ours
    beta: float = Field(1.0, ge=0)  # weight of the divergence; as published
    adversary: float = Field(0.1, ge=0)  # weight of looking labelled; ours, 1 as published beside other scales
    batch: int = Field(64, ge=2)  # pictures a step, one half labelled; 2 x 128 as published
    fit: FitSettings = FitSettings(
        steps=400,
        lr=5e-4,  # as published
        weight_decay=0,
        schedule="constant",
        clip_norm=None,
        channels_last=True,
        checkpoint_every=100,
        tensorboard=False,
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(width < 1 or width % NORM_GROUPS for width in self.widths):
            raise ValueError(f"widths must be multiples of {NORM_GROUPS}")
        if self.side % 2 ** len(self.widths):
            raise ValueError(f"side must be a multiple of {2 ** len(self.widths)}, for {len(self.widths)} widths")
        return self


@dataclass(frozen=True)
class Vaal:
    """The units that look least labelled to a discriminator, which is trained anew for every set of labelled units.

    What it said is kept in the view's cache and depends on pool, labelled units, settings and the view's seed. A unit
    of several pictures counts with their mean logit.
    """

    settings: VaalSettings = field(default_factory=VaalSettings)
    hardware: Hardware = field(default_factory=Hardware)

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units, ties by the pool's order; volumes drawn in part come when nothing else is left."""
        places = places_of(view)
        wanted = np.flatnonzero(~places.is_drawn)
        if not places.is_drawn.any():
            log.info("vaal: nothing is labelled yet, so the choice is plain random")
            return Random().rank(view, budget, rng)
        if len(wanted):
            logits = self._logits(view, places)[wanted]
            wanted = wanted[np.argsort(logits, kind="stable")]
        rest = np.flatnonzero(places.is_free & places.is_drawn)
        return [places.units[i] for i in [*wanted, *rest][:budget]]

    def _logits(self, view: PoolView, places: Places) -> np.ndarray:
        """How labelled each unit looks."""
        seen = np.zeros(len(places.pictures), bool)
        for i in places.drawn:
            seen[places.rows[i]] = True
        with cache_of(view) as folder:
            about = fingerprint(view, places.pictures, self.settings.side)
            pixels = read_pixels(view, places.pictures, self.settings.side, folder / f"pictures-{about}.npy")
            words = [about, fingerprint_array(seen), view.seed, self.settings.model_dump(mode="json")]
            place = folder / f"vaal-{fingerprint_json(words)}"
            run = VaalRun(pixels, seen, self.settings, place, view.seed, self.hardware)
            with held(run.folder, wait=True):
                logits = np.array(kept(run.folder / "logits.npy", run.learnt))
                (run.folder / CHECKPOINT).unlink(missing_ok=True)
        return places.means(logits)


class AdversarialAutoencoder(nn.Module):
    """The autoencoder and its discriminator; of a batch's pictures the first `n_labelled` are labelled."""

    def __init__(self, channels: int, settings: VaalSettings) -> None:
        super().__init__()
        s = self.settings = settings
        end = s.side // 2 ** len(s.widths)
        down = [_halved(a, b) for a, b in zip((channels, *s.widths), s.widths, strict=False)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(s.widths[-1] * end**2, 2 * s.latent))
        back = s.widths[::-1]
        up = [_doubled(a, b) for a, b in zip(back, (*back[1:], s.widths[0]), strict=True)]
        self.decoder = nn.Sequential(
            nn.Linear(s.latent, back[0] * end**2),
            nn.Unflatten(1, (back[0], end, end)),
            *up,
            nn.Conv2d(s.widths[0], channels, 3, padding=1),
        )
        self.discriminator = nn.Sequential(
            nn.Linear(s.latent, s.hidden), nn.ReLU(), nn.Linear(s.hidden, s.hidden), nn.ReLU(), nn.Linear(s.hidden, 1)
        )

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """The two parts of the likelihood, looking labelled, and telling labelled from unlabelled."""
        s, x = self.settings, batch.image
        mean, log_variance = self.encode(x)
        z = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        fixed = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        fooled = functional_call(self.discriminator, fixed, (mean,))
        told = self.discriminator(mean.detach())
        is_labelled = (torch.arange(len(x), device=x.device) < batch.n_labelled).to(x)[:, None]
        return {
            "reconstruction": F.mse_loss(torch.sigmoid(self.decoder(z)), x) / (2 * s.deviation**2),
            "divergence": s.beta * divergence / x[0].numel(),
            "adversary": s.adversary * F.softplus(-fooled).mean(),
            "discriminator": F.binary_cross_entropy_with_logits(told, is_labelled),
        }

    def encode(self, x: Float[Tensor, "B K S S"]) -> tuple[Float[Tensor, "B z"], Float[Tensor, "B z"]]:
        """Mean and logarithm of the variance of each picture's latent vector; pixels are 0 to 1."""
        mean, log_variance = self.encoder(2 * x - 1).chunk(2, dim=1)
        return mean, log_variance

    def after(self, step: int) -> None:
        """Nothing follows."""

    @property
    def predictor(self) -> nn.Module:
        """All of it."""
        return self

    def forward(self, x: Float[Tensor, "B K S S"]) -> Float[Tensor, " B"]:
        """The logit of each picture to be labelled."""
        logits: Tensor = self.discriminator(self.encode(x)[0])
        return logits[:, 0]


@dataclass
class VaalRun:
    """The training for one set of labelled pictures, in its own folder, where a stopped one goes on."""

    pixels: np.ndarray
    is_labelled: Bool[np.ndarray, " n"]
    settings: VaalSettings
    folder: Path
    seed: int = 0
    hardware: Hardware = field(default_factory=Hardware)

    @cached_property
    def method(self) -> AdversarialAutoencoder:
        """The networks; fresh weights depend on the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self.seed, "vaal"))
            return AdversarialAutoencoder(self.pixels.shape[1], self.settings)

    def steps(self) -> Iterator[Step]:
        """Trains; yields one record a step."""
        yield from fit(
            self.method,
            self._batch,
            self.settings.fit,
            folder=self.folder,
            hardware=self.hardware,
            seed=self.seed,
        )

    def learnt(self) -> Float32[np.ndarray, " n"]:
        """The logit of each picture to be labelled, after the training."""
        for _ in self.steps():
            pass
        return self.logits()

    def logits(self) -> Float32[np.ndarray, " n"]:
        """The logit of each picture to be labelled, as the networks are now."""
        network = self.method.eval()
        device = next(network.parameters()).device
        starts = range(0, len(self.pixels), AT_ONCE)
        with torch.no_grad():
            parts = [network(self._pictures(range(i, min(i + AT_ONCE, len(self.pixels)))).to(device)) for i in starts]
        return np.asarray(torch.cat(parts).cpu().numpy(), np.float32)

    def _batch(self, step: int) -> Batch:
        """As many labelled as unlabelled pictures; the few come several times."""
        rng = stream(self.seed, "vaal", step)
        half = self.settings.batch // 2
        groups = (np.flatnonzero(self.is_labelled), np.flatnonzero(~self.is_labelled))
        rows = [int(i) for group in groups for i in rng.choice(group, half, replace=len(group) < half)]
        nothing = torch.full((1, 1, 1), UNKNOWN, dtype=torch.uint8).expand(len(rows), *self.pixels.shape[2:])
        names = tuple(str(row) for row in rows)
        return Batch(self._pictures(rows), nothing, half, names, tuple(range(len(rows))))

    def _pictures(self, rows: Sequence[int]) -> Tensor:
        """Pictures (B, K, S, S), 0 to 1."""
        return torch.from_numpy(np.asarray(self.pixels[list(rows)], np.float32)) / 255


def _halved(before: int, width: int) -> nn.Module:
    conv = nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(NORM_GROUPS, width), nn.ReLU())


def _doubled(before: int, width: int) -> nn.Module:
    conv = nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(NORM_GROUPS, width), nn.ReLU())
