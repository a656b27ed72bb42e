"""`frugalseg bench`: the comparison with its progress shown, its table printed, its report written."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from frugalseg.bench import BENCHES
from frugalseg.bench.outcome import write_outcome
from frugalseg.bench.run import BenchRun, Progress, Wanted
from frugalseg.cli.show import Bar, bar, command_line, console, results_table, say
from frugalseg.errors import lookup
from frugalseg.learn.hardware import Hardware
from frugalseg.report.results import Results
from frugalseg.settings import parse_assignments


def run_bench(name: str, wanted: Wanted, out: Path, *, changes: Sequence[str], hardware: Hardware) -> None:
    """Measures what is left of a bench, then prints the table and writes results.json and report.html."""
    bench = lookup(BENCHES, name, "bench")
    run = BenchRun.open(bench, out, wanted=wanted, changes=parse_assignments(changes), hardware=hardware)
    for arm, reason in run.left_out.items():
        say(f"left out: {arm}, for want of the generalist's weights ({reason})")
    hardware.limit_threads()
    console.print(
        f"{bench.name}, {run.preset}: {run.data.record().cases} cases of {run.data.record().name}; "
        f"arms {', '.join(run.chosen)}; seeds {list(run.trials.seeds)}"
    )
    with bar() as shown:
        for progress in run.run():
            _show(progress, shown)
    if not run.trials.finished():
        console.print("nothing has finished yet: another process holds every arm that is left")
        return
    found = write_outcome(run, command=command_line())
    results_table(f"{bench.name}: mean ± standard deviation over the seeds", found, _keys(bench.metrics, found))
    if run.unfinished():
        console.print(f"{run.unfinished()} of the bench's runs are not finished; the same command goes on with them")
    console.print(f"report: {out / 'report.html'}\nnumbers: {out / 'results.json'}")


def _keys(metrics: Sequence[str], found: Results) -> list[str]:
    """The keys to show; one that ends with ``*`` stands for all that begin so, in the order of the results."""
    known = list(dict.fromkeys(key for arm in found.arms.values() for key in arm))
    return [key for name in metrics for key in ([k for k in known if fnmatchcase(k, name)] if "*" in name else [name])]


def _show(progress: Progress, shown: Bar) -> None:
    stage = progress.stage
    shown.update(f"{progress.arm}, seed {progress.seed}: {stage.doing}", stage.done, stage.total, stage.losses)
