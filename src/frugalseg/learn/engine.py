"""The engine: one loop that trains any method on the CPU, one GPU or several processes, and survives being killed."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from frugalseg.data.batch import Batch
from frugalseg.errors import TrainingDiverged
from frugalseg.learn import checkpoint, processes
from frugalseg.learn.hardware import Hardware
from frugalseg.learn.log import RunLog
from frugalseg.learn.method import Method
from frugalseg.learn.ramps import learning_rate_factor
from frugalseg.seeds import derive
from frugalseg.settings import Settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["FitSettings", "Hardware", "Reach", "Step", "fit"]

CHECKPOINT = "last.ckpt"


class FitSettings(Settings):
    """How long and how fast a method learns."""

    steps: int = Field(1000, ge=1)
    lr: float = Field(1e-3, gt=0)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = Field(1e-2, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)  # of sgd
    nesterov: bool = True  # sgd looks ahead, as in nnU-Net; without effect at momentum 0
    schedule: Literal["poly", "cosine", "constant"] = "poly"  # of the learning rate over all steps
    drops: tuple[NonNegativeInt, ...] = ()  # from each of these steps on the learning rate is a tenth of what it was
    warmup: int = Field(0, ge=0)  # steps in which the learning rate rises in a line
    clip_norm: float | None = Field(12, gt=0)  # largest gradient norm; 12 as in nnU-Net
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    channels_last: bool = False  # memory format of convolutions; same result, other speed
    checkpoint_every: int = Field(25, ge=1)  # steps that a kill costs at most
    log_every: int = Field(1, ge=1)
    tensorboard: bool = True


@dataclass(frozen=True)
class Step:
    """What one step reports: loss terms (weights included), seconds (with waiting for the batch), learning rate."""

    index: int
    losses: dict[str, float]
    seconds: float
    lr: float


@dataclass(frozen=True)
class Reach:
    """A part of a training: from where the run in the folder `after` ended, to before the step `until`.

    The learning rate and all ramps are those of the whole, of `FitSettings.steps`. The earlier run has the same
    settings, but may have learnt from fewer labels.
    """

    after: Path | None = None
    until: int | None = None
    begin: Callable[[], None] | None = None  # called by the first process where this run has no checkpoint yet


def fit(
    method: Method,
    batches: Callable[[int], Batch],
    settings: FitSettings,
    *,
    folder: Path,
    hardware: Hardware,
    seed: int,
    about: Mapping[str, Any] | None = None,
    interludes: Mapping[int, Callable[[], None]] | None = None,
    reach: Reach | None = None,
) -> Iterator[Step]:
    """Trains a method (an `nn.Module`) and yields a record after each step; `method.predictor` is the result.

    `batches(step)` is the whole batch of a step, for all processes together, and a pure function of the step: it runs
    one step ahead in another thread and must not draw from torch's global generator.

    The folder gets ``last.ckpt`` and ``log.jsonl``. A folder that has a checkpoint of the same run is continued, on
    the CPU to the same bits as if it had never stopped; a finished one yields nothing and loads its weights.
    `about` is what else makes the run this one (data, plan; JSON values). `interludes` are called by every process
    before the batch of their step is made, behind a checkpoint; a run that goes on from such a step calls it again, and
    those of earlier steps not. `reach` is for a run that is a part of a longer one. Raises `SettingsError` when the
    checkpoint is of other settings, and `TrainingDiverged` when a loss or the gradient is not finite.
    """
    if not isinstance(method, nn.Module):
        raise TypeError(f"a method is an nn.Module, but {type(method).__name__} is none")
    fabric = hardware.launch(settings.precision)
    run = _Run(fabric, method, settings=settings, seed=seed, path=folder / CHECKPOINT, about=about or {})
    reach = reach or Reach()
    done, end = run.restore(reach), settings.steps if reach.until is None else min(reach.until, settings.steps)
    fabric.barrier()  # nobody writes a checkpoint before everybody has looked for one
    log = RunLog(folder, done, tensorboard=settings.tensorboard) if processes.is_first() else None
    try:
        for start, stop in _stretches(done, end, interludes or {}):
            if interludes and start in interludes:
                interludes[start]()
                fabric.barrier()
            for step in run.stretch(batches, start, stop):
                if log and step.index % settings.log_every == 0:
                    log.write(step.index, step.losses, lr=step.lr, seconds=step.seconds)
                if (step.index + 1) % settings.checkpoint_every == 0 or step.index + 1 == stop:
                    run.save(step.index + 1)
                yield step
    finally:
        if log:
            log.close()
    method.eval()


class _Run:
    """A method and its optimiser, set up on the hardware."""

    def __init__(
        self,
        fabric: "Fabric",
        method: nn.Module,
        *,
        settings: FitSettings,
        seed: int,
        path: Path,
        about: Mapping[str, Any],
    ) -> None:
        if settings.channels_last:
            _to_channels_last(method)
        self.fabric, self.settings, self.seed, self.path = fabric, settings, seed, path
        self.method: Any = method
        self.trained = [p for p in method.parameters() if p.requires_grad]
        self.module, self.optimizer = fabric.setup(_Losses(method), _optimizer(self.trained, settings))
        self.identity = _identity(method, settings, seed, about)

    def restore(self, reach: Reach) -> int:
        """Loads the checkpoint, or that of an earlier run's folder; returns how many steps were done before."""
        if processes.is_first() and not self.path.exists():
            if reach.begin is not None:
                reach.begin()
            if reach.after is not None:
                checkpoint.adopt(self.path, reach.after / CHECKPOINT, identity=self.identity)
        self.fabric.barrier()
        done = checkpoint.restore(self.path, self.method, self.optimizer, identity=self.identity)
        if processes.is_first():
            checkpoint.clear_leftovers(self.path)
        self.module.train()
        return done

    def stretch(self, batches: Callable[[int], Batch], start: int, stop: int) -> Generator[Step]:
        """The steps from `start` to before `stop`."""
        with closing(_prefetched(batches, start, stop)) as ahead:
            began = time.perf_counter()
            for index, batch in ahead:
                losses, lr = self.advance(index, batch)
                yield Step(index, losses, time.perf_counter() - began, lr)
                began = time.perf_counter()

    def save(self, done: int) -> None:
        if processes.is_first():
            checkpoint.save(self.path, self.method, self.optimizer, done=done, identity=self.identity)

    def advance(self, index: int, batch: Batch) -> tuple[dict[str, float], float]:
        """One optimiser step: its losses and learning rate. Random numbers depend on seed, step and process only."""
        lr = self._set_learning_rate(index)
        mine = self._mine(batch)
        devices = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(derive(self.seed, "step", index, processes.rank()))
            terms = self.module(
                mine.image, mine.label, mine.n_labelled, mine.cases, mine.seeds, mine.pseudo, step=index
            )
            losses = self._checked(terms, index, batch)
            self._descend(torch.stack([*terms.values()]).sum(), index, batch)
            self.method.after(index)
        return losses, lr

    def _set_learning_rate(self, index: int) -> float:
        s = self.settings
        lr = s.lr * learning_rate_factor(s.schedule, index, steps=s.steps, warmup=s.warmup, drops=s.drops)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _mine(self, batch: Batch) -> Batch:
        mine = batch.part(processes.rank(), processes.world()) if processes.world() > 1 else batch
        mine = mine.to(self.fabric.device)
        return mine.channels_last() if self.settings.channels_last else mine

    def _checked(self, terms: dict[str, Tensor], index: int, batch: Batch) -> dict[str, float]:
        values = self.fabric.all_reduce(torch.stack([t.detach().float() for t in terms.values()]), reduce_op="mean")
        losses = dict(zip(terms, values.tolist(), strict=True))  # type: ignore[union-attr]
        for name, value in losses.items():
            if not math.isfinite(value):
                raise self._diverged(f"loss term '{name}' is {value}", index, batch)
        return losses

    def _descend(self, loss: Tensor, index: int, batch: Batch) -> None:
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        for p in self.trained:
            if p.grad is None:  # a step without gradient is one of gradient zero, as it is with several processes
                p.grad = torch.zeros_like(p)
        norm = self.fabric.clip_gradients(
            self.module, self.optimizer, max_norm=self.settings.clip_norm or math.inf, error_if_nonfinite=False
        )
        if not math.isfinite(float(norm)):  # type: ignore[arg-type]
            raise self._diverged("the gradient is not finite", index, batch)
        self.optimizer.step()

    def _diverged(self, what: str, index: int, batch: Batch) -> TrainingDiverged:
        kept = f"the last checkpoint is {self.path}" if self.path.exists() else "there is no checkpoint yet"
        return TrainingDiverged(
            f"step {index}: {what}, on the cases {', '.join(batch.cases)}; look at these images, "
            f"or lower fit.lr or fit.clip_norm ({kept})"
        )


class _Losses(nn.Module):
    """The losses as a forward call, which is where Fabric applies the precision and DDP its bookkeeping.

    The batch comes in pieces because Fabric refuses frozen dataclasses as arguments. DDP waits for a gradient of every
    trained parameter; a term of value zero gives it one, also for parameters that this step does not use.
    """

    def __init__(self, method: nn.Module) -> None:
        super().__init__()
        self.method: Any = method

    def forward(
        self,
        image: Tensor,
        label: Tensor,
        n_labelled: int,
        cases: tuple[str, ...],
        seeds: tuple[int, ...],
        pseudo: Tensor | None,
        *,
        step: int,
    ) -> dict[str, Tensor]:
        batch = Batch(image, label, n_labelled, cases, seeds, pseudo)
        terms: dict[str, Tensor] = self.method.losses(batch, step)
        if processes.world() == 1:
            return terms
        zero = 0 * torch.stack([p.sum() for p in self.method.parameters() if p.requires_grad]).sum()
        return {name: term + zero for name, term in terms.items()}


def _stretches(done: int, steps: int, interludes: Mapping[int, Any]) -> Iterator[tuple[int, int]]:
    """From where a run stands to its end, cut at the interludes in between."""
    cuts = [done, *(step for step in sorted(interludes) if done < step < steps), steps]
    return ((start, stop) for start, stop in pairwise(cuts) if start < stop)


def _prefetched(batches: Callable[[int], Batch], start: int, stop: int) -> Generator[tuple[int, Batch]]:
    """Batches of the steps from `start` to before `stop`, each made while the step before it is computed."""
    if start >= stop:
        return
    with ThreadPoolExecutor(1, "next-batch") as thread:
        ahead = thread.submit(batches, start)
        for index in range(start, stop):
            batch = ahead.result()
            if index + 1 < stop:
                ahead = thread.submit(batches, index + 1)
            yield index, batch


def _optimizer(trained: list[nn.Parameter], settings: FitSettings) -> Optimizer:
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return SGD(trained, settings.lr, settings.momentum, weight_decay=settings.weight_decay, nesterov=nesterov)
    return AdamW(trained, settings.lr, weight_decay=settings.weight_decay, fused=True)  # several times as fast on a CPU


def _to_channels_last(method: nn.Module) -> None:
    """Rearranges the weights of 2D and 3D convolutions in memory; values and order of parameters stay."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for p in method.parameters():
        if p.ndim in formats:
            p.data = p.data.contiguous(memory_format=formats[p.ndim])


def _identity(method: Any, settings: FitSettings, seed: int, about: Mapping[str, Any]) -> dict[str, Any]:
    free = {"checkpoint_every", "log_every", "tensorboard"}
    return {
        "method": {"name": type(method).__name__, **method.settings.model_dump(mode="json")},
        "fit": settings.model_dump(mode="json", exclude=free),
        "seed": seed,
        "about": dict(about),
    }
