"""Group-based contrastive learning: an encoder that learns from the pool itself, before anything is labelled.

Slices of one volume or one patient are pulled together, those of different patients pushed apart, and two random views
of one slice are the same. Trained once, then frozen, and kept in a folder.

Source: CoreCLR / "Integrating Deep Metric Learning with Coreset for Active Learning in 3D Segmentation".

| paper | here |
|---|---|
| NT-Xent loss, weight 1 | `ContrastSettings.twin` |
| slice, volume, patient group loss | `slices`, `volumes`, `patients` |
| anchor and companions | `GroupSampler` |
| projection head | `projection` |

We differ: (a) positives are those whom the mask names (`frugalseg.learn.contrast`); (b) relatives are no negatives of
the NT-Xent term, which would work against the group terms, unless `mates_repel`; (c) everything is seeded, batches hold
64 slices (of 16 patients with all three group terms) instead of 9 of 3, AdamW with gradients clipped at 12 takes the
place of Adam, and the learning rate falls along a cosine; (d) group norm and fresh weights instead of ImageNet's; (e)
temperature 0.1: with 0.5 and a few hundred steps the encoder knew its patients less well after training than before;
(f) features are standardised over the pool and have length 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field, field_validator
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.data.pool import PoolView
from frugalseg.files import fingerprint_json, held, write_json
from frugalseg.learn.contrast import Kin, contrast
from frugalseg.learn.engine import FitSettings, Hardware, Step, fit
from frugalseg.seeds import derive
from frugalseg.settings import Settings
from frugalseg.strategies.embedding.embedder import kept, standardised
from frugalseg.strategies.embedding.encoder import NORM_GROUPS, Encoder, projection
from frugalseg.strategies.embedding.groups import Companion, Families, GroupSampler, families_of
from frugalseg.strategies.embedding.pictures import Picture, fingerprint, read_pixels
from frugalseg.strategies.embedding.retrieval import Retrieval, retrieval
from frugalseg.strategies.embedding.views import ViewSettings, make_views

FORM = 1
"""Raised whenever the same settings mean another training, so that features of the older one are not used."""

AT_ONCE = 64
"""Pictures that go through the encoder together; always so, for another number gives other last bits."""


class ContrastSettings(Settings):
    """The encoder, what it sees and how it learns. The defaults are for two CPU cores and a few minutes."""

    side: int = Field(64, ge=16)  # pixels of a picture's side; 256 in the paper
    widths: tuple[int, ...] = Field((32, 64, 128, 256), min_length=1)  # channels of the stages; the last one's are kept
    blocks: int = Field(1, ge=1)  # residual blocks in each stage
    batch: int = Field(64, ge=2)  # slices a step, each seen twice
    temperature: float = Field(0.1, gt=0)  # 0.5 in the paper
    twin: float = Field(1.0, ge=0)  # weights of the four terms; volumes and patients as published
    slices: float = Field(0.1, ge=0)
    volumes: float = Field(0.35, ge=0)
    patients: float = Field(0.05, ge=0)
    mates_repel: bool = False  # relatives are negatives of the twin term, as published
    views: ViewSettings = ViewSettings()
    epochs: int | None = Field(None, ge=1)  # passes over the pool, instead of fit.steps
    fit: FitSettings = FitSettings(
        steps=400,
        lr=1e-3,
        weight_decay=1e-6,
        schedule="cosine",
        warmup=10,
        channels_last=True,
        checkpoint_every=25,
        tensorboard=False,
    )

    @field_validator("widths")
    @classmethod
    def _divisible(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < 1 or width % NORM_GROUPS for width in widths):
            raise ValueError(f"widths must be multiples of {NORM_GROUPS}")
        return widths

    @property
    def companions(self) -> tuple[Companion, ...]:
        """Whom an anchor brings into a batch: those whose term has a weight."""
        weights: dict[Companion, float] = {"slices": self.slices, "volumes": self.volumes, "patients": self.patients}
        return tuple(companion for companion, weight in weights.items() if weight)

    def schedule(self, n: int) -> FitSettings:
        """How long it learns from `n` pictures."""
        if self.epochs is None:
            return self.fit
        steps = max(1, round(self.epochs * n / min(self.batch, n)))
        return self.fit.model_copy(update={"steps": steps})


PRESETS: Mapping[str, ContrastSettings] = {
    "quick": ContrastSettings(),
    "paper": ContrastSettings(
        side=256,
        widths=(64, 128, 256, 512),
        blocks=2,
        temperature=0.5,
        slices=0,
        mates_repel=True,
        epochs=100,
        fit=ContrastSettings().fit.model_copy(update={"lr": 3e-4, "schedule": "constant", "warmup": 0}),
    ),
}


class GroupContrast(nn.Module):
    """Learns an encoder; a batch's samples are views, and its cases are the numbers of the pictures they show."""

    def __init__(self, channels: int, families: Families, settings: ContrastSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(channels, settings.widths, settings.blocks)
        self.head = projection(settings.widths[-1])
        self.families = families

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """The twin term and the three group terms, those of weight 0 left out."""
        kin = self._kin(batch)
        z = self.head(self.encoder(batch.image))
        mates = kin.patient_mates()
        rivals = kin.others() if self.settings.mates_repel else kin.others() & ~mates
        s = self.settings
        terms = {
            "twin": (s.twin, kin.twins(), rivals),
            "slices": (s.slices, kin.slice_mates(), kin.strangers()),
            "volumes": (s.volumes, kin.volume_mates(), kin.strangers()),
            "patients": (s.patients, mates, kin.strangers()),
        }
        return {
            name: weight * contrast(z, positives, negatives, temperature=s.temperature)
            for name, (weight, positives, negatives) in terms.items()
            if weight
        }

    def after(self, step: int) -> None:
        """Nothing follows."""

    @property
    def predictor(self) -> nn.Module:
        """The encoder, without its head."""
        return self.encoder

    def _kin(self, batch: Batch) -> Kin:
        rows = np.array([int(case) for case in batch.cases])
        f = self.families
        numbers = (rows, f.index[rows], f.volume[rows], f.patient[rows])
        return Kin(*(torch.from_numpy(x).to(batch.image.device) for x in numbers))


@dataclass
class ContrastRun:
    """The training of one encoder on the pictures of a pool, in its own folder: `steps()`, then `features()`.

    A folder that holds a checkpoint of the same pool, settings and seed is continued.
    """

    pixels: np.ndarray
    pictures: Sequence[Picture]
    settings: ContrastSettings
    folder: Path
    seed: int = 0
    hardware: Hardware = field(default_factory=Hardware)
    about: str = ""

    @cached_property
    def method(self) -> GroupContrast:
        """The encoder with its head; fresh weights depend on the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self.seed, "encoder"))
            return GroupContrast(self.pixels.shape[1], families_of(self.pictures), self.settings)

    def steps(self) -> Iterator[Step]:
        """Trains; yields one record a step."""
        s = self.settings
        sampler = GroupSampler(self.method.families, s.batch, seed=self.seed, companions=s.companions)

        def batches(step: int) -> Batch:
            return self._batch(sampler.rows(step), step)

        yield from fit(
            self.method,
            batches,
            s.schedule(len(self.pictures)),
            folder=self.folder,
            hardware=self.hardware,
            seed=self.seed,
            about={"pictures": self.about},
        )

    def features(self) -> Float32[np.ndarray, "N D"]:
        """What the encoder makes of each picture, as it is now, standardised over the pool."""
        encoder = self.method.encoder.eval()
        device = next(encoder.parameters()).device
        parts = []
        with torch.no_grad():
            for start in range(0, len(self.pixels), AT_ONCE):
                x = self._pictures(range(start, min(start + AT_ONCE, len(self.pixels))))
                parts.append(encoder(x.to(device)).cpu().numpy())
        return standardised(np.concatenate(parts))

    def _batch(self, rows: Sequence[int], step: int) -> Batch:
        """Two views of each of these pictures."""
        both = [*rows, *rows]
        seeds = tuple(derive(self.seed, "view", step, place) for place in range(len(both)))
        x = make_views(self._pictures(both), seeds, self.settings.views)
        nothing = torch.full((1, 1, 1), UNKNOWN, dtype=torch.uint8).expand(len(both), *x.shape[2:])
        return Batch(x, nothing, 0, tuple(str(row) for row in both), seeds)

    def _pictures(self, rows: Sequence[int]) -> Tensor:
        """Pictures (B, K, S, S), 0 to 1."""
        return torch.from_numpy(np.asarray(self.pixels[list(rows)], np.float32)) / 255


@dataclass(frozen=True)
class GroupContrastive:
    """The embedding that is learnt from the pool; in its folder it finds the one that it has learnt before."""

    settings: ContrastSettings = PRESETS["quick"]
    hardware: Hardware = field(default_factory=Hardware)

    def embed(self, view: PoolView, pictures: Sequence[Picture], folder: Path) -> Float32[np.ndarray, "N D"]:
        """Vectors of length 1. The first call trains; a later one, or one after a kill, goes on from what is there.

        Processes that want the same embedding at the same time wait for one of them. ``retrieval.json`` beside it
        says what neighbours are worth before and after training.
        """
        run = self.run(view, pictures, folder)
        with held(run.folder, wait=True):
            return kept(run.folder / "features.npy", lambda: _learnt(run))

    def run(self, view: PoolView, pictures: Sequence[Picture], folder: Path) -> ContrastRun:
        """The training, for whoever wants to see its steps; nothing is trained yet."""
        about = fingerprint(view, pictures, self.settings.side)
        words = [FORM, about, view.seed, self.settings.model_dump(mode="json")]
        pixels = read_pixels(view, pictures, self.settings.side, folder / f"pictures-{about}.npy")
        place = folder / f"contrastive-{fingerprint_json(words)}"
        return ContrastRun(pixels, pictures, self.settings, place, view.seed, self.hardware, about)


def _learnt(run: ContrastRun) -> np.ndarray:
    before = _validated(run)
    for _ in run.steps():
        pass
    features = run.features()
    after = retrieval(features, run.pictures)
    write_json(run.folder / "retrieval.json", {"before": before, "after": asdict(after)})
    return features


def _validated(run: ContrastRun) -> dict[str, float | None]:
    """What the fresh encoder is worth; a checkpoint, if there is one, is read later."""
    found: Retrieval = retrieval(run.features(), run.pictures)
    return asdict(found)
