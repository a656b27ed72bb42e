"""The log of a training run: one JSON line a step, and the same numbers for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RunLog:
    """Writes ``log.jsonl`` (and TensorBoard's event files) into a folder, going on after step `done` - 1.

    Lines of later steps, which a killed run had written after its last checkpoint, are removed, so every step occurs
    once.
    """

    def __init__(self, folder: Path, done: int, *, tensorboard: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        _truncate(path, done)
        self._file = path.open("a")
        self._board = _open_board(folder, done) if tensorboard else None

    def write(self, index: int, losses: Mapping[str, float], *, lr: float, seconds: float) -> None:
        """Adds one step; it is with the operating system, so safe from a kill, when this returns."""
        record = {"step": index, "losses": dict(losses), "lr": lr, "seconds": round(seconds, 4)}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in {**{f"loss/{n}": v for n, v in losses.items()}, "lr": lr, "seconds": seconds}.items():
                self._board.add_scalar(name, value, index)

    def close(self) -> None:
        """Flushes and closes the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of ``log.jsonl`` in order; empty when there is none. A half-written last line is left out."""
    path = folder / "log.jsonl"
    if not path.exists():
        return []
    return [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]


def _truncate(path: Path, done: int) -> None:
    """Keeps the lines of steps before `done`. In place: a kill here leaves lines that the next start removes."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = 0
        for line in file:
            if not line.endswith(b"\n") or json.loads(line)["step"] >= done:
                break
            end += len(line)
        file.truncate(end)


def _open_board(folder: Path, done: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=done)
