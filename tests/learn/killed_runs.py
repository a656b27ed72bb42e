"""Trains in the tiny world and kills itself, as a script: ``FOLDER SEED``. Started by the test of killed runs.

Every run is a fork of this process, so torch is imported once. The folder gets ``whole`` (a run nobody killed) and
``killed`` (killed again and again at random places, then let go to its end).
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tiny_world import network_maker, world

from frugalseg.learn.engine import FitSettings, Hardware, fit
from frugalseg.methods import build_method
from frugalseg.seeds import stream

STEPS = 24
SETTINGS = FitSettings(steps=STEPS, lr=0.01, checkpoint_every=4, channels_last=True, tensorboard=False)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, *, in_batch: int = -1, after_step: int = -1) -> None:
    """Trains to the end, or until it kills itself: in the other thread, or between two steps."""
    batch = world()

    def batches(step: int) -> Any:
        if step == in_batch:
            kill()
        return batch(step)

    method = build_method("ua-mt", network_maker(dropout=0.2), {"ramp_steps": 10, "weight": 1.0})
    hardware = Hardware(device="cpu", threads=1)
    for step in fit(method, batches, SETTINGS, folder=folder, hardware=hardware, seed=3):
        if step.index == after_step:
            kill()


def train_until_half_a_checkpoint(folder: Path, which: int) -> None:
    """Kills itself when half of the bytes of a checkpoint are written, the first or a later one of this process."""
    real, count = torch.save, iter(range(100))

    def half(state: Any, path: Path) -> None:
        if next(count) < which:
            return real(state, path)
        whole = io.BytesIO()
        real(state, whole)
        path.write_bytes(whole.getvalue()[: whole.tell() // 2])
        return kill()

    torch.save = half
    train(folder)


def in_a_fork(work: Callable[[], None]) -> int:
    """Exit status of a child process that does the work; minus the signal when it was killed."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    folder, rng = Path(sys.argv[1]), stream(int(sys.argv[2]), "kill")
    first, second, third = sorted(rng.choice(range(1, STEPS), 3, replace=False).tolist())
    killed = folder / "killed"
    assert in_a_fork(lambda: train(folder / "whole")) == 0
    assert in_a_fork(lambda: train_until_half_a_checkpoint(killed, 0)) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed, in_batch=first)) == -signal.SIGKILL
    assert in_a_fork(lambda: train_until_half_a_checkpoint(killed, 1)) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed, after_step=max(second, 9))) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed, in_batch=max(third, 13))) == -signal.SIGKILL
    assert in_a_fork(lambda: train(killed)) == 0
