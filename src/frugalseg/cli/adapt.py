"""`frugalseg adapt`: what is learned around a frozen generalist."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from frugalseg.cli.show import bar, console

adapt = typer.Typer(no_args_is_help=True, help="Trains what is learned around a frozen generalist.")


@adapt.command(epilog="Example: `frugalseg adapt clicks --data folder=nuclei,instances=true -o clicks`")
def clicks(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where everything goes; a stopped training goes on there.")],
    data: Annotated[
        list[str] | None, typer.Option(help="Labelled pictures beside the procedural ones: LAYOUT=DIR,option=value.")
    ] = None,
    examples: Annotated[
        Path | None, typer.Option(help="Folder of encoded examples, to be shared by several trainings; OUT/examples.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="LiteMedSAM's weights, when they lie elsewhere.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Changes a setting: KEY=VALUE.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same machine: same result.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores by default.")] = None,
) -> None:
    """Trains the click adapter of LiteMedSAM on procedural pictures and labelled ones; writes adapter.safetensors."""
    hardware = {"device": device, "threads": threads}
    train_clicks(out, data or [], examples, weights=weights, changes=changes or [], seed=seed, hardware=hardware)


def train_clicks(
    out: Path,
    data: Sequence[str],
    examples: Path | None,
    *,
    weights: Path | None,
    changes: Sequence[str],
    seed: int,
    hardware: Mapping[str, Any],
) -> None:
    """Encodes what is missing, trains what is left, and draws the loss."""
    from frugalseg.adapt.clicks.sources import Labelled
    from frugalseg.adapt.clicks.training import AdaptClicksSettings, ClickTraining
    from frugalseg.data.spec import open_data, parse_data_spec
    from frugalseg.generalists.registry import build_lite_medsam
    from frugalseg.learn.hardware import Hardware
    from frugalseg.settings import override, parse, parse_assignments

    defaults = AdaptClicksSettings().model_dump()
    settings = parse(AdaptClicksSettings, override(defaults, parse_assignments(changes)), where="adapt settings")
    specs = [parse_data_spec(text) for text in data]
    training = ClickTraining(
        {side: build_lite_medsam(weights, input_size=side) for side in settings.sides},
        [Labelled(open_data(spec, labels_are="truth"), Path(spec.place).name) for spec in specs],
        settings,
        out,
        examples or out / "examples",
        seed=seed,
        hardware=parse(Hardware, hardware, where="options"),
    )
    training.hardware.limit_threads()
    with bar() as shown:
        for name, done, n in training.encode():
            shown.update(f"encoding {name}", done, n)
        for step in training.steps():
            shown.update("click adapter", step.index + 1, settings.fit.steps, step.losses)
    console.print(f"adapter: {out / 'adapter.safetensors'}")
