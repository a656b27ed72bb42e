"""Training a specialist on a pool: plan, prepared cases, sampling, method and engine put together."""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from torch import nn

from frugalseg.data.augment import AugmentSettings, augment
from frugalseg.data.batch import Batch
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.data.sampling import LoadPseudo, SamplingSettings, TwoStream
from frugalseg.errors import DataError, SettingsError, lookup
from frugalseg.files import fingerprint_array, fingerprint_json
from frugalseg.generalist_labels import GeneralistLabels, read_report, refreshes_in
from frugalseg.generalists.cache import Cached
from frugalseg.learn.engine import FitSettings, Hardware, Reach, Step, fit
from frugalseg.learn.log import read_log
from frugalseg.learn.method import Method
from frugalseg.methods import METHODS, build_method
from frugalseg.methods.gmabs import GmAbs, refreshes
from frugalseg.seeds import derive
from frugalseg.settings import Settings
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import Plan, build_network, make_plan
from frugalseg.specialist.prepare import PreparedCases

GENERALIST_LABELS = "generalist-labels"
"""Where, in the folder of a run, the labels lie that a generalist has made for it."""


class TrainSettings(Settings):
    """How a specialist learns. `options` are the settings of the method itself."""

    method: str = "mean-teacher"
    options: dict[str, Any] = Field(default_factory=dict)
    labelled: int = Field(2, ge=1)  # patches a step from cases somebody has drawn on
    unlabelled: int = Field(2, ge=0)  # patches a step from the others; supervised methods take none
    known_fraction: float = Field(0.7, ge=0, le=1)  # labelled patches centred on a known voxel, classes in turn; ours
    uniform_corners: bool = False  # other patches: every place inside equally often; else more at the borders
    enclosed: bool = False  # strokes of background go around all objects: outside of them is background; 2D plans
    augment: AugmentSettings = AugmentSettings()
    fit: FitSettings = FitSettings()

    @field_validator("method")
    @classmethod
    def _is_known(cls, method: str) -> str:
        lookup(METHODS, method, "method")
        return method


@dataclass
class Training:
    """One training run in its own folder: go through `steps()`, then take `model`.

    A folder that holds a checkpoint of the same settings is continued. `rater` names whose labels teach (it may be
    left out when each case has one rater). `cache` keeps the prepared cases and may be shared between runs. With a
    `reach` it is a part of a longer training, which goes on with the networks of the run before.
    """

    pool: Pool
    plan: Plan
    settings: TrainSettings
    folder: Path
    seed: int = 0
    rater: str | None = None
    hardware: Hardware = field(default_factory=Hardware)
    cache: Path | None = None
    reach: Reach = field(default_factory=Reach)
    _predictor: nn.Module | None = None

    def steps(self) -> Iterator[Step]:
        """Trains; yields one record a step. Raises `DataError` when nobody has drawn anything."""
        entry = lookup(METHODS, self.settings.method, "method")
        labelled = self.pool.labelled(self.rater)
        if not labelled:
            raise DataError("nobody has drawn anything yet: annotate some units before training")
        rest = [c.id for c in self.pool.cases if c.id not in set(labelled)] if entry.uses_unlabelled else []
        steps = {"steps": self.settings.fit.steps} if entry.knows_steps else {}
        method = build_method(self.settings.method, self._make_network(), {**steps, **self.settings.options})
        tutor = self._tutor(method)
        reach = self.reach
        if tutor:
            earlier = None if reach.after is None else reach.after / GENERALIST_LABELS
            reach = replace(reach, begin=partial(tutor.begin, earlier))
        part_at = self._parts(labelled, rest, tutor)

        def batches(step: int) -> Batch:
            return augment(part_at(step).batch(step), self.settings.augment)

        yield from fit(
            method,
            batches,
            self.settings.fit,
            folder=self.folder,
            hardware=self.hardware,
            seed=self.seed,
            about=self.about() | ({"generalist": tutor.labels.generalist.info.fingerprint} if tutor else {}),
            interludes={step: partial(tutor.refresh, step) for step in tutor.steps} if tutor else {},
            reach=reach,
        )
        self._predictor = method.predictor

    @property
    def model(self) -> Model:
        """The trained specialist; raises `RuntimeError` before the end of `steps()`."""
        if self._predictor is None:
            raise RuntimeError("the training has not ended: go through steps() first")
        info = {"method": self.settings.method, "steps": str(self.settings.fit.steps), "seed": str(self.seed)}
        return Model(self.plan, self._predictor, info)

    def seconds(self) -> float:
        """What its steps have taken, and the generalist's labels between them, however often it was stopped."""
        log, labels = read_log(self.folder), self.folder / GENERALIST_LABELS
        first = log[0]["step"] if log else 0
        refreshed = [step for step in refreshes_in(labels) if step >= first]  # not those of the run before
        spent = self.settings.fit.log_every * sum(float(step["seconds"]) for step in log)
        return spent + sum(float(read_report(labels, step)["seconds"]) for step in refreshed)

    def about(self) -> dict[str, Any]:
        """What makes this run the same run, beside its method and seed: a checkpoint of anything else is refused."""
        labelled = self.pool.labelled(self.rater)
        drawn = {case: fingerprint_array(self._label(case).array) for case in labelled}
        settings = self.settings.model_dump(mode="json", exclude={"fit", "method", "options"})
        cases = [case.source.fingerprint() for case in self.pool.cases]
        return {
            "plan": self.plan.completed().model_dump(mode="json"),
            "settings": settings,
            "cases": fingerprint_json(cases),
            "labels": fingerprint_json(drawn),
        }

    def _label(self, case: str) -> SemanticLabel:
        label = self.pool.label(case, self.rater)
        if label is None:
            raise DataError(f"{case}: its label vanished while it was read")
        return label

    def _tutor(self, method: Method) -> GeneralistLabels | None:
        """Who makes labels between two steps, for the method that learns from such."""
        if not isinstance(method, GmAbs) or not refreshes(method.settings):
            return None
        from frugalseg.generalists.registry import build_generalist

        cache = method.settings.embeddings.cache((self.cache or self.folder) / "embeddings", keeps_used=True)
        name, device = str(method.settings.generalist), self.hardware.own_device()
        generalist = Cached(build_generalist(name, device=device), cache)
        return GeneralistLabels(
            self.pool,
            self.plan,
            self.folder / GENERALIST_LABELS,
            method=method,
            generalist=generalist,
            seed=self.seed,
            rater=self.rater,
        )

    def _parts(
        self, labelled: list[str], rest: list[str], tutor: GeneralistLabels | None
    ) -> Callable[[int], TwoStream]:
        """Where the batch of a step comes from: a refresh of the labels begins a new part, made when it is needed."""

        @lru_cache(maxsize=1)
        def part(start: int) -> TwoStream:
            load = partial(tutor.ready, step=start) if tutor and start else None
            return self._stream(labelled, rest, load_pseudo=load)

        starts = (0, *(tutor.steps if tutor else ()))
        return lambda step: part(max(start for start in starts if start <= step))

    def _stream(self, labelled: list[str], rest: list[str], *, load_pseudo: LoadPseudo | None = None) -> TwoStream:
        sampling = SamplingSettings(
            patch=self.plan.patch,
            n_labelled=self.settings.labelled,
            n_unlabelled=self.settings.unlabelled if rest else 0,
            known_fraction=self.settings.known_fraction,
            uniform_corners=self.settings.uniform_corners,
        )
        return TwoStream(
            labelled, rest, self._prepared.load, sampling, seed=self.seed, axis=self.plan.axis, load_pseudo=load_pseudo
        )

    @cached_property
    def _prepared(self) -> PreparedCases:
        folder = self.cache or self.folder / "prepared"
        return PreparedCases(self.pool, self.plan, folder, rater=self.rater, enclosed=self.settings.enclosed)

    def _make_network(self) -> Any:
        numbers = itertools.count()
        return lambda: build_network(self.plan, seed=derive(self.seed, "network", next(numbers)))


def train(
    pool: Pool,
    method: str = "mean-teacher",
    *,
    plan: Plan | None = None,
    settings: Mapping[str, Any] | TrainSettings | None = None,
    folder: str | Path | None = None,
    seed: int = 0,
    rater: str | None = None,
) -> Model:
    """Trains a specialist on what was drawn in the pool, and on everything else unlabelled.

    `settings` are `TrainSettings` or a mapping of changes to them. With a `folder` the run leaves its checkpoint and
    log there and goes on where it was; without one it leaves nothing. Raises `DataError` when nothing was drawn.
    """
    chosen = _settings(method, settings)
    plan = plan or make_plan(pool)
    with tempfile.TemporaryDirectory(prefix="frugalseg-") as scratch:
        run = Training(pool, plan, chosen, Path(folder or scratch), seed=seed, rater=rater)
        for _ in run.steps():
            pass
        return run.model


def _settings(method: str, given: Mapping[str, Any] | TrainSettings | None) -> TrainSettings:
    from frugalseg.settings import override, parse

    if isinstance(given, TrainSettings):
        if given.method != method:
            raise SettingsError(f"method '{method}' was asked for but the settings say '{given.method}'")
        return given
    return parse(TrainSettings, override({"method": method}, given or {}), where="train settings")
