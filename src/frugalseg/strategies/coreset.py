"""Core-set: the units that leave no other unit far from a labelled one."""

import numpy as np
from pydantic import Field

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.settings import Settings
from frugalseg.strategies.features import Describe, Described, features
from frugalseg.strategies.k_centre import k_centre


class CoresetSettings(Settings):
    """How much an odd unit may draw."""

    cap: float | None = Field(None, gt=0, le=1)  # quantile of the distances above which all count the same


class Coreset:
    """Greedy k-centre on the features of the current model, or thumbnails before the first; drawn units are centres.

    Where nothing is drawn the first unit is random. Source: Sener & Savarese 2018. With `describe=pixels` distances
    are those of the pictures themselves, as in the code published with CoreCLR, where a slice has 256 x 256 pixels.
    """

    def __init__(self, describe: Describe = features, settings: CoresetSettings | None = None) -> None:
        self.describe, self.settings = describe, settings or CoresetSettings()

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units in the order of the greedy choice: each prefix is the choice of that size."""
        pool = Described.of(view, self.describe)
        first = int(rng.integers(len(pool.units)))
        cap = self.settings.cap
        return pool.named(k_centre(pool.features, budget, labelled=pool.labelled, cap=cap, first=first).order)
