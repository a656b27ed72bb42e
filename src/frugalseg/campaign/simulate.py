"""A whole campaign on labelled data: every arm, every seed, from the first unit to the last round.

Each (arm, seed) is a workspace of its own in OUT/ARM/seed-N, so that a stopped campaign goes on where it was, and so
that several processes may share the work.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from frugalseg.annotator import Oracle
from frugalseg.campaign.rounds import TrainingRound, choose, draw
from frugalseg.campaign.settings import CampaignSettings, Purchase
from frugalseg.campaign.trials import Trials, check_unchanged
from frugalseg.data.pool import Pool
from frugalseg.data.spec import open_data, parse_data_spec, split_data
from frugalseg.data.splits import Split
from frugalseg.data.unit import Unit
from frugalseg.evaluation import evaluate
from frugalseg.files import write_bytes
from frugalseg.learn.engine import Hardware, Step
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
        """Opens the data, divides it makes the plan, and notes the settings in OUT."""
        spec = parse_data_spec(settings.data)
        data = open_data(spec, labels_are="truth")
        pool = Pool(data.cases, data.classes, truth=data.truth)  # a simulation begins with nothing drawn
        numbers = settings.split.model_dump(exclude={"file"})
        split = split_data(pool, file=settings.split.file or spec.split, **numbers)
        proposed = make_plan(pool.subset(split.train)).model_dump(mode="json", exclude=DERIVED)
        plan = parse(Plan, {**proposed, **settings.plan}, where="plan").completed()
        text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
        write_bytes(out / CAMPAIGN, text.encode())
        return cls(settings, out, hardware, pool, split, plan)

    def run(self, arms: tuple[str, ...] = ()) -> Iterator[Progress]:
        """Goes through all seeds of the arms (all of them by default) that are not finished and not held elsewhere."""
        for arm, seed in self.trials.left(arms):
            yield from self._run_arm(arm, seed)

    @property
    def trials(self) -> Trials:
        """Its arms and seeds, and what has become of each."""
        return Trials(self.out, tuple(self.settings.arms), self.settings.seeds)

    def folder(self, arm: str, seed: int) -> Path:
        """Where the workspace of an (arm, seed) lies."""
        return self.trials.folder(arm, seed)

    def finished(self) -> list[tuple[str, int]]:
        """Every (arm, seed) that has ended."""
        return self.trials.finished()

    def workspace(self, arm: str, seed: int) -> Workspace:
        """The workspace of an (arm, seed); made when there is none. Raises `SettingsError` for changed settings."""
        folder = self.folder(arm, seed) / "workspace"
        settings = self.settings.arm(arm).model_dump(mode="json", exclude={"seeds", "arms", "compare", "name"})
        if not folder.exists():
            return Workspace.create(folder, self.pool, data=self.settings.data, split=self.split, settings=settings)
        workspace = Workspace.open(folder, pool=self.pool)
        check_unchanged(folder, workspace.settings, settings)
        return workspace

    def _run_arm(self, arm: str, seed: int) -> Iterator[Progress]:
        settings, workspace = self.settings.arm(arm), self.workspace(arm, seed)
        closed = sum(r.is_closed for r in workspace.rounds())
        for number in range(closed, settings.rounds + 1):
            yield from self._run_round(workspace, settings, Progress(arm, seed, number, "choosing"))
        self.trials.finish(arm, seed, {"rounds": settings.rounds + 1})

    def _run_round(self, workspace: Workspace, settings: CampaignSettings, at: Progress) -> Iterator[Progress]:
        yield at
        units = self._choose(workspace, settings, at)
        oracle = Oracle(self.pool.truth, settings.oracle, seed=at.seed)
        for n, _ in enumerate(draw(workspace, oracle, units), 1):
            yield Progress(at.arm, at.seed, at.round, "drawing", n, len(units))
        training = TrainingRound.begin(
            workspace,
            settings.train,
            plan=self.plan,
            seed=at.seed,
            hardware=self.hardware,
            cache=self.out / "cache",
        )
        start = time.monotonic()
        for step in training.training.steps():
            yield Progress(at.arm, at.seed, at.round, "training", step.index + 1, settings.train.fit.steps, step)
        seconds = time.monotonic() - start
        scores = []
        for score in evaluate(training.training.model, workspace.pool, self.split.test):
            scores.append(score)
            yield Progress(at.arm, at.seed, at.round, "measuring", len(scores), len(self.split.test))
        training.finish(scores, seconds=seconds)
        workspace.close_round(at.round)

    def _choose(self, workspace: Workspace, settings: CampaignSettings, at: Progress) -> list[Unit]:
        if settings.labels == "bought":
            return choose(workspace, settings.purchase(at.round), seed=at.seed)
        everything = Purchase(strategy="random", units=len(self.split.train), unit="image")
        return choose(workspace, everything, seed=at.seed)
