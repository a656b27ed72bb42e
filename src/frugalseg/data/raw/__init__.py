"""Data sets as they are published, brought into the `folder` layout: one data set a file, one line in the registry."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugalseg.data.raw.acdc import AcdcOptions, find_acdc
from frugalseg.data.raw.chaos import ChaosOptions, find_chaos
from frugalseg.data.raw.davis import DavisOptions, find_davis
from frugalseg.data.raw.mscmr import MscmrOptions, find_mscmr
from frugalseg.data.raw.samples import Prepared, RawSet, write_samples
from frugalseg.errors import DataError, lookup
from frugalseg.settings import Settings, parse


@dataclass(frozen=True)
class Raw:
    """One line of the registry. `find(folder, options)` takes options of the entry's own type."""

    find: Callable[[Path, Any], RawSet]
    options: type[Settings]


RAW: Mapping[str, Raw] = {
    "acdc": Raw(find_acdc, AcdcOptions),
    "chaos": Raw(find_chaos, ChaosOptions),
    "mscmr": Raw(find_mscmr, MscmrOptions),
    "davis": Raw(find_davis, DavisOptions),
}


def prepare(
    name: str, source: str | Path, out: str | Path, *, options: Mapping[str, Any] | None = None
) -> Iterator[Prepared]:
    """Writes a published data set as images/, labels/, scribbles/, index.csv and split/; yields a record a case.

    Nothing is written before all of SOURCE has been looked through. A preparation that was stopped goes on where it
    was. Raises `DataError` that names what is missing or not as published, and for a folder OUT that holds anything
    else.
    """
    entry = lookup(RAW, name, "data set")
    root, target = Path(source), Path(out)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder")
    chosen = parse(entry.options, options or {}, where=f"options of '{name}'")
    about = {"data": name, "source": str(root.absolute()), "options": chosen.model_dump(mode="json")}
    return write_samples(entry.find(root, chosen), target, about)
