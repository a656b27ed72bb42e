"""Settings are frozen pydantic models: unknown keys are errors that name the nearest key."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from frugalseg.errors import SettingsError, nearest

S = TypeVar("S", bound="Settings")


LONGEST = 80
"""Letters of a value that are shown in an error."""


class Settings(BaseModel):
    """Base of every settings model: frozen, no unknown keys, defaults checked too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def parse(model: type[S], data: Mapping[str, Any], *, where: str) -> S:
    """The validated settings; raises `SettingsError` with one sentence a problem. `where` names the source."""
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(model, e, where) for e in error.errors())) from None


def _sentence(model: type[BaseModel], error: Any, where: str) -> str:
    path = [str(p) for p in error["loc"]]
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = _keys(model, path[:-1])
        allowed = f"there are: {', '.join(known)}" if known else "there is nothing to set"
        return f"{where}: unknown key '{key}'{nearest(path[-1], known)}; {allowed}"
    if error["type"] == "missing":
        return f"{where}: the key '{key}' is missing"
    said = error["msg"].removeprefix("Value error, ")
    return f"{where}: '{key}' = {_shown(error['input'])}: {said}" if key else f"{where}: {said}"


def _shown(value: Any) -> str:
    """A value as it was given, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _keys(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        field = model.model_fields.get(part)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises `SettingsError` when it is absent, broken or not a mapping."""
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such settings file")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: must hold 'key: value' lines, but holds {type(data).__name__}")
    return data


def override(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested data with changes applied; a key ``a.b`` reaches into the mapping ``a``."""
    result = dict(data)
    for key, value in changes.items():
        *parents, last = key.split(".")
        node = result
        for parent in parents:
            child = node.get(parent)
            node[parent] = dict(child) if isinstance(child, Mapping) else {}
            node = node[parent]
        node[last] = value
    return result


def merged(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested data with the values of nested changes; what they do not name stays."""
    result = dict(data)
    for key, value in changes.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = merged(before, value)
        result[key] = value
    return result


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """``["train.fit.steps=500"]`` as changes for `override`; values are read as YAML (500, true, [1, 2], text)."""
    changes = {}
    for text in assignments:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise SettingsError(f"--set {text}: write KEY=VALUE, for example --set train.fit.steps=500")
        try:
            changes[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            problem = " ".join(str(error).split())
            raise SettingsError(f"--set {text}: the value is not valid YAML: {problem}") from None
    return changes
