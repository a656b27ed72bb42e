"""File names for case ids and raters: safe on every file system, and reversible."""

from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote, unquote

from frugalseg.errors import DataError

LONGEST = 200
"""Characters of a file name without its suffix; file systems allow 255 bytes with suffix and temporary prefix."""

_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


def to_stem(name: str) -> str:
    """A file name without suffix for any text: letters, digits and ``_-.~`` stay, the rest is percent-encoded.

    `from_stem` gives the text back. Raises `DataError` for an empty text and for one that is too long.
    """
    stem = quote(name, safe="")
    if stem.startswith((".", "~")) or stem.split(".")[0].upper() in _RESERVED:
        stem = _encode(stem[0]) + stem[1:]
    if stem.endswith("."):
        stem = stem[:-1] + _encode(".")
    if not 0 < len(stem) <= LONGEST:
        raise DataError(f"'{name[:60]}' cannot be a file name: it needs 1 to {LONGEST} plain characters; rename it")
    return stem


def from_stem(stem: str) -> str:
    """The text that `to_stem` was given."""
    return unquote(stem)


def to_stems(names: Iterable[str]) -> dict[str, str]:
    """A file name for each of these texts; those that differ in capitals only get names that do not."""
    stems = {name: to_stem(name) for name in names}
    folded = Counter(stem.casefold() for stem in stems.values())
    return {n: _without_capitals(n) if folded[s.casefold()] > 1 else s for n, s in stems.items()}


def _without_capitals(name: str) -> str:
    return "".join(_encode(c) if c.isascii() and c.isupper() else to_stem(c) for c in name)


def _encode(character: str) -> str:
    return f"%{ord(character):02X}"
