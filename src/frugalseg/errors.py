"""Every error a user can cause. The command line shows the message in one line and exits with code 2."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class FrugalsegError(ValueError):
    """Something the user gave is wrong; the message says what, where, and what to do."""


class DataError(FrugalsegError):
    """A file or folder cannot be used as it is."""


class GeometryMismatch(DataError):
    """An image and its label do not share shape, spacing or orientation."""


class LabelValueError(DataError):
    """A label holds values that its classes do not explain."""


class SettingsError(FrugalsegError):
    """A settings file or option has an unknown key or a value out of range."""


class WeightsError(FrugalsegError):
    """The published weights of a generalist are absent, cannot be fetched, or are not what they should be."""


class DiskFull(FrugalsegError):
    """There is no room left for a file; what was being written is not there."""


class TrainingDiverged(RuntimeError):
    """A loss or a gradient is not finite any more. Not the fault of one input, so not a `FrugalsegError`."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint `` (did you mean 'x'?)`` for a misspelt name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def lookup(registry: Mapping[str, T], name: str, what: str) -> T:
    """The registry's entry of that name; raises `SettingsError` that lists the names otherwise."""
    if name not in registry:
        names = ", ".join(sorted(registry))
        raise SettingsError(f"unknown {what} '{name}'{nearest(name, registry)}; there are: {names}")
    return registry[name]
