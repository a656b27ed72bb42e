"""The verbs of one round, each on a workspace: choose, draw, train. People and simulations use the same ones."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frugalseg.annotator import Annotation, Annotator
from frugalseg.campaign.settings import Purchase
from frugalseg.data.pool import Pool, PoolView, Predict
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
from frugalseg.evaluation import CaseScore, mean_scores
from frugalseg.files import write_json
from frugalseg.learn.engine import Hardware
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import Plan
from frugalseg.strategies import choose_units
from frugalseg.training import Training, TrainSettings
from frugalseg.workspace import Run, Workspace


def training_pool(workspace: Workspace) -> Pool:
    """The cases that may be labelled and learned from: the training part of the split."""
    return workspace.pool.subset(workspace.split.train)


def latest_model(workspace: Workspace) -> Model | None:
    """The specialist of the last finished run, or None before the first."""
    done = [run for run in workspace.runs() if run.is_done and run.model]
    return Model.load(workspace.folder / str(done[-1].model)) if done else None


def choose(workspace: Workspace, purchase: Purchase, *, seed: int) -> list[Unit]:
    """Opens the next round with the units its strategy wants, or returns what an open round still lacks."""
    rounds = workspace.rounds()
    if rounds and not rounds[-1].is_closed:
        return workspace.pending(rounds[-1].number)
    number = len(rounds)
    pool, model = training_pool(workspace), latest_model(workspace)
    probabilities = _probabilities(pool, model) if model else None
    view = PoolView(pool.cases, pool.label, purchase.unit, purchase.axis, probabilities)
    units = choose_units(
        view,
        purchase.strategy,
        purchase.units,
        placement=purchase.placement,
        seed=seed,
        round_number=number,
    )
    if not units:
        raise DataError("there is nothing left to label: every unit of the training cases has been drawn")
    workspace.select(number, units, strategy=purchase.strategy, settings=purchase.model_dump(mode="json"))
    return units


def open_units(workspace: Workspace) -> list[Unit]:
    """What the open round still lacks. Raises `DataError` when no round is open."""
    rounds = workspace.rounds()
    if not rounds or rounds[-1].is_closed:
        raise DataError(f"no round is open: choose what to draw first, with frugalseg select {workspace.folder}")
    return workspace.pending(rounds[-1].number)


def close_open(workspace: Workspace) -> None:
    """Closes the open round, if there is one."""
    rounds = workspace.rounds()
    if rounds and not rounds[-1].is_closed:
        workspace.close_round(rounds[-1].number)


def _probabilities(pool: Pool, model: Model) -> Predict:
    def predict(case: str) -> np.ndarray:
        return model.probabilities(pool[case].image())

    return predict


def draw(workspace: Workspace, annotator: Annotator, units: list[Unit]) -> Iterator[Annotation]:
    """Has each unit drawn and keeps it before going on; yields what was kept."""
    for unit in units:
        annotation = annotator.annotate(workspace.pool[unit.case], unit)
        workspace.record_annotation(annotation)
        yield annotation


@dataclass(frozen=True)
class TrainingRound:
    """A training on the current labels, kept in the workspace as a run."""

    workspace: Workspace
    run: Run
    training: Training

    @classmethod
    def begin(
        cls,
        workspace: Workspace,
        settings: TrainSettings,
        *,
        plan: Plan,
        seed: int,
        hardware: Hardware,
        cache: Path | None = None,
    ) -> "TrainingRound":
        """Registers the run, or takes up the one that was stopped; nothing is trained yet.

        A run is known by its settings, its plan and the labels it learns from: more labels make another run.
        """
        number = len(workspace.rounds()) - 1
        training = Training(
            training_pool(workspace),
            plan,
            settings,
            workspace.folder / "runs",
            seed=seed,
            hardware=hardware,
            cache=cache or workspace.cache,
        )
        words = {
            "train": settings.model_dump(mode="json"),
            "plan": plan.model_dump(mode="json"),
            "labels": training.about()["labels"],
        }
        run = workspace.start_run(number if number >= 0 else None, settings.method, settings=words, seed=seed)
        return cls(workspace, run, replace(training, folder=workspace.run_folder(run)))

    def finish(self, scores: Sequence[CaseScore], *, seconds: float) -> Run:
        """Saves the model and the scores of the cases it was measured on, if any, and notes the run as done."""
        file = self.workspace.models / f"{self.run.id:04d}.safetensors"
        self.training.model.save(file)
        write_json(self.workspace.run_folder(self.run) / "scores.json", {s.case: s.scores for s in scores})
        metrics = mean_scores(scores) if scores else {}
        return self.workspace.finish_run(self.run, model=file, metrics=metrics, seconds=seconds)


def case_scores(workspace: Workspace, run: Run) -> list[CaseScore]:
    """The scores of the cases that a finished run was measured on."""
    kept = json.loads((workspace.run_folder(run) / "scores.json").read_text(encoding="utf-8"))
    return [CaseScore(case, scores) for case, scores in kept.items()]
