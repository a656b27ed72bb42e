"""What came of a campaign: its `results.json`, its curves, its pictures, its page."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import yaml

from frugalseg.campaign.advice import AdviceSettings
from frugalseg.campaign.chosen import chosen
from frugalseg.campaign.rounds import case_scores
from frugalseg.campaign.simulate import Simulation
from frugalseg.campaign.watching import advised
from frugalseg.data.cost import strokes_of
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.errors import DataError
from frugalseg.evaluation import CaseScore
from frugalseg.files import write_bytes
from frugalseg.generalist_labels import read_asked, read_record, refreshes_in
from frugalseg.report.budget import budgets_of
from frugalseg.report.page import write_report
from frugalseg.report.pictures import case_panel
from frugalseg.report.records import Advised, Budgets, Chosen, Comparison, CurvePoint, Panel, Report
from frugalseg.report.results import (
    Data,
    Measured,
    Paired,
    Results,
    cost_of,
    environment,
    measured_budgets,
    paired_budgets,
    write_results,
)
from frugalseg.report.tables import comparisons, rows_of
from frugalseg.report.taught import taught_panel
from frugalseg.specialist.model import Model
from frugalseg.training import GENERALIST_LABELS
from frugalseg.workspace import Drawn, Run, Workspace

HEADLINE = "dice"

PICTURED, PICTURED_OF_ARM = 60, 12
"""Units of a round that are shown with a picture: in a workspace, and in one arm of several."""


def write_outcome(simulation: Simulation, *, command: str) -> Results:
    """Writes results.json, report.html and pictures/ from every (arm, seed) that has finished.

    `command` is what made them. Raises `DataError` while nothing has finished.
    """
    if not simulation.finished():
        raise DataError(f"{simulation.out}: none of its runs has finished yet; frugalseg run goes on with them")
    out = simulation.out
    finished = [(arm, seed, simulation.workspace(arm, seed)) for arm, seed in simulation.finished()]
    points = tuple(point for arm, seed, workspace in finished for point in curve(workspace, arm=arm, seed=seed))
    budgets = budgets_of(points, HEADLINE, simulation.settings.compare)
    found = _results(simulation, points, budgets, command)
    write_results(out / "results.json", found)
    gallery = tuple(_gallery(simulation))
    for number, panel in enumerate(gallery):
        suffix = "svg" if panel.is_svg else "png"
        write_bytes(out / "pictures" / f"{number:02d}-{panel.title.replace(' ', '-')}.{suffix}", panel.image)
    page = Report(
        title=simulation.settings.name,
        subtitle=f"{len(simulation.pool)} cases: {len(simulation.split.train)} to learn from, "
        f"{len(simulation.split.test)} to measure on; seeds {', '.join(map(str, found.seeds))}",
        headline=HEADLINE,
        curves=points,
        rows=rows_of(points),
        comparisons=_compared(simulation, points),
        budgets=budgets,
        advice=tuple(a for arm, seed, workspace in finished for a in advice(simulation, workspace, arm, seed)),
        gallery=gallery,
        chosen=tuple(bought(simulation)),
        configuration=yaml.safe_dump(simulation.settings.model_dump(mode="json"), sort_keys=False),
        facts={**found.environment.facts(), "data": found.data.fingerprint, "command": found.command},
    )
    write_report(out / "report.html", page)
    return found


def write_workspace_page(workspace: Workspace, file: Path) -> None:
    """The page of one workspace: its learning curve, its last model's best and worst cases, what was chosen."""
    points = tuple(curve(workspace, arm="this workspace", seed=0))
    last = [run for run in workspace.runs() if run.is_done]
    page = Report(
        title=workspace.folder.absolute().name,
        subtitle=f"{len(workspace.pool)} cases, {len(workspace.pool.labelled())} of them labelled",
        headline=HEADLINE,
        curves=points,
        rows=rows_of(points) if points else (),
        budgets=budgets_of(points, HEADLINE),
        advice=tuple(advised(workspace, AdviceSettings(), arm="this workspace", seed=0)),
        gallery=(
            *(extremes(workspace.pool, workspace, last[-1], title="latest") if points else ()),
            *(taught(workspace, last[-1], title="latest") if last else ()),
        ),
        chosen=tuple(chosen(workspace, arm="this workspace", seed=0, pictured=PICTURED)),
        configuration=yaml.safe_dump(dict(last[-1].settings) if last else dict(workspace.settings), sort_keys=False),
        facts={**environment().facts(), "data": workspace.data},
    )
    write_report(file, page)


def curve(workspace: Workspace, *, arm: str, seed: int) -> Iterator[CurvePoint]:
    """One point for each measured run: what annotation had cost by then, and what the model reached."""
    strokes = _strokes(workspace)
    chose = {turn.number: turn.settings.get("seconds") for turn in workspace.rounds()}
    for run in workspace.runs():
        if run.is_done and run.metrics:
            acts = workspace.drawn(up_to_round=run.round)
            choice = chose.get(run.round or 0)
            times = {"seconds": run.seconds} if choice is None else {"seconds": run.seconds, "choice_seconds": choice}
            yield CurvePoint(
                arm=arm,
                seed=seed,
                round=run.round or 0,
                seconds=sum(act.seconds for act in acts),
                units=sum(act.slices for act in acts),
                metrics={**run.metrics, **times},
                strokes=sum(strokes[act] for act in acts),
                groups=_by_group(workspace, run),
            )


def _strokes(workspace: Workspace) -> dict[Drawn, int]:
    """How many strokes each act drew, counted in the label as it is now."""
    found: dict[Drawn, int] = {}
    acts = sorted(workspace.drawn(), key=lambda act: (act.unit.case, act.rater))
    for (case, rater), group in groupby(acts, key=lambda act: (act.unit.case, act.rater)):
        label, geometry = workspace.labels.get(case, rater), workspace.pool[case].geometry
        found |= {act: 0 if label is None else strokes_of(label, act.unit, geometry) for act in group}
    return found


def _by_group(workspace: Workspace, run: Run) -> dict[str, tuple[float, ...]]:
    """The headline of each measured case, by patient."""
    found: dict[str, tuple[float, ...]] = {}
    for score in sorted(case_scores(workspace, run), key=lambda s: s.case):
        group = workspace.pool[score.case].group
        found[group] = (*found.get(group, ()), score.scores[HEADLINE])
    return found


def advice(simulation: Simulation, workspace: Workspace, arm: str, seed: int) -> Iterator[Advised]:
    """Whether to have gone on, after each round of an arm with several."""
    settings = simulation.settings.arm(arm)
    if settings.rounds and settings.advice is not None:
        yield from advised(workspace, settings.advice, arm=arm, seed=seed, cache=simulation.cache)


def bought(simulation: Simulation) -> Iterator[Chosen]:
    """What all arms bought; of arms that say why, the first seed that has finished is shown with pictures."""
    first = _first_seeds(simulation)
    for arm, seed in simulation.finished():
        pictured = PICTURED_OF_ARM if seed == first[arm] else 0
        workspace = simulation.workspace(arm, seed)
        yield from chosen(workspace, arm=arm, seed=seed, pictured=pictured, without_reasons=False)


def extremes(pool: Pool, workspace: Workspace, run: Run, *, title: str) -> Iterator[Panel]:
    """Pictures of the worst and the best case of a measured run: image, complete label, prediction."""
    scores = sorted(case_scores(workspace, run), key=lambda s: (s.scores[HEADLINE], s.case))
    model = Model.load(workspace.folder / str(run.model))
    for word, score in (("worst", scores[0]), ("best", scores[-1])):
        yield _picture(pool, model, score, title=f"{title} {word}")


def taught(workspace: Workspace, run: Run, *, title: str) -> Iterator[Panel]:
    """A picture of what a generalist has said of the first case nobody has drawn, where one taught in this run."""
    folder, pool = workspace.run_folder(run) / GENERALIST_LABELS, workspace.pool
    steps, drawn = refreshes_in(folder), set(pool.labelled())
    for case in workspace.split.train if steps else ():
        asked = {} if case in drawn else read_asked(folder, case, steps[-1])
        if any(map(len, asked.values())):
            record = read_record(folder, case, steps[-1])
            predicted, said = (SemanticLabel(x, pool.classes) for x in (record.predicted, record.said))
            truth = pool.truth.semantic(case) if case in pool.truth else None
            name = f"{title} labels of {case}"
            yield taught_panel(pool[case].image(), predicted, said, truth, asked, title=name)
            return


def _picture(pool: Pool, model: Model, score: CaseScore, *, title: str) -> Panel:
    case = pool[score.case]
    image = case.image()
    prediction = model.predict(image).label
    caption = f"{case.id}: Dice {score.scores[HEADLINE]:.3f}"
    return case_panel(image, pool.truth.semantic(case.id), prediction, title=title, caption=caption)


def _results(simulation: Simulation, points: Sequence[CurvePoint], budgets: Budgets | None, command: str) -> Results:
    settings = simulation.settings
    arms = {
        row.arm: {name: Measured.of(summary.per_seed) for name, summary in row.metrics.items()}
        | cost_of(row)
        | ({} if budgets is None else measured_budgets(budgets, row.arm))
        for row in rows_of(points)
    }
    return Results(
        bench=settings.name,
        preset="campaign",
        data=Data(name=settings.name, cases=len(simulation.pool), fingerprint=simulation.pool.fingerprint()),
        seeds=tuple(sorted({p.seed for p in points})),
        arms=arms,
        paired=(*(Paired.of(c) for c in _compared(simulation, points)), *paired_budgets(budgets)),
        command=command,
        environment=simulation.trials.environment(simulation.hardware.accelerator()),
    )


def _compared(simulation: Simulation, points: Sequence[CurvePoint]) -> tuple[Comparison, ...]:
    return comparisons(points, [(a, b, HEADLINE) for a, b in simulation.settings.compare])


def _gallery(simulation: Simulation) -> Iterator[Panel]:
    """The worst and the best case of each arm, with the first seed it has finished, and what taught it."""
    first = _first_seeds(simulation)
    for arm in simulation.settings.arms:
        if arm in first:
            workspace = simulation.workspace(arm, first[arm])
            run = [r for r in workspace.runs() if r.is_done][-1]
            yield from extremes(simulation.pool, workspace, run, title=arm)
            yield from taught(workspace, run, title=arm)


def _first_seeds(simulation: Simulation) -> dict[str, int]:
    """The first seed that each arm has finished."""
    return {arm: seed for arm, seed in reversed(simulation.finished())}
