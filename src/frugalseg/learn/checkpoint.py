"""Checkpoints: all that is needed to go on as if nothing had happened, and to notice that it is another run.

Each step draws its random numbers from (seed, step) and nothing else, so the seed and the step *are* the state of the
random generators and of the sampler.
"""

import json
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from frugalseg.errors import DataError, SettingsError
from frugalseg.files import atomic_path


def save(path: Path, method: nn.Module, optimizer: Optimizer, *, done: int, identity: Mapping[str, Any]) -> None:
    """Writes a checkpoint after `done` steps; atomically, so a kill leaves the old one or the new one.

    `identity` is what makes the run this one: settings, seed, data; plain JSON values.
    """
    state = {
        "done": done,
        "identity": _plain(identity),
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with atomic_path(path) as part:
        torch.save(state, part)


def restore(path: Path, method: nn.Module, optimizer: Optimizer, *, identity: Mapping[str, Any]) -> int:
    """Loads a checkpoint into method and optimiser; returns how many steps it had done, 0 when there is no file.

    Raises `SettingsError` when the checkpoint belongs to another run, `DataError` when it cannot be read.
    """
    if not path.exists():
        return 0
    state = _read(path)
    changes = list(_differences(state["identity"], _plain(identity)))
    if changes:
        raise SettingsError(f"{path} belongs to another run ({'; '.join(changes)}): {_REMEDY}")
    _check_shapes(path, state["method"], method)
    method.load_state_dict(state["method"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["done"])


def adopt(path: Path, earlier: Path, *, identity: Mapping[str, Any]) -> None:
    """Makes the checkpoint of an earlier run the first one of this run, which goes on with it on other labels.

    Raises `SettingsError` when they differ in more than what they learn from, `DataError` when it cannot be read.
    """
    if not earlier.is_file():
        raise DataError(f"{earlier}: there is no checkpoint to go on from; train the round before again")
    state = _read(earlier)
    old, new = state["identity"], _plain(identity)
    changes = [c for c in _differences(old, new) if not c.startswith("about.labels = ")]
    if changes:
        raise SettingsError(f"a run cannot go on from {earlier}: {'; '.join(changes)}; give it the same settings")
    with atomic_path(path) as part:
        torch.save({**state, "identity": new}, part)


def clear_leftovers(path: Path) -> None:
    """Removes half-written checkpoints that killed runs left beside `path`."""
    for part in sorted(path.parent.glob(f".part-*-{path.name}")):
        part.unlink()


_REMEDY = "give the same settings and data to go on, or another folder (or remove that file) to start again"


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, LookupError) as error:
        raise DataError(
            f"{path} is not a readable checkpoint ({_first_line(error)}): remove it to start again"
        ) from error
    if not isinstance(state, dict) or not {"done", "identity", "method", "optimizer"} <= state.keys():
        raise DataError(f"{path} is not a checkpoint of a training run: remove it to start again")
    return state


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _check_shapes(path: Path, state: Mapping[str, torch.Tensor], method: nn.Module) -> None:
    old = {name: tuple(x.shape) for name, x in state.items()}
    new = {name: tuple(x.shape) for name, x in method.state_dict().items()}
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if names:
        name = names[0]
        raise SettingsError(
            f"{path} holds other networks than this run's ({len(names)} tensors differ, e.g. {name}: "
            f"{old.get(name)} there, {new.get(name)} here): {_REMEDY}"
        )


def _plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(identity, sort_keys=True))
    return plain


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """``fit.lr = 0.01 there, 0.1 here`` for each value that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield f"{key} = {old} there, {new} here"
