"""Trains in the tiny world and kills itself, as a script: ``FOLDER SEED``. Started by the test of killed runs.

Every run is a fork of this process, so torch is imported once. The folder gets ``whole`` (a run nobody killed) and
``killed`` (killed again and again at random places, then let go to its end).
"""

import io
import itertools
import signal
import sys
from pathlib import Path
from typing import Any

import lightning_fabric  # noqa: F401  (before the forks: once instead of in each)
import torch

from frugalseg.data.batch import Batch
from frugalseg.learn.engine import FitSettings, Hardware, fit
from frugalseg.methods import build_method
from frugalseg.seeds import stream
from killing import in_a_fork, kill
from tiny_world import network_maker, world

STEPS = 24
SETTINGS = FitSettings(steps=STEPS, lr=0.01, checkpoint_every=4, channels_last=True, tensorboard=False)


def train(folder: Path, *, batches_made: int = -1, steps_done: int = -1) -> None:
    """Trains to the end, or kills itself when it has made so many batches (in another thread) or done so many steps."""
    batch, count = world(), itertools.count()

    def batches(step: int) -> Batch:
        if next(count) == batches_made:
            kill()
        return batch(step)

    method = build_method("ua-mt", network_maker(dropout=0.2), {"ramp_steps": 10, "weight": 1.0})
    hardware = Hardware(device="cpu", threads=1)
    for number, _ in enumerate(fit(method, batches, SETTINGS, folder=folder, hardware=hardware, seed=3)):
        if number == steps_done:
            kill()


def train_until_half_a_checkpoint(folder: Path, which: int) -> None:
    """Kills itself when half of the bytes of a checkpoint are written, the first or a later one of this process."""
    real, count = torch.save, itertools.count()

    def half(state: Any, path: Path) -> None:
        if next(count) < which:
            return real(state, path)
        whole = io.BytesIO()
        real(state, whole)
        path.write_bytes(whole.getvalue()[: whole.tell() // 2])
        return kill()

    torch.save = half
    train(folder)


if __name__ == "__main__":
    folder, killed = Path(sys.argv[1]), Path(sys.argv[1]) / "killed"
    first, second, third = stream(int(sys.argv[2]), "kill").integers(1, 6, 3).tolist()
    assert in_a_fork(lambda: train(folder / "whole")) == 0
    assert in_a_fork(lambda: train_until_half_a_checkpoint(killed, 0)) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed, batches_made=first)) == -signal.SIGKILL
    assert in_a_fork(lambda: train_until_half_a_checkpoint(killed, 1)) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed, steps_done=second)) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed, batches_made=third)) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed)) == 0
