"""Which unit to label next: one strategy a file, one line in the registry.

A strategy sees a `PoolView`: images, what was drawn, what the current model says. From there it can reach no object
that holds or reads a label that nobody has drawn (the recipe of a phantom apart), and it never trains a specialist.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

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
    """One line of the registry: how a strategy is built of its settings, and which these are by default."""

    build: Callable[[Any], Strategy]
    settings: Settings


def _plain(strategy: Strategy) -> StrategyEntry:
    """The line of a strategy in which there is nothing to set."""
    return StrategyEntry(lambda _: strategy, Settings())


STRATEGIES: Mapping[str, StrategyEntry] = {
    "random": _plain(Random()),
    "strided": _plain(Strided()),
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
    "coreset": StrategyEntry(partial(Coreset, features), CoresetSettings()),
    "coreset-pixels": StrategyEntry(partial(Coreset, pixels), CoresetSettings()),
    "typiclust": StrategyEntry(TypiClust.self_supervised, TypiClustSettings()),
    "probcover": StrategyEntry(ProbCover.self_supervised, ProbCoverSettings()),
    "vaal": StrategyEntry(Vaal, VaalSettings()),
    "coregcn": StrategyEntry(partial(CoreGcn, features), GcnSettings()),
    "coreclr": StrategyEntry(CoreClr.learnt, CoverSettings()),
    "coreclr-mfc": StrategyEntry(CoreClr.learnt, CoverSettings(cover="centre", distance=MultiFeatureSettings())),
    "coreclr-frozen": StrategyEntry(CoreClr.frozen, FrozenCoverSettings()),
    "coreclr-k-centre": StrategyEntry(CoreClr.learnt, CoverSettings(cover="centre")),
    "coreclr-paper": StrategyEntry(CoreClr.learnt, CoverSettings(cover="centre", encoder=PRESETS["paper"])),
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
    unit: UnitKind = "planes",
    axis: int = 0,
    seed: int = 0,
    model: "Model | None" = None,
) -> list[Unit]:
    """The units of a pool to label next; `model` is the current specialist, if there is one.

    For 2D images the unit is the whole image, whatever is asked for. Raises `SettingsError` for an unknown strategy.
    """
    view = view_of(pool, [model] if model else [], unit=unit, axis=axis)
    return [choice.unit for choice in choices(view, strategy, budget, seed=seed)]
