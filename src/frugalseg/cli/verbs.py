"""The verbs of one workspace, one function each; `predict` lies in a file of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from frugalseg.annotator import Oracle, OracleSettings
from frugalseg.campaign import rounds
from frugalseg.campaign.chosen import choices_of
from frugalseg.campaign.outcome import write_outcome, write_workspace_page
from frugalseg.campaign.settings import Purchase, read_campaign
from frugalseg.campaign.simulate import CAMPAIGN, Simulation
from frugalseg.cli.show import bar, console, listing, say, table
from frugalseg.data.checks import Finding, check_pool, raise_on_errors
from frugalseg.data.cost import paging_axis
from frugalseg.data.pool import Pool
from frugalseg.data.spec import open_data, parse_data_spec, split_data
from frugalseg.errors import DataError, SettingsError, lookup
from frugalseg.evaluation import CaseScore, evaluate_masks, mean_scores
from frugalseg.evaluation import evaluate as evaluate_model
from frugalseg.files import held, write_bytes, write_json
from frugalseg.generalist_labels import trusted
from frugalseg.learn.hardware import Hardware
from frugalseg.learn.processes import is_first
from frugalseg.protocols import protocol_scores, under_protocol
from frugalseg.settings import override, parse, parse_assignments
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import DERIVED, Plan, make_plan, read_plan
from frugalseg.strategies import STRATEGIES
from frugalseg.strategies.placement import PARALLEL
from frugalseg.strategies.reasons import Choice
from frugalseg.training import GENERALIST_LABELS, TrainSettings
from frugalseg.workspace import Workspace

PLAN = "plan.yaml"


@dataclass(frozen=True)
class Source:
    """Where the user says his data is: folders, or a layout."""

    images: Path | None
    labels: Path | None
    truth: Path | None
    data: str
    is_hidden: bool = False

    @property
    def spec(self) -> str:
        """The data as LAYOUT=DIR,option=value. Raises `SettingsError` when too little or too much was said."""
        if bool(self.images) == bool(self.data):
            raise SettingsError("say where the data is: either --images DIR, or --data LAYOUT=DIR,option=value")
        if self.data:
            return self.data
        if self.labels and self.truth:
            raise SettingsError("give --labels (what was drawn so far) or --truth (complete labels), not both")
        found = self.labels or self.truth
        return f"folder={self.images},images=." + (f",labels={found.absolute()}" if found else "")

    @property
    def labels_are(self) -> Literal["drawn", "truth"]:
        """Whether complete labels are what somebody drew so far, or hidden."""
        return "truth" if self.truth or self.is_hidden else "drawn"


def init(folder: Path, source: Source, *, test: float, on_error: str, seed: int) -> None:
    """Makes a workspace of the cases without errors; with errors only where it was told to skip them."""
    skip = skips(on_error)
    unreadable: dict[str, str] = {}
    spec = parse_data_spec(source.spec)
    pool = open_data(spec, labels_are=source.labels_are, unreadable=unreadable if skip else None)
    for problem in unreadable.values():
        console.print(f"error: {problem}", soft_wrap=True, markup=False)
    findings = _look_at(pool)
    if not skip:
        raise_on_errors(findings)
    bad = {f.case for f in findings if f.severity == "error"}
    pool = pool.subset(c.id for c in pool.cases if c.id not in bad)
    split = split_data(pool, file=spec.split, seed=seed, test=test)
    plan = make_plan(pool.subset(split.train))  # refuses mixed images before anything is written
    Workspace.create(folder, pool, data=spec.text, split=split, settings={}, labels_are=source.labels_are)
    write_bytes(folder / PLAN, plan.to_yaml().encode())
    _describe(pool, n_left_out=len(bad) + len(unreadable))
    console.print(f"{len(split.train)} cases to learn from, {len(split.test)} to measure on")
    say(f"the plan is {folder / PLAN}: read it, edit it, then: frugalseg select {quote(str(folder))}")


def _look_at(pool: Pool) -> list[Finding]:
    findings = list(check_pool(pool))
    for finding in findings:
        console.print(f"{finding.severity}: {finding}", soft_wrap=True, markup=False)
    return findings


def _describe(pool: Pool, *, n_left_out: int) -> None:
    shapes = sorted({c.geometry.shape for c in pool.cases})
    spacings = sorted({tuple(round(s, 3) for s in c.geometry.spacing) for c in pool.cases})
    rows = [
        ["cases", f"{len(pool)}" + (f" ({n_left_out} left out)" if n_left_out else "")],
        ["groups", str(len({c.group for c in pool.cases}))],
        ["shape", f"{shapes[0]}" if len(shapes) == 1 else f"{shapes[0]} to {shapes[-1]}"],
        ["spacing (mm)", f"{spacings[0]}" if len(spacings) == 1 else f"{spacings[0]} to {spacings[-1]}"],
        ["classes", ", ".join(pool.classes)],
        ["drawn on", str(len(pool.labelled()))],
        ["complete and hidden", str(sum(c.id in pool.truth for c in pool.cases))],
    ]
    table("what was found", ["", ""], rows)


def select(folder: Path, wanted: Mapping[str, Any], *, changes: Sequence[str], seed: int) -> None:
    """Opens a round and says what it wants; the changes are those of the strategy's own settings.

    A unit that is None is the strategy's own, an axis that is None the one along which the scans are paged.
    """
    workspace = Workspace.open(folder)
    options = override({}, parse_assignments(changes))
    given = {key: value for key, value in wanted.items() if value is not None}
    purchase = parse(Purchase, {**given, "options": options}, where="frugalseg select")
    before = workspace.rounds()
    if before and not before[-1].is_closed:
        say("the last round is still open, so nothing new is chosen: these are its units, and training closes it")
    else:
        purchase = _completed(purchase, rounds.training_pool(workspace))
    units = rounds.choose(workspace, purchase, seed=seed)
    ranked = enumerate(choices_of(workspace, workspace.rounds()[-1]), 1)
    _list_choices([(rank, choice) for rank, choice in ranked if choice.unit in units])
    say(f"{len(units)} units to draw: frugalseg annotate {quote(str(folder))}")
    say(f"what they look like: frugalseg report {quote(str(folder))}")


def _completed(purchase: Purchase, pool: Pool) -> Purchase:
    """With the unit and the axis that nobody gave, and says the axis. Who places something, wants planes."""
    given, geometries = purchase.model_fields_set, [case.geometry for case in pool.cases]
    if not {"unit", "placement"} & given:
        purchase = purchase.model_copy(update={"unit": STRATEGIES[purchase.strategy].unit})
    axis = paging_axis(geometries)
    has_slices = purchase.unit == "slice" or (purchase.unit == "planes" and purchase.placement in PARALLEL)
    if "axis" in given or axis is None or not has_slices:
        return purchase
    n = sum(paging_axis([geometry]) == axis for geometry in geometries)
    say(f"slices across axis {axis}, along which {n} of {len(geometries)} scans are paged; --axis names another")
    return purchase.model_copy(update={"axis": axis})


def _list_choices(ranked: Sequence[tuple[int, Choice]]) -> None:
    """Prints units with their ranks, and why they were chosen where their strategy says so."""
    rows = [[str(rank), str(c.unit), *([c.reason.words] if c.reason else [])] for rank, c in ranked]
    if rows:
        listing(["rank", "unit", "why"][: max(map(len, rows))], rows)


def annotate(folder: Path, by: str, *, changes: Sequence[str], seed: int) -> None:
    """Has what the open round wants drawn."""
    workspace = Workspace.open(folder)
    settings = parse(OracleSettings, override({}, parse_assignments(changes)), where="oracle settings")
    annotator = lookup({"oracle": Oracle(workspace.pool.truth, settings, seed=seed)}, by, "annotator")
    units = rounds.open_units(workspace)
    seconds = 0.0
    with bar() as shown:
        for n, act in enumerate(rounds.draw(workspace, annotator, units), 1):
            seconds += act.seconds
            shown.update("drawing", n, len(units))
    console.print(f"{len(units)} units drawn in {seconds / 60:.1f} minutes of a person's time (as the cost model says)")


def train(
    folder: Path, given: Mapping[str, Any], *, changes: Sequence[str], seed: int, hardware: Mapping[str, Any]
) -> None:
    """Trains on what was drawn, measures on the test cases that have complete labels, closes the round."""
    workspace = Workspace.open(folder)
    asked = _asked(given, parse_assignments(changes))
    settings = parse(TrainSettings, asked.get("train", {}), where="train settings")
    machine = parse(Hardware, hardware, where="options")
    plan = _changed(read_plan(folder / PLAN), asked.get("plan", {}))
    round_ = rounds.TrainingRound.begin(workspace, settings, plan=plan, seed=seed, hardware=machine)
    with _alone(round_.training.folder), bar() as shown:
        for step in round_.training.steps():
            shown.update(settings.method, step.index + 1, settings.fit.steps, step.losses)
    if not is_first():
        return
    tested = [c for c in workspace.split.test if c in workspace.pool.truth]
    also = protocol_scores(asked["protocol"])
    scores = list(evaluate_model(round_.training.model, workspace.pool, tested, also=also)) if tested else []
    run = round_.finish(scores, seconds=round_.training.seconds())
    rounds.close_open(workspace)
    for refresh, trust in trusted(round_.training.folder / GENERALIST_LABELS, workspace.pool.classes):
        said = ", ".join(f"{name} {weight:.2f}" for name, weight in trust.items())
        say(f"the generalist's labels before step {refresh} weigh: {said}")
    say(f"model: {folder / str(run.model)}")
    if scores:
        _print_scores(scores)


def _asked(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``protocol``, ``plan`` and ``train`` of what was said; keys without ``plan.`` are those of the training."""
    apart = {key: value for key, value in changes.items() if key == "protocol" or key.startswith("plan.")}
    of_train = {f"train.{key}": value for key, value in {**given, **changes}.items() if key not in apart}
    return under_protocol(override({"protocol": None}, {**apart, **of_train}))


def _changed(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    """The plan with changes, and with what follows from them anew."""
    if not changes:
        return plan
    return parse(Plan, {**plan.model_dump(mode="json", exclude=DERIVED), **changes}, where="plan").completed()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other commands out of a run; processes that train together are one. Raises `DataError` when it is taken."""
    if not is_first():
        yield
        return
    with held(folder) as is_ours:
        if not is_ours:
            raise DataError(f"{folder}: another process is training this very run; wait for it, or stop it first")
        yield


def evaluate(model: Path, data: str, out: Path | None, *, protocol: str | None = None) -> None:
    """Measures a model or a folder of masks, case by case; with the scores of a protocol too."""
    also = protocol_scores(protocol)
    is_workspace = Workspace.exists(model)
    if not data and not is_workspace:
        raise SettingsError("say which labelled data to measure on: --data LAYOUT=DIR,option=value")
    pool = open_data(parse_data_spec(data), labels_are="truth") if data else Workspace.open(model).pool
    cases = [c.id for c in pool.cases if c.id in pool.truth]
    if is_workspace and not data:
        cases = [c for c in Workspace.open(model).split.test if c in pool.truth]
    if model.is_dir() and not is_workspace:
        scores = list(evaluate_masks(model, pool, cases, also=also))
    else:
        scores = list(evaluate_model(model_at(model), pool, cases, also=also))
    _print_scores(scores)
    if out:
        write_json(out, {"mean": mean_scores(scores), "cases": {s.case: s.scores for s in scores}})


def report(folder: Path) -> None:
    """Writes the page of a workspace, or of a simulated campaign."""
    if Workspace.exists(folder):
        write_workspace_page(Workspace.open(folder), folder / "report.html")
    elif (folder / CAMPAIGN).is_file():
        simulation = Simulation.open(read_campaign(folder / CAMPAIGN), folder, Hardware())
        write_outcome(simulation, command=f"frugalseg run {folder / CAMPAIGN} -o {folder}")
    else:
        raise DataError(f"{folder} is neither a workspace nor the output of `frugalseg run`")
    say(f"report: {folder / 'report.html'}")


def export(folder: Path, out: Path, *, to: str, rater: str | None) -> None:
    """Writes what was drawn, or the latest model, for other programs."""
    from frugalseg.data.export_coco import export_coco
    from frugalseg.data.export_nnunet import export_nnunet
    from frugalseg.specialist.export import export_onnx

    formats: dict[str, Callable[[], object]] = {
        "nnunet": lambda: export_nnunet(Workspace.open(folder).pool, out, rater=rater),
        "coco": lambda: export_coco(Workspace.open(folder).pool, out, rater=rater),
        "onnx": lambda: export_onnx(model_at(folder), out),
    }
    lookup(formats, to, "format")()
    say(f"written: {out}")


def skips(on_error: str) -> bool:
    """Whether a bad case or image is left out, by the word of an option."""
    return lookup({"stop": False, "skip": True}, on_error, "--on-error")


def model_at(path: Path) -> Model:
    """The model in a file, or the latest one of a workspace."""
    if not Workspace.exists(path):
        return Model.load(path)
    found = rounds.latest_model(Workspace.open(path))
    if found is None:
        raise DataError(f"{path} has no trained model yet: frugalseg train {path}")
    return found


def _print_scores(scores: Sequence[CaseScore]) -> None:
    mean = mean_scores(scores)
    table(f"mean over {len(scores)} cases", ["metric", "mean"], [[k, f"{v:.3f}"] for k, v in mean.items()])
