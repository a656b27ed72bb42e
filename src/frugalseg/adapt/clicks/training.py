"""The click adapter from sources to a file: encode examples, train, write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from frugalseg.adapt.clicks.examples import Examples, encode_examples, open_examples
from frugalseg.adapt.clicks.method import Clicks, ClickSettings
from frugalseg.adapt.clicks.sources import Procedural, Source
from frugalseg.data.batch import Batch
from frugalseg.generalists.click_decoder import ClickDecoder
from frugalseg.generalists.clicks import new_click_decoder, save_adapter
from frugalseg.generalists.sam import SamGeneralist
from frugalseg.learn.engine import FitSettings, Hardware, Step, fit
from frugalseg.seeds import derive, stream
from frugalseg.settings import Settings


class SideSettings(Settings):
    """The examples of one input side."""

    procedural: int = Field(ge=1)  # examples
    labelled: int = Field(ge=1)  # examples of each labelled data set
    batch: int = Field(ge=1)  # objects a step
    odds: float = Field(gt=0)  # how often a step is of this side


class AdaptClicksSettings(Settings):
    """How a click adapter is trained. The defaults fit two CPU cores for an hour or two."""

    sides: Mapping[int, SideSettings] = {
        64: SideSettings(procedural=4800, labelled=1000, batch=16, odds=0.6),
        128: SideSettings(procedural=1600, labelled=240, batch=6, odds=0.4),
    }
    labelled_share: float = Field(0.3, ge=0, le=1)  # of the objects, from the labelled sets together, if there are some
    sessions: ClickSettings = ClickSettings()
    fit: FitSettings = FitSettings(
        steps=1500,
        lr=3e-4,
        schedule="cosine",
        warmup=60,
        clip_norm=1,
        checkpoint_every=100,
        log_every=10,
        tensorboard=False,
    )


@dataclass(frozen=True)
class ClickTraining:
    """One training in its folder; whatever was killed goes on. `generalists` are LiteMedSAM at each side."""

    generalists: Mapping[int, SamGeneralist]
    labelled: Sequence[Source]
    settings: AdaptClicksSettings
    folder: Path
    examples: Path  # may be shared by trainings of several seeds and of fewer sources
    seed: int = 0
    hardware: Hardware = field(default_factory=Hardware)

    def encode(self) -> Iterator[tuple[str, int, int]]:
        """Makes the examples; yields (which, how many there are, how many there shall be) as they grow."""
        for side, chosen in self.settings.sides.items():
            for source in (Procedural(), *self.labelled):
                n = chosen.labelled if source in self.labelled else chosen.procedural
                name = f"{source.name}-{side}"
                for done in encode_examples(source, self.generalists[side], n=n, folder=self.examples / name, seed=0):
                    yield name, done, n

    def steps(self) -> Iterator[Step]:
        """Trains on the examples and writes ``adapter.safetensors`` at the end."""
        names = [source.name for source in (Procedural(), *self.labelled)]
        stores = {
            f"{n}-{side}": open_examples(self.examples / f"{n}-{side}") for n in names for side in self.settings.sides
        }
        decoder = self._fresh_decoder()
        method = Clicks(decoder, stores, self.settings.sessions)

        def batches(step: int) -> Batch:
            return self._batch(stores, step)

        yield from fit(
            method,
            batches,
            self.settings.fit,
            folder=self.folder,
            hardware=self.hardware,
            seed=self.seed,
            about=self.about(),
        )
        save_adapter(decoder, self.folder / "adapter.safetensors", {"seed": str(self.seed)})

    def _fresh_decoder(self) -> ClickDecoder:
        """The published decoder with new details; their first weights depend on the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "click details"))
            return new_click_decoder(next(iter(self.generalists.values())).decoder).requires_grad_(True)

    def about(self) -> dict[str, object]:
        """What makes this run the same run, beside its seed and the settings of sessions and fit."""
        return {
            "settings": self.settings.model_dump(mode="json", exclude={"fit", "sessions"}),
            "sources": [source.fingerprint for source in (Procedural(), *self.labelled)],
        }

    def _batch(self, stores: Mapping[str, Examples], step: int) -> Batch:
        """Objects of one side; a pure function of the step."""
        rng = stream(self.seed, "click batch", step)
        sides = list(self.settings.sides)
        odds = np.array([self.settings.sides[side].odds for side in sides])
        side = sides[int(rng.choice(len(sides), p=odds / odds.sum()))]
        drawn = [self._drawn(stores, side, rng) for _ in range(self.settings.sides[side].batch)]
        return Batch(
            image=torch.from_numpy(np.stack([stores[name].pixels(k) for name, k, _ in drawn])),
            label=torch.from_numpy(np.stack([mask for _, _, mask in drawn])),
            n_labelled=len(drawn),
            cases=tuple(f"{name}#{k}" for name, k, _ in drawn),
            seeds=tuple(derive(self.seed, "click user", step, place) for place in range(len(drawn))),
        )

    def _drawn(
        self, stores: Mapping[str, Examples], side: int, rng: np.random.Generator
    ) -> tuple[str, int, np.ndarray]:
        """One object: the name and number of its example, and its mask as a label."""
        source = "procedural"
        if self.labelled and rng.random() < self.settings.labelled_share:
            source = self.labelled[int(rng.integers(len(self.labelled)))].name
        store = stores[f"{source}-{side}"]
        k = int(rng.integers(store.n))
        masks = store.masks(k)
        lengths = np.sqrt(masks.sum((1, 2)))  # small ones are many, large ones are what a zoomed user sees
        chosen = int(rng.choice(len(masks), p=lengths / lengths.sum()))
        return f"{source}-{side}", k, masks[chosen].astype(np.uint8)
