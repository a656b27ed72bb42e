"""``results.json``: the one schema of everything that measures, and how it is written."""

import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError, model_validator

from frugalseg.errors import DataError
from frugalseg.files import write_json
from frugalseg.report.budget import AUBC
from frugalseg.report.records import Budgets, Comparison, Row
from frugalseg.report.statistics import summarise


class Measured(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """One metric of one arm over the seeds; `std` is the sample standard deviation, 0 for one seed."""

    mean: float
    std: float = Field(ge=0)
    per_seed: tuple[float, ...] = Field(min_length=1)

    @classmethod
    def of(cls, values: Sequence[float]) -> "Measured":
        """From one value a seed, in the order of `Results.seeds`."""
        summary = summarise(values)
        return cls(mean=summary.mean, std=summary.std, per_seed=summary.per_seed)


class Paired(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """a - b in one metric over the same seeds; `interval` is the 95 % one, None for a single seed."""

    a: str
    b: str
    metric: str
    difference: float
    interval: tuple[float, float] | None = None

    @classmethod
    def of(cls, found: Comparison) -> "Paired":
        """From a row of the page's table."""
        result = found.result
        return cls(a=found.a, b=found.b, metric=found.metric, difference=result.difference, interval=result.interval)


def cost_of(row: Row) -> dict[str, Measured]:
    """What an arm's labels have cost at its last round: seconds of annotation, units and strokes."""
    cost = {"annotation_seconds": row.seconds, "units": row.units, "strokes": row.strokes}
    return {key: Measured.of(summary.per_seed) for key, summary in cost.items()}


def measured_budgets(budgets: Budgets, arm: str) -> dict[str, Measured]:
    """``aubc`` and ``dice_at_8`` (the headline at 8 units) of an arm; nothing for an arm with one budget."""
    if arm not in budgets.area:
        return {}
    at = {f"{budgets.metric}_at_{units}": summary for units, summary in budgets.at[arm].items()}
    return {key: Measured.of(s.per_seed) for key, s in {AUBC: budgets.area[arm], **at}.items()}


def paired_budgets(budgets: Budgets | None) -> tuple[Paired, ...]:
    """The differences of areas under the curve, with their bootstrap intervals over seeds and patients."""
    return tuple(
        Paired(a=g.a, b=g.b, metric=AUBC, difference=g.result.difference, interval=g.result.interval)
        for g in (budgets.gaps if budgets else ())
    )


class Data(BaseModel, frozen=True, extra="forbid"):
    """On which data: a name, how many cases, the fingerprint of all of them."""

    name: str
    cases: int = Field(ge=1)
    fingerprint: str


class Environment(BaseModel, frozen=True, extra="forbid"):
    """On what it ran. `commit` is None unless frugalseg runs from a git checkout; of several, each with its arms."""

    torch: str
    device: str
    threads: int
    python: str
    platform: str
    commit: str | None = None

    def facts(self) -> dict[str, str]:
        """What is known, as words for a page."""
        return {key: str(value) for key, value in self.model_dump().items() if value is not None}


class Results(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """What a bench or a campaign found: arm -> metric -> value over seeds. NaN is not a result."""

    bench: str
    preset: str
    data: Data
    seeds: tuple[int, ...] = Field(min_length=1)
    arms: dict[str, dict[str, Measured]]
    paired: tuple[Paired, ...] = ()
    command: str
    environment: Environment

    @model_validator(mode="after")
    def _fits_together(self) -> "Results":
        for arm, metrics in self.arms.items():
            for name, measured in metrics.items():
                if len(measured.per_seed) > len(self.seeds):
                    raise ValueError(f"arm '{arm}' has more values of {name} than there are seeds")
        for pair in self.paired:
            if unknown := {pair.a, pair.b} - set(self.arms):
                raise ValueError(f"a paired difference names {sorted(unknown)}, which is no arm")
        return self


def write_results(path: Path, results: Results) -> None:
    """Writes ``results.json`` atomically."""
    write_json(path, results.model_dump(mode="json"))


def read_results(path: Path) -> Results:
    """The results in a file; raises `DataError` that names what does not fit the schema."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such results file; run the bench or the campaign first")
    try:
        return Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: not a results file of this version: {where}: {first['msg']}") from None


def environment(device: str | None = None) -> Environment:
    """What this process runs on; never fails. `device` is what the caller trained on, torch's default otherwise."""
    import torch

    return Environment(
        torch=torch.__version__,
        device=str(torch.get_default_device()) if device is None else device,
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        commit=code_commit(),
    )


@cache
def code_commit() -> str | None:
    """This process's code: the commit, with ``-dirty`` where files differ; None when this file is not tracked.

    It is looked up once, for files may change under a process that runs for hours.
    """
    here = Path(__file__).resolve()
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
