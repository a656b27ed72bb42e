"""`frugalseg run` and `frugalseg demo`: a simulation with its progress shown, its table printed, its report written."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from frugalseg.campaign.outcome import write_outcome
from frugalseg.campaign.settings import read_campaign
from frugalseg.campaign.simulate import Progress, Simulation
from frugalseg.cli.models import fetch
from frugalseg.cli.show import Bar, bar, command_line, console, results_table, say
from frugalseg.errors import FrugalsegError, lookup
from frugalseg.generalists.registry import LITE
from frugalseg.learn.hardware import Hardware
from frugalseg.settings import parse, parse_assignments


def run_demo(out: Path) -> None:
    """The built-in campaign on phantoms; arms that ask a generalist only where its weights are here or can be had."""
    with as_file(files("frugalseg") / "demo.yaml") as config:
        only = ""
        try:
            fetch(LITE)
        except (FrugalsegError, OSError) as error:
            arms = read_campaign(config).arms
            asking = [arm for arm, words in arms.items() if words.get("train.method") == "gmabs"]
            say(f"left out: {', '.join(asking)}, for want of the generalist's weights ({error})")
            only = ",".join(arm for arm in arms if arm not in asking)
        run_campaign(config, out, only=only, changes=[], device="cpu", threads=None)


def run_campaign(
    config: Path, out: Path, *, only: str, changes: Sequence[str], device: str, threads: int | None
) -> None:
    """Runs what is left of a campaign, then prints the table and writes results.json and report.html."""
    settings = read_campaign(config, parse_assignments(changes))
    hardware = parse(Hardware, {"device": device, "threads": threads}, where="options")
    arms = tuple(only.split(",")) if only else ()
    for arm in arms:
        lookup(settings.arms, arm, "arm")
    simulation = Simulation.open(settings, out, hardware)
    console.print(
        f"{settings.name}: {len(simulation.pool)} cases, {len(simulation.split.train)} to learn from and "
        f"{len(simulation.split.test)} to measure on; {len(arms or settings.arms)} arms, seeds {list(settings.seeds)}"
    )
    with bar() as shown:
        for progress in simulation.run(arms):
            _show(progress, shown)
    _finish(simulation, out)


def _show(progress: Progress, shown: Bar) -> None:
    title = f"{progress.arm}, seed {progress.seed}, round {progress.round}: {progress.stage}"
    shown.update(title, progress.done, progress.total, progress.step.losses if progress.step else {})


def _finish(simulation: Simulation, out: Path) -> None:
    finished = simulation.finished()
    if not finished:
        console.print("nothing has finished yet: another process holds every arm that is left")
        return
    found = write_outcome(simulation, command=command_line())
    keys = [key for key in next(iter(found.arms.values())) if key.startswith("dice")]
    results_table(f"{simulation.settings.name}: mean ± standard deviation over the seeds, test cases", found, keys)
    left = len(simulation.settings.arms) * len(simulation.settings.seeds) - len(finished)
    if left:
        console.print(f"{left} of the campaign's runs are not finished; the same command goes on with them")
    say(f"report: {out / 'report.html'}\npictures: {out / 'pictures'}\nnumbers: {out / 'results.json'}")
