"""What is watched after each round to tell whether to go on; kept beside the round's run, and never looked up twice.

The budget curve of the advice is measured on the validation cases where the split has some. Else each batch is
predicted by the model before it, which has not learnt from it: those labels are there anyway. They lie where the
strategy looked, and of strokes only what was stroked counts, so that curve says how the error falls and not how large
it is. The test cases are never asked.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from frugalseg.campaign.advice import AdviceSettings, Forecast, Measure, advise, forecast
from frugalseg.campaign.rounds import training_pool
from frugalseg.data.label import UNKNOWN
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.evaluation import evaluate
from frugalseg.files import fingerprint_json, write_json
from frugalseg.report.records import Advised
from frugalseg.seeds import stream
from frugalseg.specialist.model import Model
from frugalseg.strategies.distances import Points
from frugalseg.strategies.embedding.embedder import kept
from frugalseg.strategies.thumbnails import thumbnails
from frugalseg.strategies.viewing import view_of
from frugalseg.workspace import Run, Workspace

WATCHED = "watched.json"
"""In the folder of a round's run: what was found after it."""

ON_VALIDATION, ON_NEXT = "validation cases", "each batch before it was learnt"


@dataclass(frozen=True)
class Watched:
    """What was found after one round.

    `validation` holds the Dice of the round's model for each patient; `batch` what the model before it said of each
    unit that this round bought; `radius` the covering radius of all that was drawn, in thumbnails.
    """

    units: int
    validation: dict[str, float]
    batch: dict[str, float]
    radius: float
    agreement: float | None


def watch(workspace: Workspace, number: int, settings: AdviceSettings, *, seed: int, cache: Path) -> Watched:
    """Looks at a finished round and keeps what was found; what was kept before is read."""
    run = _runs(workspace)[number]
    file = workspace.run_folder(run) / WATCHED
    if file.is_file():
        return Watched(**json.loads(file.read_text(encoding="utf-8")))
    model, before = _model(workspace, run), None
    if number - 1 in (runs := _runs(workspace)):
        before = _model(workspace, runs[number - 1])
    found = Watched(
        units=sum(act.slices for act in workspace.drawn(up_to_round=number)),
        validation=_validated(workspace, model),
        batch={} if before is None else _predicted(workspace, number, before),
        radius=_radius(workspace, number, cache),
        agreement=None if before is None else _agreement(workspace, number, (before, model), settings, seed=seed),
    )
    write_json(file, vars(found))
    return found


def advised(
    workspace: Workspace, settings: AdviceSettings, *, arm: str, seed: int, cache: Path | None = None
) -> Iterator[Advised]:
    """The advice after each round that was trained, in order; what was not looked at yet is looked at now."""
    found: list[Watched] = []
    forecasts: list[Forecast | None] = []
    for number in _rounds(workspace):
        found.append(watch(workspace, number, settings, seed=seed, cache=cache or workspace.cache))
        now, batch = found[-1].units, found[-1].units - (found[-2].units if len(found) > 1 else 0)
        basis, curve = _curve(found)
        rng = stream(seed, "advice", number)
        forecasts.append(forecast(curve, now=now, then=now + batch, same=basis == ON_VALIDATION, rng=rng))
        stop, words = advise(forecasts, found[-1].agreement, settings, batch=batch)
        last = forecasts[-1]
        yield Advised(
            arm,
            seed,
            number,
            units=now,
            basis=basis,
            gain=None if last is None else last.gain,
            band=None if last is None else last.band,
            radius=found[-1].radius / found[0].radius if found[0].radius else 0.0,
            agreement=found[-1].agreement,
            stop=stop,
            words=words,
        )


def _curve(found: Sequence[Watched]) -> tuple[str, list[Measure]]:
    """What the curve rests on, and its points: a batch measures the model of the round before it."""
    if found[0].validation:
        return ON_VALIDATION, [Measure(w.units, _errors(w.validation)) for w in found]
    return ON_NEXT, [Measure(before.units, _errors(w.batch)) for before, w in pairwise(found) if w.batch]


def _errors(scores: dict[str, float]) -> tuple[float, ...]:
    return tuple(1 - score for _, score in sorted(scores.items()))


def _runs(workspace: Workspace) -> dict[int, Run]:
    """The last finished run of each round."""
    return {run.round: run for run in workspace.runs() if run.is_done and run.model and run.round is not None}


def _rounds(workspace: Workspace) -> list[int]:
    """The rounds from the first on, up to one that was not trained."""
    trained = _runs(workspace)
    numbers = [turn.number for turn in workspace.rounds()]
    missing = next((n for n in numbers if n not in trained), len(numbers))
    return [n for n in numbers if n < missing]


def _model(workspace: Workspace, run: Run) -> Model:
    return Model.load(workspace.folder / str(run.model))


def _validated(workspace: Workspace, model: Model) -> dict[str, float]:
    """The mean Dice of each patient's validation cases that have a complete label."""
    pool = workspace.pool
    of_group: dict[str, list[float]] = {}
    for score in evaluate(model, pool, [case for case in workspace.split.validation if case in pool.truth]):
        of_group.setdefault(pool[score.case].group, []).append(score.scores["dice"])
    return {group: float(np.mean(scores)) for group, scores in of_group.items()}


def _predicted(workspace: Workspace, number: int, model: Model) -> dict[str, float]:
    """The Dice of a model with what was drawn of each unit in a round, where something is known."""
    scores: dict[str, float] = {}
    acts = [act for act in workspace.drawn() if act.round == number]
    for case in sorted({act.unit.case for act in acts}):
        said = model.predict(workspace.pool[case]).label.array
        for act in (a for a in acts if a.unit.case == case):
            label = workspace.labels.get(case, act.rater)
            if label is not None:
                there = act.unit.mask(said.shape) & label.known
                scores[f"{act.unit}, {act.rater}"] = dice_of_classes(said[there], label.array[there])
    return scores


def dice_of_classes(said: np.ndarray, meant: np.ndarray) -> float:
    """The mean Dice of the foreground classes that occur in either; 1 where none does."""
    classes = np.setdiff1d(np.union1d(said, meant), [0, UNKNOWN])
    if not len(classes):
        return 1.0
    both = [2 * ((said == c) & (meant == c)).sum() / ((said == c).sum() + (meant == c).sum()) for c in classes]
    return float(np.mean(both))


def _radius(workspace: Workspace, number: int, cache: Path) -> float:
    """The largest distance of any unit to the nearest one drawn until then; the same features in every round.

    0 where patches are bought, of which there is no list.
    """
    kinds = {(unit.kind, max(unit.axis, 0)) for unit in workspace.selected(number)}
    if len(kinds) != 1 or "patch" in {kind for kind, _ in kinds}:
        return 0.0
    ((kind, axis),) = kinds
    view = view_of(training_pool(workspace), [], unit=kind, axis=axis)
    units = [unit for unit, _ in view.all_units()]
    drawn = {_anywhere(act.unit) for act in workspace.drawn(up_to_round=number)}
    centres = [place for place, unit in enumerate(units) if unit in drawn]
    if not centres:  # drawn in other units than those that are bought
        return 0.0
    points = Points(_thumbnails(view, units, cache))
    return float(points.to_nearest(centres).max())


def _anywhere(unit: Unit) -> Unit:
    """Three planes as they are offered: of the case, wherever they were placed."""
    return Unit(unit.case, "planes") if unit.kind == "planes" else unit


def _thumbnails(view: PoolView, units: Sequence[Unit], cache: Path) -> np.ndarray:
    about = [view.unit, view.axis, [[case.id, case.source.fingerprint()] for case in view.cases]]
    return kept(cache / f"thumbnails-{fingerprint_json(about)}.npy", lambda: thumbnails(view, units))


def _agreement(
    workspace: Workspace, number: int, models: tuple[Model, Model], settings: AdviceSettings, *, seed: int
) -> float:
    """The Dice of two models, a class over all voxels together, in cases (else units) that nobody had drawn by then."""
    pool, bought = training_pool(workspace), [act.unit for act in workspace.drawn(up_to_round=number)]
    free = sorted({case.id for case in pool.cases} - {unit.case for unit in bought})
    ids = free or [case.id for case in pool.cases]
    chosen = [ids[k] for k in stream(seed, "agreement").permutation(len(ids))[: settings.cases]]
    said: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for case in sorted(chosen):
        there = np.ones(pool[case].geometry.shape, bool)
        for unit in (u for u in bought if u.case == case):
            there &= ~unit.mask(there.shape)
        for answers, model in zip(said, models, strict=True):
            answers.append(model.predict(pool[case]).label.array[there])
    return dice_of_classes(np.concatenate(said[0]), np.concatenate(said[1]))
