"""The teacher: a copy of the student that follows it slowly."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd


class Teacher(nn.Module):
    """A frozen copy whose weights follow the student's as an exponential moving average.

    It predicts without gradients and always in evaluation mode. `net` is the copy itself. Its memory, 1 / (1 - decay)
    steps, is at most `share` of the steps so far: 1 as in the LA family's scripts, where the first hundred steps all
    count alike. A teacher that is asked early needs to forget sooner what the student was in the beginning.
    Source: Tarvainen & Valpola 2017; buffers (batch-norm statistics) are taken over from the student, not averaged.
    """

    def __init__(self, student: nn.Module, decay: float, *, share: float = 1.0) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        if not 0 < share <= 1:
            raise ValueError(f"share must lie in (0, 1], got {share}")
        self.net = copy.deepcopy(student).requires_grad_(False)
        self.decay, self.share = decay, share
        self.train(False)

    def train(self, mode: bool = True) -> "Teacher":
        """Stays in evaluation mode: `train()` on the method that owns the teacher must not wake dropout here."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Logits of the teacher."""
        y: Tensor = self.net(x)
        return y

    def sample(self, x: Tensor) -> Tensor:
        """Logits with the dropout layers awake, all else in evaluation mode (Monte Carlo dropout, Gal 2016)."""
        with _awake([m for m in self.net.modules() if isinstance(m, _DropoutNd)]):
            return self(x)  # type: ignore[no-any-return]

    @torch.no_grad()
    def follow(self, student: nn.Module, step: int) -> None:
        """Moves towards the student after optimiser step number `step`; at step 0 it becomes the student.

        What it keeps of itself grows as 1 - 1 / (share step + 1) until it reaches `decay`.
        """
        decay = min(self.decay, 1 - 1 / (self.share * step + 1))
        for mine, theirs in zip(self.net.parameters(), student.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for kept, current in zip(self.net.buffers(), student.buffers(), strict=True):
            kept.copy_(current)


@contextmanager
def _awake(layers: list[_DropoutNd]) -> Iterator[None]:
    for layer in layers:
        layer.train(True)
    try:
        yield
    finally:
        for layer in layers:
            layer.train(False)
