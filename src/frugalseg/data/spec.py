"""Data in one line of text: ``LAYOUT=DIR,option=value`` or ``phantom=KIND,n=40,seed=0,shape=48x48x40``."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from frugalseg.data.layouts import LAYOUTS, open_pool
from frugalseg.data.pool import Pool
from frugalseg.data.splits import Split, cases_named, check_split, read_split, split_cases
from frugalseg.errors import SettingsError, lookup
from frugalseg.settings import Settings, parse

PHANTOM = "phantom"


class DataSpec(Settings):
    """Which layout, where, with which options."""

    layout: str
    place: str  # a folder, or the kind of a phantom
    options: Mapping[str, str] = {}
    split: Path | None = None  # list files that say which cases train, validate and test, for `read_split`

    @property
    def text(self) -> str:
        """The spec as text that means the same in every working directory."""
        place = self.place if self.layout == PHANTOM else str(Path(self.place).absolute())
        options = {**self.options, **({"split": str(self.split.absolute())} if self.split else {})}
        return ",".join(f"{key}={value}" for key, value in {self.layout: place, **options}.items())


class PhantomOptions(Settings):
    """Options after phantom=KIND."""

    n: int = Field(40, ge=1)
    seed: int = 0
    shape: tuple[int, ...] | None = None

    @field_validator("shape", mode="before")
    @classmethod
    def _by_x(cls, value: Any) -> Any:
        return tuple(value.split("x")) if isinstance(value, str) else value


def parse_data_spec(text: str) -> DataSpec:
    """The spec in a text; ``$NAME`` and ``${NAME}`` stand for environment variables. Raises `SettingsError`."""
    parts = [part.partition("=") for part in _expanded(text).split(",")]
    if any(not sign or not value for _, sign, value in parts):
        raise SettingsError(f"data '{text}': write LAYOUT=DIR,option=value, for example folder=scans,classes=1+2")
    (layout, _, place), *options = parts
    known: dict[str, type[Settings]] = {name: entry.options for name, entry in LAYOUTS.items()}
    known[PHANTOM] = PhantomOptions
    given = {key: value for key, _, value in options}
    split = given.pop("split", None)
    parse(lookup(known, layout, "layout"), given, where=f"options of {layout}={place}")
    return DataSpec(layout=layout, place=place, options=given, split=Path(split) if split else None)


def open_data(
    spec: DataSpec, *, labels_are: Literal["drawn", "truth"] = "drawn", unreadable: dict[str, str] | None = None
) -> Pool:
    """The pool of a spec, as `open_pool` gives it; a phantom's complete labels are always hidden truth.

    Raises `DataError` and `SettingsError`.
    """
    if spec.layout == PHANTOM:
        from frugalseg.data.phantoms import phantom_pool

        chosen = parse(PhantomOptions, spec.options, where=f"options of phantom '{spec.place}'")
        return phantom_pool(spec.place, n=chosen.n, seed=chosen.seed, shape=chosen.shape)
    folder = Path(spec.place)
    return open_pool(folder, spec.layout, labels_are=labels_are, options=spec.options, unreadable=unreadable)


def split_data(pool: Pool, *, file: Path | None = None, seed: int = 0, validation: float = 0, test: float = 0) -> Split:
    """The split that list files say, or a seeded one of the numbers; either way checked. Raises `DataError`."""
    if file:
        split = cases_named(read_split(file), pool.cases)
    else:
        split = split_cases(pool.cases, seed=seed, validation=validation, test=test)
    check_split(split, pool.cases)
    return split


def _expanded(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise SettingsError(f"data '{text}': the environment variable {name} is not set")
        return os.environ[name]

    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, text)
