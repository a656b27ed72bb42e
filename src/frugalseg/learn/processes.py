"""Sums over the processes that train together, so that a loss means the same however a batch is divided."""

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> int:
    """How many processes train together; 1 when nothing was launched."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0, also in a launched process that has not joined the others yet."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))


def is_first() -> bool:
    """True in the one process that writes files and speaks to the user."""
    return rank() == 0


def barrier() -> None:
    """Returns when every process has come here."""
    if world() > 1:
        dist.barrier()


def total(x: Tensor) -> Tensor:
    """The sum of `x` over all processes, with its gradient; `x` itself when there is one.

    Each process must go on from the sum in the same way, as loss terms do. Then the gradient that DDP averages over
    the processes is exactly the one that a single process has on the whole batch, also for a term that is not linear
    in the sum (Dice) or is divided by a total count: the derivative through this process's own share is `world()`
    times too large, and the average divides by `world()`.
    """
    if world() == 1:
        return x
    return _Total.apply(x)  # type: ignore[no-any-return, no-untyped-call]


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clone()
        dist.all_reduce(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * world()
