"""How commands speak: one console, one progress bar, tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

console = Console(highlight=False)


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
    grid = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        grid.add_column(name, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    console.print(grid)
