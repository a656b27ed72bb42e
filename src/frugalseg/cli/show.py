"""How commands speak: one console, one progress bar, tables."""

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

if TYPE_CHECKING:
    from frugalseg.report.results import Measured, Results

console = Console(highlight=False)


def say(text: str) -> None:
    """Prints a sentence as it is: a path or a command in it keeps its brackets and is not broken over lines."""
    console.print(text, soft_wrap=True, markup=False)


class Bar:
    """A progress bar with a title, the current losses, and the time that is left."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.title = ""
        self.task = progress.add_task("", total=None, losses="")

    def update(self, title: str, done: int, total: int | None, losses: Mapping[str, float] | None = None) -> None:
        """Shows how much is done of what, and the losses by name; a new title starts the clock anew."""
        if title != self.title:
            self.title = title
            self.progress.reset(self.task, description=title, total=total, losses="")
        text = " ".join(f"{name} {value:.3f}" for name, value in (losses or {}).items())
        self.progress.update(self.task, completed=done, losses=text)


@contextmanager
def bar() -> Iterator[Bar]:
    """A progress bar on the console that goes away at the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[losses]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table; the first column is text, the others are numbers."""
    grid = Table(title=title or None, title_justify="left")
    for number, name in enumerate(columns):
        grid.add_column(name, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


def listing(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table of words: nothing is cut off, what is too long goes on in the next line, the last column first."""
    grid = Table(*[Column(name, overflow="fold") for name in columns])
    for number, column in enumerate(grid.columns[:-1]):
        column.no_wrap = max(len(row[number]) for row in rows) <= console.width // 2
    for row in rows:
        grid.add_row(*map(escape, row))
    console.print(grid)


def results_table(title: str, found: "Results", keys: Sequence[str]) -> None:
    """Prints the metrics that some arm has, one row an arm."""
    columns = {key: [key, *(_cell(key, arm.get(key)) for arm in found.arms.values())] for key in keys}
    columns["seeds"] = ["seeds", *(str(max(len(m.per_seed) for m in arm.values())) for arm in found.arms.values())]
    present = [cells for cells in columns.values() if set(cells[1:]) != {"-"}]
    for group in _that_fit(["arm", *found.arms], present):
        head, *rows = zip(*group, strict=True)
        table(title, head, rows)
        title = ""


def _that_fit(first: Sequence[str], others: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """The columns in groups that the console has room for, each behind the first column."""
    group, used = [first], _width(first)
    for cells in others:
        if len(group) > 1 and used + _width(cells) > console.width:
            yield group
            group, used = [first], _width(first)
        group, used = [*group, cells], used + _width(cells)
    yield group


def _width(cells: Sequence[str]) -> int:
    return max(map(len, cells)) + 3


def _cell(key: str, value: "Measured | None") -> str:
    from frugalseg.report.metrics import text

    if value is None:
        return "-"
    return text(key, value.mean) + (f" ± {text(key, value.std)}" if len(value.per_seed) > 1 else "")


def command_line() -> str:
    """The command as it was typed, for results and reports."""
    return shlex.join(["frugalseg", *sys.argv[1:]])
