"""Which unit to label next: one strategy a file, one line in the registry.

A strategy sees a `PoolView`: images, what was drawn, what the current model says. From there it can reach no object
that holds or reads a label that nobody has drawn (the recipe of a phantom apart), and it never trains a specialist.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from frugalseg.data.pool import Pool, PoolView
from frugalseg.data.unit import Unit, UnitKind
from frugalseg.errors import SettingsError, lookup
from frugalseg.seeds import stream
from frugalseg.strategies.bald import Bald
from frugalseg.strategies.clasp_pe import ClaspPE
from frugalseg.strategies.coreclr import CoreClr, described_by
from frugalseg.strategies.coregcn import CoreGcn
from frugalseg.strategies.coreset import Coreset
from frugalseg.strategies.embedding.contrastive import PRESETS, GroupContrastive
from frugalseg.strategies.embedding.frozen import FrozenGeneralist
from frugalseg.strategies.entropy import Entropy
from frugalseg.strategies.features import features
from frugalseg.strategies.foreground_random import ForegroundRandom
from frugalseg.strategies.least_confidence import LeastConfidence
from frugalseg.strategies.multi_feature import MultiFeatureSettings
from frugalseg.strategies.placement import place
from frugalseg.strategies.probcover import ProbCover
from frugalseg.strategies.random import Random
from frugalseg.strategies.reasons import Choice
from frugalseg.strategies.round_robin import RoundRobin
from frugalseg.strategies.stochastic_batches import StochasticBatches
from frugalseg.strategies.strategy import ExplainingStrategy, Strategy
from frugalseg.strategies.strided import Strided
from frugalseg.strategies.thumbnails import pixels
from frugalseg.strategies.typiclust import TypiClust
from frugalseg.strategies.uncertain_diverse import UncertainDiverse
from frugalseg.strategies.uncertainty_percentage import UncertaintyPercentage
from frugalseg.strategies.vaal import Vaal
from frugalseg.strategies.variance_ratio import VarianceRatio
from frugalseg.strategies.viewing import view_of

if TYPE_CHECKING:
    from frugalseg.specialist.model import Model

SELF_SUPERVISED = described_by(GroupContrastive())
"""Features as TypiClust and ProbCover want them, learnt from the pool without labels; CoreCLR's."""

STRATEGIES: Mapping[str, Strategy] = {
    "random": Random(),
    "strided": Strided(),
    "round-robin": RoundRobin(),
    "foreground-random": ForegroundRandom(),
    "entropy": Entropy(),
    "uncertainty": Entropy(),  # its name in GM-ABS
    "least-confidence": LeastConfidence(),
    "uncertainty-percentage": UncertaintyPercentage(),
    "uncerper_div": UncertainDiverse(),
    "uncerper_div-features": UncertainDiverse(features),
    "stochastic-batches": StochasticBatches(),
    "clasp-pe": ClaspPE(),
    "bald": Bald(),
    "variance-ratio": VarianceRatio(),
    "coreset": Coreset(),
    "coreset-pixels": Coreset(pixels),
    "typiclust": TypiClust(SELF_SUPERVISED),
    "probcover": ProbCover(SELF_SUPERVISED),
    "vaal": Vaal(),
    "coregcn": CoreGcn(),
    "coreclr": CoreClr(),
    "coreclr-mfc": CoreClr(multi=MultiFeatureSettings(), cover="centre"),
    "coreclr-frozen": CoreClr(FrozenGeneralist()),
    "coreclr-k-centre": CoreClr(cover="centre"),
    "coreclr-paper": CoreClr(GroupContrastive(PRESETS["paper"]), cover="centre"),
}


def choices(
    view: PoolView, strategy: str, budget: int, *, placement: str = "middle-third", seed: int = 0, round_number: int = 0
) -> list[Choice]:
    """At most `budget` units, the most wanted first, with three planes placed, and why. Raises `SettingsError`.

    Three parallel planes are three units for one of the budget.
    Round and seed give the random stream, so the same round asks for the same units again.
    """
    if budget < 1:
        raise SettingsError(f"a budget of {budget} units buys nothing; ask for one at least")
    rng = stream(seed, "select", round_number)
    view = replace(view, round=round_number, seed=seed)
    ranked = _ranked(lookup(STRATEGIES, strategy, "strategy"), view, budget, rng)
    return [c.at(part) for c in ranked for part in _placed(c.unit, view, placement, rng=rng)]


def _ranked(strategy: Strategy, view: PoolView, budget: int, rng: np.random.Generator) -> list[Choice]:
    if isinstance(strategy, ExplainingStrategy):
        return strategy.explained(view, budget, rng)
    return [Choice(unit) for unit in strategy.rank(view, budget, rng)]


def _placed(unit: Unit, view: PoolView, placement: str, *, rng: np.random.Generator) -> list[Unit]:
    return [unit] if unit.is_placed else place(unit, view, placement, rng=rng)


def choose_units(
    view: PoolView, strategy: str, budget: int, *, placement: str = "middle-third", seed: int = 0, round_number: int = 0
) -> list[Unit]:
    """The units of `choices`."""
    wanted = choices(view, strategy, budget, placement=placement, seed=seed, round_number=round_number)
    return [choice.unit for choice in wanted]


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
    return choose_units(view, strategy, budget, seed=seed)
