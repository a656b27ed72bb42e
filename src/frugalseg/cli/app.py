"""The commands and their options. A command opens what it needs, calls the library, and says what came out."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from frugalseg.cli.adapt import adapt
from frugalseg.cli.convert import convert
from frugalseg.cli.cross_label import cross_label
from frugalseg.cli.models import models
from frugalseg.cli.prepare import prepare
from frugalseg.cli.show import console

app = typer.Typer(
    name="frugalseg",
    help="Good segmentation models from very few annotations.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models, name="models")
app.add_typer(adapt, name="adapt")

EMBEDDED = "chosen: what a round has asked for so far; all: every image; views: every slice that GM-ABS may ask about."

BOUGHT = "How many units to buy in this round; below 1 a part of all. Both names are the same."

UNIT = "What one act of annotation buys: image, slice or planes; by default what the strategy is made for."

Folder = Annotated[Path, typer.Argument(help="A workspace: the folder that `frugalseg init` made.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Changes a setting: KEY=VALUE. May be repeated.")]
Seed = Annotated[int, typer.Option(help="Same seed, same machine: same result.")]
Device = Annotated[str, typer.Option(help="auto, cpu or gpu.")]
Devices = Annotated[int, typer.Option(help="Number of processes that train together, one for each device.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads of each process; all cores by default.")]


def _example(text: str) -> dict[str, Any]:
    return {"epilog": f"Example: `{text}`"}


@app.command(**_example("frugalseg demo -o demo"))
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Where the report and the pictures go.")] = Path("demo"),
) -> None:
    """The whole loop on built-in data in minutes; fetches LiteMedSAM (39 MB) for one arm, left out when offline."""
    from frugalseg.cli.simulation import run_demo

    run_demo(out)


@app.command(**_example("frugalseg run examples/hippocampus.yaml -o runs/hippocampus"))
def run(
    config: Annotated[Path, typer.Argument(help="The campaign's YAML file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where everything goes; a stopped run goes on there.")],
    only: Annotated[str, typer.Option(help="These arms only: ARM,ARM,...")] = "",
    changes: Changes = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Simulates a campaign on labelled data over several seeds, with its arms side by side.

    Start the same command again to go on, or several times at once to share the work.
    """
    from frugalseg.cli.simulation import run_campaign

    run_campaign(config, out, only=only, changes=changes or [], device=device, threads=threads)


@app.command(**_example("frugalseg bench generalist --preset smoke -o bench"))
def bench(
    name: Annotated[str, typer.Argument(help="Which comparison: generalist, coreclr or gmabs.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where everything goes; a stopped bench goes on there.")],
    data: Annotated[str | None, typer.Option(help="LAYOUT=DIR,option=value; built-in phantoms by default.")] = None,
    test_data: Annotated[str | None, typer.Option(help="Other data to test on: LAYOUT=DIR,option=value")] = None,
    preset: Annotated[str, typer.Option(help="smoke (seconds to minutes), quick (two CPU cores) or full.")] = "quick",
    seeds: Annotated[int | None, typer.Option(help="Seeds of each arm; the preset's numbers by default.")] = None,
    only: Annotated[str, typer.Option(help="These arms only: ARM,ARM,...")] = "",
    changes: Changes = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Compares arms side by side over several seeds, and writes results.json and report.html.

    Start the same command again to go on, or several times at once to share the work (times then mean less).
    """
    from frugalseg.bench.run import Wanted
    from frugalseg.cli.bench import run_bench
    from frugalseg.learn.hardware import Hardware
    from frugalseg.settings import parse

    arms = only.split(",") if only else []
    given = {"preset": preset, "data": data, "test_data": test_data, "seeds": seeds, "only": arms}
    hardware = parse(Hardware, {"device": device, "threads": threads}, where="options")
    run_bench(name, parse(Wanted, given, where="options"), out, changes=changes or [], hardware=hardware)


@app.command(**_example("frugalseg init work --images scans/ --labels masks/"))
def init(
    folder: Annotated[Path, typer.Argument(help="The workspace to make.")],
    images: Annotated[Path | None, typer.Option(help="A folder of images or volumes.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels drawn so far, named like the images.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Complete labels that only an oracle and an evaluation may read.")
    ] = None,
    data: Annotated[str, typer.Option(help="Any layout instead: LAYOUT=DIR,option=value")] = "",
    hide_labels: Annotated[
        bool, typer.Option("--hide-labels", help="Complete labels in --data are for an oracle and an evaluation only.")
    ] = False,
    test: Annotated[float, typer.Option(help="Cases kept for testing: a fraction below 1, or a count.")] = 0.0,
    on_error: Annotated[str, typer.Option(help="What a bad case does: stop or skip.")] = "stop",
    seed: Seed = 0,
) -> None:
    """Makes a workspace: scans the data, checks it, and prints what it understood."""
    from frugalseg.cli import verbs

    source = verbs.Source(images, labels, truth, data, hide_labels)
    verbs.init(folder, source, test=test, on_error=on_error, seed=seed)


@app.command(**_example("frugalseg select work --strategy coreclr --budget 12"))
def select(
    folder: Folder,
    strategy: Annotated[str, typer.Option(help="Which rule ranks the units.")] = "random",
    units: Annotated[float, typer.Option("--units", "--budget", help=BOUGHT)] = 4,
    unit: Annotated[str | None, typer.Option(help=UNIT)] = None,
    axis: Annotated[
        int | None, typer.Option(help="Array axis that slices lie across; by default that of the scans' own slices.")
    ] = None,
    placement: Annotated[str | None, typer.Option(help="Where three planes go; middle-third by default.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Changes a setting of the strategy: KEY=VALUE. May be repeated.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Chooses what to label next, and opens a round with it; `frugalseg report` shows pictures of it."""
    from frugalseg.cli import verbs

    wanted = {"strategy": strategy, "units": units, "unit": unit, "axis": axis, "placement": placement}
    verbs.select(folder, wanted, changes=changes or [], seed=seed)


@app.command(**_example("frugalseg embed work --generalist lite-medsam-clicks"))
def embed(
    folder: Folder,
    generalist: Annotated[str, typer.Option(help="Whose embeddings.")] = "lite-medsam",
    units: Annotated[str, typer.Option(help=EMBEDDED)] = "chosen",
    axis: Annotated[
        int | None,
        typer.Option(min=0, max=2, help="Array axis that whole volumes are cut across; by default the coarsest."),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Local weights of the generalist.")] = None,
    limit_gb: Annotated[float, typer.Option(help="Room for all embeddings of the workspace.")] = 20.0,
    half: Annotated[bool, typer.Option("--half", help="Keep them in 16 bits: half the room.")] = False,
    device: Device = "auto",
) -> None:
    """Computes a generalist's embeddings ahead, so that prompts are answered at once.

    They lie in the workspace's cache; the same command goes on where a stopped one was.
    """
    from frugalseg.cli.device import device_named
    from frugalseg.cli.embed import embed
    from frugalseg.generalists.cache import CacheSettings
    from frugalseg.settings import parse

    room = {"limit_gb": limit_gb, "dtype": "float16" if half else "float32"}
    kept = parse(CacheSettings, room, where="frugalseg embed")
    embed(folder, generalist, weights, units=units, axis=axis, kept=kept, device=device_named(device))


@app.command(**_example("frugalseg annotate work --by oracle --set style=scribbles"))
def annotate(
    folder: Folder,
    by: Annotated[str, typer.Option(help="Who draws: `oracle` draws from the complete labels.")] = "oracle",
    changes: Changes = None,
    seed: Seed = 0,
) -> None:
    """Has the chosen units drawn; each is kept before the next begins."""
    from frugalseg.cli import verbs

    verbs.annotate(folder, by, changes=changes or [], seed=seed)


@app.command(**_example("frugalseg train work --method mean-teacher --set fit.steps=500"))
def train(
    folder: Folder,
    method: Annotated[str, typer.Option(help="How the specialist learns.")] = "mean-teacher",
    changes: Changes = None,
    seed: Seed = 0,
    device: Device = "auto",
    devices: Devices = 1,
    threads: Threads = None,
) -> None:
    """Trains a specialist on what was drawn so far; the same command goes on where a stopped one was."""
    from frugalseg.cli import verbs

    hardware = {"device": device, "devices": devices, "threads": threads}
    verbs.train(folder, {"method": method}, changes=changes or [], seed=seed, hardware=hardware)


@app.command(**_example("frugalseg predict work scan.nii.gz -o masks/ --overlay"))
def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[MODEL] IMAGE...",
            help="A model file or a workspace (its latest model), then images, volumes, DICOM folders, or folders of "
            "images. With --prompts only 2D images.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the masks.")] = Path("predictions"),
    overlay: Annotated[bool, typer.Option(help="Also writes a picture of each mask over its image.")] = False,
    on_error: Annotated[str, typer.Option(help="What a bad image does: stop or skip.")] = "stop",
    prompts: Annotated[
        Path | None,
        typer.Option(help='Asks a generalist instead: JSON such as [{"points": [[20, 31]], "box": [9, 12, 40, 52]}].'),
    ] = None,
    generalist: Annotated[str, typer.Option(help="Who answers prompts.")] = "lite-medsam-clicks",
    weights: Annotated[Path | None, typer.Option(help="Local weights of the generalist.")] = None,
    zoom: Annotated[str, typer.Option(help="auto looks at small objects through a window, off does not.")] = "auto",
    device: Device = "auto",
) -> None:
    """Writes a mask for each image, in the image's own geometry and format.

    With --prompts object k of a mask is the answer to prompt k, later ones lie on top:
    `frugalseg predict --prompts clicks.json cells.png -o masks/ --overlay`
    """
    from frugalseg.cli.device import device_named
    from frugalseg.cli.predict import Target, generalist_at, predict, predict_prompts

    target, place = Target(out, overlay, on_error), device_named(device)
    if prompts is None:
        predict(paths, target, device=place)
    else:
        predict_prompts(paths, prompts, generalist_at(generalist, weights, zoom=zoom, device=place), target)


@app.command(**_example("frugalseg evaluate work --data folder=testset"))
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model file, a workspace, or a folder of masks.")],
    data: Annotated[str, typer.Option(help="Labelled data: LAYOUT=DIR,option=value; a workspace has its own.")] = "",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Writes the scores to this JSON file.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Adds the scores of a published protocol: la.")] = None,
) -> None:
    """Measures a model, or masks, against complete labels."""
    from frugalseg.cli import verbs

    verbs.evaluate(model, data, out, protocol=protocol)


@app.command(**_example("frugalseg report runs/hippocampus"))
def report(
    folder: Annotated[Path, typer.Argument(help="A workspace, or the folder of a `frugalseg run`.")],
) -> None:
    """Writes FOLDER/report.html, which needs no server: curves, table, pictures, what was chosen, settings, hashes."""
    from frugalseg.cli import verbs

    verbs.report(folder)


@app.command(**_example("frugalseg export work nnunet/ --to nnunet"))
def export(
    folder: Folder,
    out: Annotated[Path, typer.Argument(help="The folder to write; for coco and onnx the file.")],
    to: Annotated[
        str, typer.Option(help="nnunet (ignore label where nobody looked), coco, or onnx (the model).")
    ] = "nnunet",
    rater: Annotated[str | None, typer.Option(help="Whose labels, when several have drawn.")] = None,
) -> None:
    """Writes what was drawn, or the latest model, for other programs."""
    from frugalseg.cli import verbs

    verbs.export(folder, out, to=to, rater=rater)


app.command(**_example("frugalseg convert exp.yml -o campaign.yaml"))(convert)
app.command(**_example("frugalseg prepare acdc downloads/ACDC data/acdc --set scribbles=downloads/strokes"))(prepare)
app.command("cross-label", **_example("frugalseg cross-label LA/ -o LA_cross --planes truth-centre"))(cross_label)


@app.command(**_example("frugalseg doctor"))
def doctor() -> None:
    """Says what this machine can do and what is broken; exit code 1 when something stands in the way."""
    from frugalseg.cli.doctor import examine

    checks = examine()
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[red]!![/]"
        console.print(f"{mark} {check.name}: {escape(check.found)}", soft_wrap=True)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
