"""`frugalseg convert`: the experiment file of another project as a campaign file, key by key."""

from pathlib import Path
from typing import Annotated

import typer

from frugalseg.cli.show import console, say


def convert(
    file: Annotated[Path, typer.Argument(help="The experiment file (exp.yml) of CoreCLR, with its four groups.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The campaign file to write.")] = Path("campaign.yaml"),
    data: Annotated[
        str, typer.Option(help="LAYOUT=DIR,option=value; by default what `frugalseg prepare` makes of the data set.")
    ] = "",
    slices: Annotated[
        int, typer.Option(help="Slices of the training pool, of which rounds are fractions; 0: as published.")
    ] = 0,
) -> None:
    """Writes a campaign for `frugalseg run` and says, key by key, what was mapped and what has no meaning here."""
    from rich.table import Table
    from rich.text import Text

    from frugalseg.campaign.convert import convert, write_campaign

    found = convert(file, data=data, slices=slices)
    write_campaign(found, out)
    grid = Table("key", "value", "became", title=Text(str(file)), title_justify="left")
    for line in found.lines:
        grid.add_row(line.key, line.value, line.said)
    console.print(grid, markup=False)
    mapped = sum(line.is_mapped for line in found.lines)
    say(f"{mapped} of {len(found.lines)} keys were mapped; frugalseg run {out} -o runs/{found.settings['name']}")
