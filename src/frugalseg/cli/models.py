"""The weights of the generalists: what there is, how it gets here, and whether it is what it should be."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from frugalseg.cli.show import console, table
from frugalseg.errors import SettingsError

models = typer.Typer(
    help="The generalists' weights: what there is, fetching them, checking them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(bar_width=24),
    DownloadColumn(),
    TransferSpeedColumn(),
    TextColumn("left"),
    TimeRemainingColumn(),
)


@models.command("list", epilog="Example: `frugalseg models list`")
def list_models() -> None:
    """Every published weights file: size, licence, the prompts it was trained on, and whether it is here."""
    from frugalseg.generalists.store import state_on_machine
    from frugalseg.generalists.weights import BUILT_ON, WEIGHTS, home

    rows = [
        [name, f"{e.megabytes} MB", e.licence, " ".join(sorted(e.prompts)), state_on_machine(name)]
        for name, e in WEIGHTS.items()
    ]
    table("weights of generalists", ["name", "size", "licence", "prompts", "here"], rows)
    for name, base in BUILT_ON.items():
        console.print(f"{name} needs those of {base}; its own part comes with frugalseg", soft_wrap=True)
    console.print("classic needs none")
    console.print(f"they are kept in {home() / 'weights'}", soft_wrap=True, markup=False)


@models.command("get", epilog="Example: `frugalseg models get lite-medsam`")
def get_models(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Which, of `frugalseg models list`.")],
    weights: Annotated[
        Path | None, typer.Option(help="A file that is here already; it is verified and kept instead of a download.")
    ] = None,
) -> None:
    """Fetches weights, verifies them and keeps them; a stopped download goes on where it was."""
    from frugalseg.generalists.weights import BUILT_ON

    if weights is not None and len(names) > 1:
        raise SettingsError(f"--weights is one file, but {len(names)} names were given")
    for name in names:
        fetch(BUILT_ON.get(name, name), weights)


def fetch(name: str, weights: Path | None = None) -> None:
    """Fetches and verifies a weights file, with its progress shown; nothing is done for one that is here."""
    from frugalseg.generalists.store import check_weights, get_weights

    with Progress(*COLUMNS, console=console, transient=True) as progress:
        task = progress.add_task(name, total=None)
        step = ""
        for now in get_weights(name, path=weights):
            if now.step != step:
                step = now.step
                progress.reset(task, description=f"{name}: {step}", total=now.total)
            progress.update(task, completed=now.done, total=now.total)
    verdict = check_weights(name)
    if verdict:
        console.print(f"{name}: {verdict.says}: {verdict.path}", soft_wrap=True, markup=False)


@models.command("check", epilog="Example: `frugalseg models check`")
def check_models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]", help="Which; by default all that are here.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A file to check instead of the kept one.")] = None,
) -> None:
    """Reads weights and compares their digests with the published ones; exit code 1 when one must not be used."""
    from frugalseg.generalists.store import check_weights
    from frugalseg.generalists.weights import BUILT_ON, WEIGHTS, find_weights

    if weights is not None and len(names or []) != 1:
        raise SettingsError("--weights needs the one name of the weights that the file should be")
    verdicts = []
    for name in dict.fromkeys(BUILT_ON.get(n, n) for n in names or WEIGHTS):
        verdict = check_weights(name, path=weights)
        if verdict is None and names:
            find_weights(name)  # says that they are absent, and what to do
        if verdict is not None:
            verdicts.append(verdict)
    for verdict in verdicts:
        mark = "[green]ok[/]" if verdict.ok else "[red]!![/]"
        console.print(f"{mark} {verdict.name}: {verdict.says}", soft_wrap=True)
        console.print(f"   {verdict.path}", soft_wrap=True, markup=False)
        console.print(f"   sha256 {verdict.sha256}" + (" of the file as it came" if verdict.ok else ""), soft_wrap=True)
    if not verdicts:
        console.print("no weights are here; fetch some with: frugalseg models get lite-medsam")
    if not all(verdict.ok for verdict in verdicts):
        raise typer.Exit(1)
