"""`frugalseg embed`: the encoder's work done ahead, into the workspace's cache."""

from collections.abc import Callable
from pathlib import Path

import torch

from frugalseg.campaign.rounds import training_pool
from frugalseg.cli.show import bar, console
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError, lookup
from frugalseg.generalists.ahead import Progress, embed_ahead, pictures_of, views_of
from frugalseg.generalists.cache import Cached, CacheSettings
from frugalseg.prompt.views import slices_shown
from frugalseg.workspace import Workspace


def embed(
    folder: Path,
    generalist: str,
    weights: Path | None,
    *,
    units: str,
    axis: int | None,
    kept: CacheSettings,
    device: torch.device,
) -> None:
    """Embeds the pictures of the chosen units, or all; `axis` cuts what has none of its own."""
    from frugalseg.generalists.registry import build_generalist

    workspace = Workspace.open(folder)
    pictures = pictures_of(workspace.pool, lookup(UNITS, units, "--units")(workspace), axis=axis)
    cache = kept.cache(workspace.cache / "embeddings")
    cached = Cached(build_generalist(generalist, weights=weights, device=device), cache)
    progress = Progress(0, 0)
    with bar() as shown:
        for progress in embed_ahead(cached, views_of(workspace.pool, pictures)):
            shown.update("embedding", progress.done, len(pictures))
    console.print(
        f"{progress.done} embeddings by {cached.info.name} in {cache.folder}, {progress.encoded} of them new",
        soft_wrap=True,
        markup=False,
    )


def _chosen(workspace: Workspace) -> list[Unit]:
    """The units of all rounds. Raises `DataError` when there is none."""
    found = [unit for turn in workspace.rounds() for unit in workspace.selected(turn.number)]
    if not found:
        raise DataError(
            f"{workspace.folder}: nothing was chosen yet: give --units all, or frugalseg select {workspace.folder}"
        )
    return found


def _all(workspace: Workspace) -> list[Unit]:
    return [Unit(case.id) for case in workspace.pool.cases]


def _views(workspace: Workspace) -> list[Unit]:
    """The slices that GM-ABS, as it is by default, may ask about: those of the cases that may be learnt from."""
    return [unit for case in training_pool(workspace).cases for unit in slices_shown(case.id, case.geometry)]


UNITS: dict[str, Callable[[Workspace], list[Unit]]] = {"chosen": _chosen, "all": _all, "views": _views}
"""Whose pictures are embedded."""
