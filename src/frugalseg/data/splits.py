"""Which cases train, which validate, which test. A group (patient, specimen, video) is never cut."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugalseg.data.case import Case
from frugalseg.data.formats import stem_of
from frugalseg.errors import DataError, SettingsError, nearest
from frugalseg.seeds import stream

_NAMES = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
_SUFFIXES = (".list", ".txt")


@dataclass(frozen=True)
class Split:
    """Ids of the cases of each part. Together they need not name every case of a pool."""

    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The three parts by name: train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def split_cases(cases: Iterable[Case], *, seed: int, validation: float = 0, test: float = 0) -> Split:
    """A split of all cases that depends on their ids, their groups and the seed, not on their order.

    `validation` and `test` are fractions of the cases below 1 and numbers of cases from 1 on. Whole groups are taken
    in a seeded order as long as each brings the number nearer; at least one group where anything was asked for. The
    test cases do not depend on `validation`. Raises `SettingsError` when nothing would be left for training.
    """
    groups = _grouped(cases)
    n_cases = sum(map(len, groups.values()))
    order = _shuffled(groups, seed)
    wanted = {"test": _count(test, n_cases, "test"), "validation": _count(validation, n_cases, "validation")}
    taken: dict[str, list[str]] = {}
    for part, target in wanted.items():
        names = _take({name: len(groups[name]) for name in order}, target)
        taken[part] = [case for name in names for case in groups[name]]
        order = [name for name in order if name not in names]
    train = [case for name in order for case in groups[name]]
    if not train:
        raise SettingsError(
            f"{wanted['validation']} validation and {wanted['test']} test cases leave no group to train with: there "
            f"are {n_cases} cases in {len(groups)} groups, which are never cut; ask for fewer"
        )
    return Split(*(tuple(sorted(ids)) for ids in (train, taken["validation"], taken["test"])))


def split_folds(cases: Iterable[Case], *, seed: int, n: int) -> list[Split]:
    """`n` splits for cross-validation: every case is tested exactly once and trains in the others.

    The groups go largest first, those of equal size in a seeded order, to the fold with the fewest cases. Raises
    `SettingsError` when `n` is not between 2 and the number of groups.
    """
    groups = _grouped(cases)
    if not 2 <= n <= len(groups):
        raise SettingsError(f"{n} folds cannot be made of {len(groups)} groups: choose between 2 and {len(groups)}")
    folds: list[list[str]] = [[] for _ in range(n)]
    for name in sorted(_shuffled(groups, seed), key=lambda g: -len(groups[g])):
        min(folds, key=len).extend(groups[name])
    everything = {case for ids in groups.values() for case in ids}
    return [Split(tuple(sorted(everything.difference(fold))), test=tuple(sorted(fold))) for fold in folds]


def cases_named(split: Split, cases: Iterable[Case]) -> Split:
    """The split with each name as the cases it stands for, since papers list files, volumes, videos and patients.

    A name is an id, else a file whose name without suffix is an id (``slices/p1_slice_1.h5``), else a volume or video
    of which 2D cases are parts, else a group. A name that is none of these stays, for `check_split` to say so.
    """
    listed = sorted(cases, key=lambda c: c.id)
    known: dict[str, list[str]] = {}
    for case in listed:
        known.setdefault(case.group, []).append(case.id)
    for volume in {case.place.volume for case in listed if case.place}:
        known[volume] = [c.id for c in listed if c.place and c.place.volume == volume]
    known |= {case.id: [case.id] for case in listed}

    def ids(names: Iterable[str]) -> tuple[str, ...]:
        stems = (name if name in known else stem_of(Path(name)) for name in names)
        found = (known.get(stem, [name]) for name, stem in zip(names, stems, strict=True))
        return tuple(case for cases in found for case in cases)

    return Split(*(ids(names) for names in split.parts.values()))


def check_split(split: Split, cases: Iterable[Case]) -> None:
    """Raises `DataError` when an id is unknown or named twice, and when a group lies in more than one part."""
    for problem, remedy in split_problems(split, cases):
        raise DataError(f"{problem}; {remedy}")


def split_problems(split: Split, cases: Iterable[Case]) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with a split, each with its remedy: unknown ids, ids named twice, groups that are cut."""
    group_of = {case.id: case.group for case in cases}
    for case, parts in _parts_of(split, {case: case for ids in split.parts.values() for case in ids}).items():
        if case not in group_of:
            yield f"the split's {parts[0]} part names '{case}', which is no case{nearest(case, group_of)}", "correct it"
        elif len(parts) > 1:
            yield f"the split names case '{case}' more than once, in {' and in '.join(parts)}", "name it once"
    for group, parts in _parts_of(split, group_of).items():
        if len(set(parts)) > 1:
            problem = f"group '{group}' is cut: it has cases in {' and in '.join(dict.fromkeys(parts))}"
            yield problem, "put all of its cases into one part, else one measures on what was trained"


def read_split(path: Path, *, fold: int = 0) -> Split:
    """The split of list files as the papers ship them.

    A json file holds ``{"train": [...], "val" or "validation": [...], "test": [...]}``, or is nnU-Net's
    ``splits_final.json``, of which `fold` is taken. A folder holds ``train.list`` or ``train.txt``, and the
    same for ``val`` and ``test``: one id a line, text after a comma is dropped. Raises `DataError`.
    """
    if path.is_dir():
        return Split(**{part: _read_list(path, names) for part, names in _NAMES.items()})
    if path.suffix != ".json":
        raise DataError(f"{path}: a split is a .json file, or a folder with train.list or train.txt, and there is none")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a split: {error}") from None
    if isinstance(data, list) and data:
        if not 0 <= fold < len(data):
            raise DataError(f"{path}: there is no fold {fold}; choose between 0 and {len(data) - 1}")
        data = data[fold]
    return _from_json(data, path)


def _from_json(data: Any, path: Path) -> Split:
    known = [name for names in _NAMES.values() for name in names]
    if not isinstance(data, dict) or "train" not in data or set(data) - set(known):
        raise DataError(f"{path}: a split is a mapping with 'train' and any of {known[1:]}, or a list of such folds")
    for name, ids in data.items():
        if not isinstance(ids, list) or not all(isinstance(case, str) for case in ids):
            raise DataError(f"{path}: '{name}' must be a list of case ids in quotes")
    parts = {part: [data[name] for name in names if name in data] for part, names in _NAMES.items()}
    if len(parts["validation"]) > 1:
        raise DataError(f"{path}: has both 'val' and 'validation'; keep one of them")
    return Split(**{part: tuple(_clean(found[0])) if found else () for part, found in parts.items()})


def _read_list(folder: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    candidates = [folder / (name + suffix) for name in names for suffix in _SUFFIXES]
    files = [file for file in candidates if file.is_file()]
    if len(files) > 1:
        raise DataError(f"{folder}: holds {files[0].name} and {files[1].name}, which say the same part; keep one")
    if not files and "train" in names:
        raise DataError(f"{folder}: holds neither train.list nor train.txt, so it is no split")
    return tuple(_clean(files[0].read_text(encoding="utf-8").splitlines())) if files else ()


def _clean(lines: Iterable[str]) -> list[str]:
    ids = [line.partition(",")[0].strip() for line in lines]
    return [case for case in ids if case]


def _grouped(cases: Iterable[Case]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for case in sorted(cases, key=lambda c: c.id):
        groups.setdefault(case.group, []).append(case.id)
    return groups


def _shuffled(groups: Iterable[str], seed: int) -> list[str]:
    names = sorted(groups)
    return [names[i] for i in stream(seed, "split").permutation(len(names))]


def _count(wanted: float, n_cases: int, what: str) -> int:
    if not math.isfinite(wanted) or wanted < 0 or (wanted >= 1 and wanted != int(wanted)):
        raise SettingsError(f"{what}={wanted:g} must be a fraction from 0 to below 1, or a whole number of cases")
    return int(wanted) if wanted >= 1 or wanted == 0 else max(1, round(wanted * n_cases))


def _take(sizes: dict[str, int], target: int) -> list[str]:
    """Names of groups, in their order, whose sizes sum up to nearly the target; at least one for a target above 0."""
    taken: list[str] = []
    left = target
    for name, size in sizes.items():
        if abs(left - size) < abs(left):
            taken.append(name)
            left -= size
    return taken or ([min(sizes, key=sizes.__getitem__)] if target and sizes else [])


def _parts_of(split: Split, name_of: Mapping[str, str]) -> dict[str, list[str]]:
    """For each name (of a case or a group) the part of each case that has it."""
    found: dict[str, list[str]] = {}
    for part, ids in split.parts.items():
        for case in ids:
            if case in name_of:
                found.setdefault(name_of[case], []).append(part)
    return found
