"""`frugalseg cross-label`: three planes of complete labels, as files of the LA family keep them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from frugalseg.cli.show import console, say, table

TRUTH_CENTRE = "truth-centre"
"""The published planes, which know the truth; every other placement does without."""

BY_MODEL = ("predicted", "largest-predicted", "entropy")
"""Placements that ask what a model says."""


@dataclass(frozen=True)
class Wanted:
    """Where planes are to lie: the name of a placement, who predicts for it, and what it draws by chance."""

    planes: str
    model: Path | None
    seed: int


def cross_label(
    folder: Annotated[Path, typer.Argument(help="CASE.h5, data/CASE.h5 or CASE/mri_norm2.h5 with a complete label.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where data/CASE.h5 go; FOLDER itself with --replace.")],
    planes: Annotated[
        str,
        typer.Option(
            help="Where they lie. Without the truth: middle-third, centre, and with --model largest-predicted or "
            "entropy. truth-centre is the middle of the true object, as published by GM-ABS."
        ),
    ] = "middle-third",
    model: Annotated[Path | None, typer.Option(help="Who predicts: a model file or a workspace.")] = None,
    replace: Annotated[bool, typer.Option(help="Writes again what is there already.")] = False,
    on_error: Annotated[str, typer.Option(help="What a bad file does: stop or skip.")] = "stop",
    seed: Annotated[int, typer.Option(help="Same seed, same planes.")] = 0,
) -> None:
    """Copies HDF5 files of the LA family with `cross_label` and `labeled_slice_indicator`: three planes of the label.

    The copies are opened with `--data la-h5=OUT`; nothing else in them changes.
    """
    from frugalseg.cli.verbs import skips
    from frugalseg.data.cross_labels import write_cross_labels

    left_out: dict[str, str] | None = {} if skips(on_error) else None
    place = _placed(folder, Wanted(planes, model, seed))
    records = list(write_cross_labels(folder, out, place=place, replace=replace, left_out=left_out))
    for problem in (left_out or {}).values():
        console.print(f"error: {problem}", soft_wrap=True, markup=False)
    rows = [[r.path.stem, *map(str, r.planes), f"{100 * r.n_known / r.n_voxels:.2f} %"] for r in records]
    table(f"planes by {planes}", ["case", "axis 0", "axis 1", "axis 2", "of all voxels"], rows)
    say(f"{sum(r.n_planes for r in records)} planes in {len(records)} files of {out / 'data'}")


def _placed(folder: Path, wanted: Wanted) -> Callable[[str], tuple[int, int, int]] | None:
    """Where the planes of a case lie, None for the middle of the true object.

    Raises `SettingsError` for a placement that does not exist, and for a model that is needed or that nobody asks.
    """
    from frugalseg.cli.verbs import model_at
    from frugalseg.data.layouts import open_pool
    from frugalseg.data.unit import Unit
    from frugalseg.errors import DataError, SettingsError, lookup
    from frugalseg.seeds import stream
    from frugalseg.strategies.placement import PLACEMENTS, place_planes
    from frugalseg.strategies.viewing import view_of

    lookup({**PLACEMENTS, TRUTH_CENTRE: None}, wanted.planes, "placement of planes")
    if (wanted.planes in BY_MODEL) != (wanted.model is not None):
        needs = "needs a model that predicts: give" if wanted.model is None else "asks no model: leave out"
        raise SettingsError(f"the placement '{wanted.planes}' {needs} --model")
    if wanted.planes == TRUTH_CENTRE:
        return None
    bad: dict[str, str] = {}
    pool = open_pool(folder, "la-h5", labels_are="truth", unreadable=bad)
    view = view_of(pool, [] if wanted.model is None else [model_at(wanted.model)], unit="planes")

    def place(case: str) -> tuple[int, int, int]:
        if case in bad:
            raise DataError(bad[case])
        shape = pool[case].geometry.shape
        if len(shape) != 3:
            raise DataError(f"{case}: planes lie in volumes, but this is an image of shape {shape}; leave it out")
        i, j, k = place_planes(Unit(case, "planes"), view, wanted.planes, rng=stream(wanted.seed, "planes", case)).index
        return i, j, k

    return place
