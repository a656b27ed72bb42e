"""Which unit to label next: one strategy a file, one line in the registry.

A strategy sees a `PoolView`: images, what was drawn, what the current model says. From there it can reach no object
that holds or reads a label that nobody has drawn (the recipe of a phantom apart), and it never trains a specialist.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from frugalseg.data.cost import paging_axis
from frugalseg.data.pool import Pool, PoolView
from frugalseg.data.unit import Unit, UnitKind
from frugalseg.errors import SettingsError, lookup
from frugalseg.seeds import stream
from frugalseg.settings import Settings, merged, parse
from frugalseg.strategies.bald import Bald
from frugalseg.strategies.clasp_pe import ClaspPE, ClaspPESettings
from frugalseg.strategies.coreclr import CoreClr, CoverSettings, FrozenCoverSettings
from frugalseg.strategies.coregcn import CoreGcn, GcnSettings
from frugalseg.strategies.coreset import Coreset, CoresetSettings
from frugalseg.strategies.embedding.contrastive import PRESETS
from frugalseg.strategies.entropy import Entropy
from frugalseg.strategies.features import features
from frugalseg.strategies.foreground_random import ForegroundRandom
from frugalseg.strategies.least_confidence import LeastConfidence
from frugalseg.strategies.multi_feature import MultiFeatureSettings
from frugalseg.strategies.placement import place
from frugalseg.strategies.probcover import ProbCover, ProbCoverSettings
from frugalseg.strategies.random import Random
from frugalseg.strategies.reasons import Choice
from frugalseg.strategies.round_robin import RoundRobin
from frugalseg.strategies.stochastic_batches import StochasticBatches, StochasticBatchesSettings
from frugalseg.strategies.strategy import ExplainingStrategy, Strategy
from frugalseg.strategies.strided import Strided
from frugalseg.strategies.thumbnails import pixels
from frugalseg.strategies.typiclust import TypiClust, TypiClustSettings
from frugalseg.strategies.uncertain_diverse import UncertainDiverse
from frugalseg.strategies.uncertainty_percentage import UncertaintyPercentage
from frugalseg.strategies.vaal import Vaal, VaalSettings
from frugalseg.strategies.variance_ratio import VarianceRatio
from frugalseg.strategies.viewing import view_of

if TYPE_CHECKING:
    from frugalseg.specialist.model import Model


@dataclass(frozen=True)
class StrategyEntry:
    """One line of the registry: how a strategy is built of its settings, which these are by default, and what
    `frugalseg select` buys by it where nobody says a unit.
    """

    build: Callable[[Any], Strategy]
    settings: Settings
    unit: UnitKind = "planes"


def _plain(strategy: Strategy) -> StrategyEntry:
    """The line of a strategy in which there is nothing to set."""
    return StrategyEntry(lambda _: strategy, Settings())


def _of_slices(build: Callable[[Any], Strategy], settings: Settings) -> StrategyEntry:
    """The line of a strategy that compares slices."""
    return StrategyEntry(build, settings, "slice")


STRATEGIES: Mapping[str, StrategyEntry] = {
    "random": _plain(Random()),
    "strided": _of_slices(lambda _: Strided(), Settings()),
    "round-robin": _plain(RoundRobin()),
    "foreground-random": _plain(ForegroundRandom()),
    "entropy": _plain(Entropy()),
    "uncertainty": _plain(Entropy()),  # its name in GM-ABS
    "least-confidence": _plain(LeastConfidence()),
    "uncertainty-percentage": _plain(UncertaintyPercentage()),
    "uncerper_div": _plain(UncertainDiverse()),
    "uncerper_div-features": _plain(UncertainDiverse(features)),
    "stochastic-batches": StrategyEntry(StochasticBatches, StochasticBatchesSettings()),
    "clasp-pe": StrategyEntry(ClaspPE, ClaspPESettings()),
    "bald": _plain(Bald()),
    "variance-ratio": _plain(VarianceRatio()),
    "coreset": _of_slices(partial(Coreset, features), CoresetSettings()),
    "coreset-pixels": _of_slices(partial(Coreset, pixels), CoresetSettings()),
    "typiclust": _of_slices(TypiClust.self_supervised, TypiClustSettings()),
    "probcover": _of_slices(ProbCover.self_supervised, ProbCoverSettings()),
    "vaal": _of_slices(Vaal, VaalSettings()),
    "coregcn": _of_slices(partial(CoreGcn, features), GcnSettings()),
    "coreclr": _of_slices(CoreClr.learnt, CoverSettings()),
    "coreclr-mfc": _of_slices(CoreClr.learnt, CoverSettings(cover="centre", distance=MultiFeatureSettings())),
    "coreclr-frozen": _of_slices(CoreClr.frozen, FrozenCoverSettings()),
    "coreclr-k-centre": _of_slices(CoreClr.learnt, CoverSettings(cover="centre")),
    "coreclr-paper": _of_slices(CoreClr.learnt, CoverSettings(cover="centre", encoder=PRESETS["paper"])),
}


def build_strategy(name: str, options: Mapping[str, Any] | None = None) -> Strategy:
    """The strategy with changes to its settings; raises `SettingsError` for an unknown name or option."""
    entry = lookup(STRATEGIES, name, "strategy")
    settings = merged(entry.settings.model_dump(), options or {})
    return entry.build(parse(type(entry.settings), settings, where=f"options of strategy '{name}'"))


def choices(
    view: PoolView,
    strategy: str,
    budget: int,
    *,
    options: Mapping[str, Any] | None = None,
    placement: str = "middle-third",
    seed: int = 0,
    round_number: int = 0,
) -> list[Choice]:
    """At most `budget` units, the most wanted first, with three planes placed, and why. Raises `SettingsError`.

    `options` are changes to the strategy's own settings.
    Three parallel planes are three units for one of the budget.
    Round and seed give the random stream, so the same round asks for the same units again.
    """
    if budget < 1:
        raise SettingsError(f"a budget of {budget} units buys nothing; ask for one at least")
    rng = stream(seed, "select", round_number)
    view = replace(view, round=round_number, seed=seed)
    ranked = _ranked(build_strategy(strategy, options), view, budget, rng)
    return [c.at(part) for c in ranked for part in _placed(c.unit, view, placement, rng=rng)]


def _ranked(strategy: Strategy, view: PoolView, budget: int, rng: np.random.Generator) -> list[Choice]:
    if isinstance(strategy, ExplainingStrategy):
        return strategy.explained(view, budget, rng)
    return [Choice(unit) for unit in strategy.rank(view, budget, rng)]


def _placed(unit: Unit, view: PoolView, placement: str, *, rng: np.random.Generator) -> list[Unit]:
    return [unit] if unit.is_placed else place(unit, view, placement, rng=rng)


def select(
    pool: Pool,
    strategy: str = "random",
    *,
    budget: int,
    unit: UnitKind | None = None,
    axis: int | None = None,
    seed: int = 0,
    model: "Model | None" = None,
) -> list[Unit]:
    """The units of a pool to label next; `model` is the current specialist, if there is one.

    The unit is by default the strategy's own: slices for `coreclr` and its like, else three planes. Slices lie across
    the axis along which the scans are paged, or the one that is named. For 2D images the unit is the whole image,
    whatever is asked for. Raises `SettingsError` for an unknown strategy.
    """
    kind = unit or lookup(STRATEGIES, strategy, "strategy").unit
    across = paging_axis(case.geometry for case in pool.cases) if axis is None else axis
    view = view_of(pool, [model] if model else [], unit=kind, axis=across or 0)
    return [choice.unit for choice in choices(view, strategy, budget, seed=seed)]
