"""`frugalseg prepare`: a published data set as `frugalseg` reads it."""

from pathlib import Path
from typing import Annotated

import typer

from frugalseg.cli.show import bar, say
from frugalseg.settings import parse_assignments


def prepare(
    data: Annotated[str, typer.Argument(help="Which data set: acdc, chaos, mscmr or davis.")],
    source: Annotated[Path, typer.Argument(help="The folder of the download, as it was published.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; a stopped preparation goes on there.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the data set: KEY=VALUE. May be repeated.")
    ] = None,
) -> None:
    """Brings a published data set into images/, labels/, scribbles/ with an index and its split."""
    from frugalseg.data.raw import prepare

    record = None
    with bar() as shown:
        for record in prepare(data, source, out, options=parse_assignments(changes or [])):
            shown.update(f"preparing {data}", record.done, record.total)
    if record is not None:
        say(f"{record.total} cases in {out}; open them with --data {record.spec}")
