"""A whole campaign on labelled data: every arm, every seed, from the first unit to the last round.

Each (arm, seed) is a workspace of its own in OUT/ARM/seed-N, so that a stopped campaign goes on where it was, and so
that several processes may share the work.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from frugalseg.annotator import Oracle
from frugalseg.campaign.first_round import FirstRound
from frugalseg.campaign.rounds import TrainingRound, choose, draw
from frugalseg.campaign.settings import CampaignSettings, Purchase, check_opinions
from frugalseg.campaign.trials import Trials, check_unchanged
from frugalseg.campaign.watching import watch
from frugalseg.data.pool import Pool
from frugalseg.data.spec import open_data, parse_data_spec, split_data
from frugalseg.data.splits import Split
from frugalseg.data.unit import Unit
from frugalseg.evaluation import evaluate
from frugalseg.files import write_bytes
from frugalseg.learn.engine import Hardware, Step
from frugalseg.protocols import protocol_scores
from frugalseg.settings import parse
from frugalseg.specialist.plan import DERIVED, Plan, make_plan
from frugalseg.workspace import Workspace

CAMPAIGN = "campaign.yaml"
"""The settings of what lies in OUT, as they were given last."""


@dataclass(frozen=True)
class Progress:
    """Where a simulation stands: the arm, seed and round, what it does now, and how much of that is done."""

    arm: str
    seed: int
    round: int
    stage: str
    done: int = 0
    total: int | None = None
    step: Step | None = None


@dataclass(frozen=True)
class Simulation:
    """A campaign with its data opened once: the hidden truth is read by the oracle and the evaluation only."""

    settings: CampaignSettings
    out: Path
    hardware: Hardware
    pool: Pool
    split: Split
    plan: Plan

    @classmethod
    def open(cls, settings: CampaignSettings, out: Path, hardware: Hardware) -> "Simulation":
        """Opens the data, divides it, makes the plan, and notes the settings in OUT."""
        data = open_data(parse_data_spec(settings.data), labels_are="truth")
        found = cls.on(data, settings, out, hardware)
        text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
        write_bytes(out / CAMPAIGN, text.encode())
        return found

    @classmethod
    def on(cls, data: Pool, settings: CampaignSettings, out: Path, hardware: Hardware) -> "Simulation":
        """The same on data that are open already, as `open_data` gives them for ``labels_are="truth"``."""
        pool = Pool(data.cases, data.classes, truth=data.truth)  # a simulation begins with nothing drawn
        numbers = settings.split.model_dump(exclude={"file"})
        file = settings.split.file or parse_data_spec(settings.data).split
        split = split_data(pool, file=file, **numbers)
        proposed = make_plan(pool.subset(split.train)).model_dump(mode="json", exclude=DERIVED)
        plan = parse(Plan, {**proposed, **settings.plan}, where="plan").completed()
        check_opinions(settings, plan)
        return cls(settings, out, hardware, pool, split, plan)

    def run(self, arms: tuple[str, ...] = ()) -> Iterator[Progress]:
        """Goes through all seeds of the arms (all of them by default) that are not finished and not held elsewhere."""
        for arm, seed in self.trials.left(arms):
            yield from self.rounds(arm, seed)
            self.trials.finish(arm, seed, {"rounds": self.settings.arm(arm).rounds + 1})

    @property
    def trials(self) -> Trials:
        """Its arms and seeds, and what has become of each."""
        return Trials(self.out, tuple(self.settings.arms), self.settings.seeds)

    @property
    def cache(self) -> Path:
        """The folder of what all arms may share."""
        return self.out / "cache"

    def folder(self, arm: str, seed: int) -> Path:
        """Where the workspace of an (arm, seed) lies."""
        return self.trials.folder(arm, seed)

    def finished(self) -> list[tuple[str, int]]:
        """Every (arm, seed) that has ended."""
        return self.trials.finished()

    def workspace(self, arm: str, seed: int) -> Workspace:
        """The workspace of an (arm, seed); made when there is none. Raises `SettingsError` for changed settings."""
        folder = self.folder(arm, seed) / "workspace"
        without = {"seeds", "arms", "compare", "name", "advice"}  # what its results do not depend on
        settings = self.settings.arm(arm).model_dump(mode="json", exclude=without)
        if not folder.exists():
            return Workspace.create(folder, self.pool, data=self.settings.data, split=self.split, settings=settings)
        workspace = Workspace.open(folder, pool=self.pool)
        check_unchanged(folder, workspace.settings, settings)
        return workspace

    def rounds(self, arm: str, seed: int) -> Iterator[Progress]:
        """Goes through the rounds of one (arm, seed) that are left; the caller keeps other processes out."""
        settings, workspace = self.settings.arm(arm), self.workspace(arm, seed)
        closed = sum(r.is_closed for r in workspace.rounds())
        for number in range(closed, settings.rounds + 1):
            yield from self._run_round(workspace, settings, Progress(arm, seed, number, "choosing"))

    def _run_round(self, workspace: Workspace, settings: CampaignSettings, at: Progress) -> Iterator[Progress]:
        yield at
        units = self._choose(workspace, settings, at)
        oracle = Oracle(self.pool.truth, settings.oracle, seed=at.seed)
        for n, _ in enumerate(draw(workspace, oracle, units), 1):
            yield Progress(at.arm, at.seed, at.round, "drawing", n, len(units))
        if at.round < settings.rounds:  # nothing is chosen behind the last one
            for seed in member_seeds(at.seed, settings.members):
                yield from self._train(workspace, settings, at, seed=seed, measured_on=())
        yield from self._train(workspace, settings, at, seed=at.seed, measured_on=self.split.test)
        if settings.rounds and settings.advice is not None:
            yield replace(at, stage="watching")
            watch(workspace, at.round, settings.advice, seed=at.seed, cache=self.cache)
        workspace.close_round(at.round)

    def _train(
        self,
        workspace: Workspace,
        settings: CampaignSettings,
        at: Progress,
        *,
        seed: int,
        measured_on: tuple[str, ...],
    ) -> Iterator[Progress]:
        training = TrainingRound.begin(
            workspace,
            settings.train,
            plan=self.plan,
            seed=seed,
            hardware=self.hardware,
            cache=self.cache,
            until=settings.warm.until(at.round, rounds=settings.rounds) if settings.warm else None,
            is_warm=settings.warm is not None,
        )
        if at.round or settings.warm:  # a round that goes on with networks needs more than the model of the first
            yield from self._fit(training, at, measured_on)
            return
        with FirstRound.of(training, measured_on, self.cache) as first:
            if not first.is_there:
                yield from self._fit(training, at, measured_on)
                first.keep()
        first.take()

    def _fit(self, training: TrainingRound, at: Progress, measured_on: tuple[str, ...]) -> Iterator[Progress]:
        steps = training.training.settings.fit.steps
        for step in training.training.steps():
            yield replace(at, stage="training", done=step.index + 1, total=steps, step=step)
        scores = []
        also = protocol_scores(self.settings.protocol)
        for score in evaluate(training.training.model, training.workspace.pool, measured_on, also=also):
            scores.append(score)
            yield replace(at, stage="measuring", done=len(scores), total=len(measured_on))
        training.finish(scores, seconds=training.training.seconds())

    def _choose(self, workspace: Workspace, settings: CampaignSettings, at: Progress) -> list[Unit]:
        if settings.labels == "bought":
            return choose(workspace, settings.purchase(at.round), seed=at.seed, cache=self.cache)
        everything = Purchase(strategy="random", units=len(self.split.train), unit="image")
        return choose(workspace, everything, seed=at.seed)


def member_seeds(seed: int, members: int) -> list[int]:
    """The seeds of a round's further specialists: others than small numbers, which campaigns have as their own."""
    return [1000 * (seed + 1) + k for k in range(1, members)]
