"""Weights as they were published, brought under the names of the modules that they fill: every key finds its place.

Checkpoints come in two layouts: the authors' own file and a folder as transformers writes it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from frugalseg.errors import DataError

Module = TypeVar("Module", bound=nn.Module)

Rules = Sequence[tuple[str, str]]
"""Regular expressions and what they become; all are applied to each key, in order."""


def read_folder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and weights of a folder with `config.json` and `model.safetensors`, as transformers writes them.

    Weights in several files, listed in `model.safetensors.index.json`, are read too. Raises `DataError` for a folder
    that lacks one of them and for files that cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = _json(path / "config.json")
    index = path / "model.safetensors.index.json"
    names = sorted(set(_json(index).get("weight_map", {}).values())) if index.is_file() else ["model.safetensors"]
    state: dict[str, Tensor] = {}
    for name in names:
        try:
            state.update(load_file(path / name))
        except FileNotFoundError:
            raise DataError(f"{path}: holds no {name}; a transformers folder has config.json and it") from None
        except SafetensorError as error:
            raise DataError(f"{path / name}: cannot be read, is it cut off? ({error})") from None
    return config, state


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path.parent}: holds no {path.name}; a transformers folder has it") from None
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: must hold an object of settings")
    return content


def part_of(config: Mapping[str, Any], part: str, name: str) -> dict[str, Any]:
    """The settings of one part of a folder's configuration; raises `DataError` when it is not there."""
    if not isinstance(config.get(part), Mapping):
        raise DataError(
            f"the configuration is not that of {name}: it has no '{part}'; take the folder's own config.json"
        )
    return dict(config[part])


def tensors_of(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint, out of its entry `model` where it has one, as float32.

    Raises `DataError` when something else than tensors is among them.
    """
    state = content.get("model", content)
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise not_those_of(name, "they are not a mapping of names to tensors")
    return {key: value.float() for key, value in state.items()}


def renamed(state: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """The same tensors under the names that the rules make."""
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        new = key
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        if new in result:
            raise DataError(f"two keys of a checkpoint have the same meaning: '{key}' and another are '{new}'")
        result[new] = value
    return result


def built(make: Callable[[], Module], state: Mapping[str, Tensor], name: str) -> Module:
    """The module that `make` makes, in evaluation mode with those weights.

    Nothing is drawn at random before: the module takes the tensors themselves. Raises `DataError` unless every key
    finds its place, every parameter is filled and all shapes agree.
    """
    with torch.device("meta"):  # a module of shapes only
        module = make()
    check_keys({k: tuple(v.shape) for k, v in module.state_dict().items()}, state, name)
    module.load_state_dict(dict(state), strict=True, assign=True)
    return module.eval().requires_grad_(False)


def check_keys(wanted: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], name: str) -> None:
    """Raises `DataError` that names the first key which is missing, too many or of another shape."""
    missing = [k for k in wanted if k not in state]
    foreign = [k for k in state if k not in wanted]
    bent = [k for k in wanted if k in state and tuple(state[k].shape) != wanted[k]]
    if missing:
        raise not_those_of(name, f"{len(missing)} of {len(wanted)} tensors are missing, the first is '{missing[0]}'")
    if foreign:
        raise not_those_of(
            name, f"{len(foreign)} of {len(state)} tensors have no place in it, the first is '{foreign[0]}'"
        )
    if bent:
        raise not_those_of(name, f"'{bent[0]}' has shape {tuple(state[bent[0]].shape)}, not {wanted[bent[0]]}")


def not_those_of(name: str, reason: str) -> DataError:
    """The error of a checkpoint that is not what its name says."""
    return DataError(f"the weights are not those of {name}: {reason}; fetch them with: frugalseg models get {name}")
