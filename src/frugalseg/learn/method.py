"""What the engine asks of a method."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.settings import Settings

MakeNetwork = Callable[[], nn.Module]
"""Builds the specialist's network with fresh weights; a method calls it once for each network it trains."""


class Method(Protocol):
    """A way to train a specialist. In practice an `nn.Module`: its parameters that require gradients are trained,
    its whole state (students, teachers, buffers) goes into the checkpoint.
    """

    @property
    def settings(self) -> Settings:
        """Kept in the checkpoint: a run is not continued with others."""
        ...

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Named loss terms, weights included; the engine sums, logs and checks them."""
        ...

    def after(self, step: int) -> None:
        """Called after each optimiser step: the teacher follows."""
        ...

    @property
    def predictor(self) -> nn.Module:
        """The network that is handed to the user at the end."""
        ...
