"""The verbs of one round, each on a workspace: choose, draw, train. People and simulations use the same ones."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from frugalseg.annotator import Annotation, Annotator
from frugalseg.campaign.chosen import kept_reasons
from frugalseg.campaign.settings import Purchase
from frugalseg.data.pool import Pool
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
from frugalseg.evaluation import CaseScore, mean_scores
from frugalseg.files import atomic_path, write_json
from frugalseg.learn.engine import Hardware, Reach
from frugalseg.methods import method_settings
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import Plan
from frugalseg.strategies import choices
from frugalseg.strategies.viewing import view_of
from frugalseg.training import Training, TrainSettings
from frugalseg.workspace import Run, Workspace


def training_pool(workspace: Workspace) -> Pool:
    """The cases that may be labelled and learned from: the training part of the split."""
    return workspace.pool.subset(workspace.split.train)


def latest_model(workspace: Workspace) -> Model | None:
    """The specialist of the last finished run, or None before the first."""
    models = latest_models(workspace)
    return models[-1] if models else None


def latest_models(workspace: Workspace) -> list[Model]:
    """The specialist of the last finished run, behind those of runs that differ from it in their seed only."""
    done = [run for run in workspace.runs() if run.is_done and run.model]
    what = [(run.round, run.method, run.settings) for run in done]
    same = [run for run, its in zip(done, what, strict=True) if its == what[-1]]
    return [Model.load(workspace.folder / str(run.model)) for run in same]


def choose(workspace: Workspace, purchase: Purchase, *, seed: int, cache: Path | None = None) -> list[Unit]:
    """Opens the next round with the units its strategy wants, or returns what an open round still lacks.

    What a strategy learns from the images alone is kept in `cache`, the workspace's own by default. How long it took
    and why it chose these are noted with the round's settings, as `seconds` and `reasons`.
    """
    began = time.monotonic()
    rounds = workspace.rounds()
    if rounds and not rounds[-1].is_closed:
        return workspace.pending(rounds[-1].number)
    number = len(rounds)
    bought = frozenset(act.unit for act in workspace.drawn())
    models = latest_models(workspace)
    view = view_of(
        training_pool(workspace),
        models,
        unit=purchase.unit,
        axis=purchase.axis,
        bought=bought,
        cache=cache or workspace.cache,
    )
    found = choices(
        view,
        purchase.strategy,
        purchase.n_units(len(view.all_units())),
        options=purchase.options,
        placement=purchase.placement,
        seed=seed,
        round_number=number,
    )
    if not found:
        raise DataError("there is nothing left to label: every unit of the training cases has been drawn")
    units = [choice.unit for choice in found]
    noted = {**purchase.model_dump(mode="json"), "seconds": round(time.monotonic() - began, 3), **kept_reasons(found)}
    workspace.select(number, units, strategy=purchase.strategy, settings=noted)
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
        until: int | None = None,
        is_warm: bool = False,
    ) -> "TrainingRound":
        """Registers the run, or takes up the one that was stopped; nothing is trained yet.

        A run is known by its settings, its plan and the labels it learns from: more labels make another run. With
        `is_warm` it goes on with the networks of the round before, and it may end at the step `until`.
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
            "options": method_settings(settings.method, settings.options).model_dump(mode="json"),
            "plan": plan.model_dump(mode="json"),
            "labels": training.about()["labels"],
            **({"warm": {"until": until}} if is_warm else {}),
        }
        run = workspace.start_run(number if number >= 0 else None, settings.method, settings=words, seed=seed)
        reach = Reach(_run_before(workspace, run) if is_warm else None, until)
        return cls(workspace, run, replace(training, folder=workspace.run_folder(run), reach=reach))

    def finish(self, scores: Sequence[CaseScore], *, seconds: float, model: Path | None = None) -> Run:
        """Saves the model and the scores of the cases it was measured on, if any, and notes the run as done.

        `model` is the file of one that the very same training has made elsewhere.
        """
        file = self.workspace.models / f"{self.run.id:04d}.safetensors"
        if model is None:
            self.training.model.save(file)
        else:
            with atomic_path(file) as part:
                shutil.copyfile(model, part)
        write_json(self.workspace.run_folder(self.run) / "scores.json", {s.case: s.scores for s in scores})
        metrics = mean_scores(scores) if scores else {}
        return self.workspace.finish_run(self.run, model=file, metrics=metrics, seconds=seconds)


def _run_before(workspace: Workspace, run: Run) -> Path | None:
    """The folder of the last finished run of an earlier round with the same seed."""
    earlier = [r for r in workspace.runs() if r.is_done and (r.round or 0) < (run.round or 0) and r.seed == run.seed]
    if run.round and not earlier:
        raise DataError(f"{workspace.folder}: no finished training of an earlier round to go on from; train it first")
    return workspace.run_folder(earlier[-1]) if earlier else None


def case_scores(workspace: Workspace, run: Run) -> list[CaseScore]:
    """The scores of the cases that a finished run was measured on."""
    kept = json.loads((workspace.run_folder(run) / "scores.json").read_text(encoding="utf-8"))
    return [CaseScore(case, scores) for case, scores in kept.items()]
