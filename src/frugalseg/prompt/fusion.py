"""One label from what a generalist says of a case along several axes.

Each view claims voxels for classes; a voxel it claims for none it calls background, and of some it says nothing: slices
that were not shown to it, answers that were thrown away. Several classes may claim a voxel: the one that most views
claim it for has it, of equals the one it looks most similar to.

| views that speak | votes for the class | `majority` | `all` | `soft` |
|---|---|---|---|---|
| 1 | 1 | label | label | label, weight 1 |
| 2 | 1 | - | - | label, weight 1/2 |
| 2 | 2 | label | label | label, weight 1 |
| 3 | 1 | - | - | label, weight 1/3 |
| 3 | 2 | label | - | label, weight 2/3 |
| 3 | 3 | label | label | label, weight 1 |

A dash is a voxel without enough votes for any class, background being one: it becomes unknown, or background as
published (`short_of_votes`). In GM-ABS's script `soft` fails; its evident meaning is the mean of the views.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from frugalseg.data.label import UNKNOWN
from frugalseg.settings import Settings


class FusionSettings(Settings):
    """How views become one label."""

    label_strategy: Literal["majority", "all", "soft"] = "soft"  # GM-ABS has majority
    short_of_votes: Literal["unknown", "background"] = "unknown"  # ours; GM-ABS has background
    weighted: bool = True  # weight of a voxel: the part of the views that agree; False: 1, GM-ABS


@dataclass(frozen=True, eq=False)
class Votes:
    """What each of V views says: `claims` (V, C-1, *space), object classes only; `silent` (V, *space), says nothing."""

    claims: Bool[np.ndarray, "V N *space"]
    silent: Bool[np.ndarray, "V *space"]

    @classmethod
    def none(cls, n_views: int, n_classes: int, shape: tuple[int, ...]) -> "Votes":
        """Views that have not said anything yet."""
        return cls(np.zeros((n_views, n_classes - 1, *shape), bool), np.ones((n_views, *shape), bool))

    def counted(self) -> UInt8[np.ndarray, "C *space"]:
        """The votes of each class, background first; a view that is silent has none."""
        speaks = ~self.silent[:, None]  # (V, 1, *space)
        claimed = self.claims & speaks
        background = ~claimed.any(1, keepdims=True) & speaks
        return np.asarray(np.concatenate([background, claimed], 1).sum(0, dtype=np.uint8))


@dataclass(frozen=True, eq=False)
class PseudoLabel:
    """Classes (*space) uint8 with `UNKNOWN`, and how much each voxel counts, 0 to 1 in float16; unknown ones 0."""

    label: UInt8[np.ndarray, "*space"]
    weight: Float[np.ndarray, "*space"]


def fuse(
    votes: Votes,
    similarity: Float[np.ndarray, "C *space"],
    settings: FusionSettings | None = None,
) -> PseudoLabel:
    """The label that the views agree on; `UNKNOWN` where none speaks."""
    settings = settings or FusionSettings()
    counts = votes.counted()
    spoken = (~votes.silent).sum(0, dtype=np.uint8)
    label = winners(counts, similarity)
    enough = ENOUGH[settings.label_strategy](counts.max(0), spoken)
    if settings.short_of_votes == "background":
        label, enough = np.where(enough, label, 0), spoken > 0
    enough &= spoken > 0
    share = np.take_along_axis(counts, label[None], 0)[0] / np.maximum(spoken, 1)
    weight = share if settings.weighted else np.ones(label.shape)
    return PseudoLabel(
        np.where(enough, label, UNKNOWN).astype(np.uint8), np.where(enough, weight, 0).astype(np.float16)
    )


def with_expert(said: PseudoLabel, expert: UInt8[np.ndarray, "*space"]) -> PseudoLabel:
    """A label with what an expert has drawn written over it, with full weight; `UNKNOWN` is where nobody drew."""
    drawn = expert != UNKNOWN
    return PseudoLabel(np.where(drawn, expert, said.label), np.where(drawn, np.float16(1), said.weight))


def winners(counts: UInt8[np.ndarray, "C *space"], similarity: Float[np.ndarray, "C *space"]) -> np.ndarray:
    """The class (*space) with the most votes, of equals the most similar one, then the lowest."""
    most = counts.max(0)
    return np.asarray(np.where(counts == most, similarity, -1).argmax(0), np.uint8)


Enough = Callable[[np.ndarray, np.ndarray], np.ndarray]

ENOUGH: Mapping[str, Enough] = {
    "majority": lambda most, spoken: 2 * most > spoken,
    "all": lambda most, spoken: most == spoken,
    "soft": lambda most, spoken: most > 0,
}
"""Votes of the winner, views that speak -> whether that is enough."""
