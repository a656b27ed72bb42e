"""A bench at work in a folder: every arm with every seed once, whoever does it and however often it was stopped."""

import json
import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic

from pydantic import Field

from frugalseg.bench.bench import Bench, BenchData, Course, Job, Measurement, PresetName, S, Source, Stage
from frugalseg.campaign.trials import Trials, check_unchanged
from frugalseg.data.spec import open_data, parse_data_spec
from frugalseg.errors import DataError, SettingsError, WeightsError, lookup
from frugalseg.files import write_bytes, write_json
from frugalseg.learn.hardware import Hardware
from frugalseg.report.records import Panel
from frugalseg.settings import Settings, override, parse

SETTINGS = "settings.json"
"""What the result of an (arm, seed) depends on, in its folder from its beginning."""


class Wanted(Settings):
    """What was asked of a bench; what is None is the preset's."""

    preset: PresetName = "quick"
    data: str | None = None  # LAYOUT=DIR,option=value
    test_data: str | None = None
    seeds: int | None = Field(None, ge=1)  # of each arm; a preset has fewer for arms beside its headline
    only: tuple[str, ...] = ()  # these arms


@dataclass(frozen=True)
class Progress:
    """Where a bench stands."""

    arm: str
    seed: int
    stage: Stage


@dataclass(frozen=True)
class BenchRun(Generic[S]):
    """A bench with its data opened, its settings resolved, and the folder where its results are kept.

    `left_out` are optional arms without weights, and the reason.
    """

    bench: Bench[S]
    preset: PresetName
    settings: S
    data: BenchData
    trials: Trials
    chosen: tuple[str, ...]
    hardware: Hardware
    words: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls, bench: Bench[S], out: Path, *, wanted: Wanted, changes: Mapping[str, Any], hardware: Hardware
    ) -> "BenchRun[S]":
        """Resolves settings, opens the data, checks what lies in OUT.

        `changes` are applied to the preset's settings as `frugalseg.settings.override` does. Raises `SettingsError` for
        unknown keys and arms, and when OUT holds results of other settings or data; `DataError` for unusable data;
        `WeightsError` where an arm's weights are absent and it cannot be left out.
        """
        preset = lookup(bench.presets, wanted.preset, f"preset of {bench.name}")
        settings = parse(bench.settings, override(preset.settings, changes), where=f"settings of {bench.name}")
        if hardware.device == "gpu" and not bench.uses_gpu:
            raise SettingsError(f"bench {bench.name} measures on the CPU; leave out --device gpu")
        arms = bench.arms(settings)
        seeds, fewer = (preset.seeds, preset.fewer(arms)) if wanted.seeds is None else (wanted.seeds, {})
        chosen = wanted.only or preset.arms or arms
        for arm in chosen:
            lookup(dict.fromkeys(arms), arm, f"arm of {bench.name}")
        test = None if wanted.test_data is None else _opened(wanted.test_data)
        data = BenchData(_opened(wanted.data or preset.data), test)
        trials = Trials(out, arms, tuple(range(seeds)), fewer)
        found = cls(bench, wanted.preset, settings, data, trials, chosen, hardware)
        for arm in chosen:
            bench.check(arm, settings, data)
            try:
                found.words_of(arm)
            except WeightsError as error:
                if wanted.only or arm not in bench.optional:
                    raise
                found.left_out[arm] = str(error)
        found = replace(found, chosen=tuple(arm for arm in chosen if arm not in found.left_out))
        found.check()
        return found

    @property
    def device(self) -> str:
        """Where it computes."""
        return self.hardware.accelerator() if self.bench.uses_gpu else "cpu"

    def check(self) -> None:
        """Raises `SettingsError` when a result in OUT was made with other settings or data.

        Absent weights are not compared, where nobody needs them now.
        """
        for arm, seed in self.trials.pairs():
            file = self.trials.folder(arm, seed) / SETTINGS
            if file.is_file():
                kept = json.loads(file.read_text(encoding="utf-8"))
                try:
                    words = self.words_of(arm)
                except WeightsError:
                    if arm in self.chosen:
                        raise
                    words = self._words(arm)
                    kept.pop("weights", None)
                check_unchanged(file.parent, kept, words)

    def run(self) -> Iterator[Progress]:
        """Measures each chosen (arm, seed) that is neither finished nor held by another process."""
        for arm, seed in self.trials.left(self.chosen):
            self.check()
            folder = self.trials.folder(arm, seed)
            write_json(folder / SETTINGS, self.words_of(arm))
            job = Job(arm, seed, self.data, self.settings, folder, self.hardware)
            began = time.monotonic()
            found = yield from self._measure(job)
            self._keep(job, found, seconds=time.monotonic() - began)

    def _measure(self, job: Job[S]) -> Generator[Progress, None, Measurement]:
        measuring = self.bench.measure(job)
        while True:
            try:
                stage = next(measuring)
            except StopIteration as end:
                found: Measurement = end.value
                return found
            yield Progress(job.arm, job.seed, stage)

    def measured(self, arm: str, seed: int) -> Measurement:
        """What a finished (arm, seed) found."""
        folder, found = self.trials.folder(arm, seed), self.trials.found(arm, seed)
        pictures = [
            Panel(p["title"], p["caption"], (folder / p["file"]).read_bytes(), p["alt"]) for p in found["pictures"]
        ]
        course = found.get("course")
        return Measurement(found["metrics"], tuple(pictures), None if course is None else Course.read(course))

    def unfinished(self) -> int:
        """How many of the chosen (arm, seed) have not ended."""
        ended = self.trials.finished()
        return sum((arm, seed) not in ended for arm in self.chosen for seed in self.trials.seeds_of(arm))

    def _keep(self, job: Job[S], found: Measurement, *, seconds: float) -> None:
        if wrong := sorted(name for name, value in found.metrics.items() if not math.isfinite(value)):
            raise DataError(f"bench {self.bench.name}, {job.arm}, seed {job.seed}: {', '.join(wrong)} is not finite")
        pictures: list[dict[str, str]] = []
        for number, panel in enumerate(found.pictures):
            file = f"picture-{number:02d}.{'svg' if panel.is_svg else 'png'}"
            write_bytes(job.folder / file, panel.image)
            pictures.append({"title": panel.title, "caption": panel.caption, "alt": panel.alt, "file": file})
        metrics = {"seconds": seconds} | dict(found.metrics)
        kept: dict[str, Any] = {"metrics": metrics, "pictures": pictures}
        if found.course is not None:
            kept["course"] = asdict(found.course)
        self.trials.finish(job.arm, job.seed, kept)

    def words_of(self, arm: str) -> dict[str, Any]:
        """What the results of an arm depend on, as JSON; found out once, for it may have to read weights.

        Raises `WeightsError` where these are absent.
        """
        if arm not in self.words:
            weights = self.bench.weights(arm, self.settings)
            self.words[arm] = self._words(arm) | ({} if weights is None else {"weights": weights})
        return self.words[arm]

    def _words(self, arm: str) -> dict[str, Any]:
        """The same but for the weights."""
        data = {"data": self.data.main.words()}
        if self.data.test is not None:
            data["test data"] = self.data.test.words()
        words = {"bench": self.bench.name, **self.bench.depends(arm, self.settings), **data}
        return dict(json.loads(json.dumps(words)))


def _opened(text: str) -> Source:
    spec = parse_data_spec(text)
    pool = open_data(spec, labels_are="truth")
    return Source(spec, pool, pool.fingerprint())
