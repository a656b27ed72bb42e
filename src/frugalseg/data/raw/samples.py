"""What is found in a raw data set, and how it is written: the `folder` layout with its index and its lists."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from frugalseg.errors import DataError
from frugalseg.files import write_bytes, write_json

NOTE = "prepared.json"
"""Says what a folder was prepared from, so that a stopped preparation goes on and nothing else is written over."""

Part = Literal["train", "val", "test", ""]

Write = Callable[[Path], None]
"""Reads what a file is made of and writes the whole file."""


@dataclass(frozen=True)
class Sample:
    """One case of a raw data set: its row in the index beside the id, its published part, and its files.

    `files` are path below OUT -> what writes it. Nothing of the images has been read yet.
    """

    id: str
    row: Mapping[str, str]
    part: Part
    files: Mapping[str, Write]


@dataclass(frozen=True)
class RawSet:
    """All samples of a data set, and the options with which the `folder` layout opens what is written."""

    samples: tuple[Sample, ...]
    options: Mapping[str, str]

    def spec(self, out: Path) -> str:
        """The line of text that opens OUT."""
        split = {"split": str(out / "split")} if any(s.part for s in self.samples) else {}
        return ",".join(f"{k}={v}" for k, v in {"folder": str(out), **self.options, **split}.items())


@dataclass(frozen=True)
class Prepared:
    """How far a preparation is: the case that was written last, and the line of text that will open the data."""

    case: str
    done: int
    total: int
    spec: str


def write_samples(found: RawSet, out: Path, about: Mapping[str, Any]) -> Iterator[Prepared]:
    """Writes every file that is not there yet, the index and the lists of the parts at the end; yields a record a case.

    Raises `DataError` at once for a folder that holds anything but the same preparation.
    """
    _begin(out, about)
    return _written(found, out)


def _written(found: RawSet, out: Path) -> Iterator[Prepared]:
    for done, sample in enumerate(found.samples, 1):
        for name, write in sample.files.items():
            if not (out / name).exists():
                write(out / name)
        if done == len(found.samples):
            _write_index(found, out)
        yield Prepared(sample.id, done, len(found.samples), found.spec(out))


def _begin(out: Path, about: Mapping[str, Any]) -> None:
    note = out / NOTE
    if note.is_file() and note.read_text(encoding="utf-8") == json.dumps(about, indent=1) + "\n":
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is not empty and holds no beginning of this preparation; name a new folder")
    write_json(note, about)


def _write_index(found: RawSet, out: Path) -> None:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for sample in found.samples for key in sample.row))
    rows = csv.DictWriter(text, ["id", *columns], restval="", lineterminator="\n")
    rows.writeheader()
    rows.writerows({"id": sample.id, **sample.row} for sample in found.samples)
    write_bytes(out / "index.csv", text.getvalue().encode())
    for part in ("train", "val", "test"):
        ids = [sample.id for sample in found.samples if sample.part == part]
        if ids:
            write_bytes(out / "split" / f"{part}.list", "".join(f"{i}\n" for i in ids).encode())
