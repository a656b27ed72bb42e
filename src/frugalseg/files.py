"""Files that are whole or absent, and fingerprints of what is in them."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` (same suffixes) that becomes `path` when the block ends without an error.

    The file is flushed to the disk before it is renamed, so a crash leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix="-" + path.name, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file atomically."""
    with atomic_path(path) as part:
        part.write_bytes(data)


def write_json(path: Path, data: Any) -> None:
    """Writes JSON atomically, keys in the order given."""
    write_bytes(path, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode())


@contextmanager
def held(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """True while this process holds the folder, False when another one does; the lock ends with the process.

    With `wait` the block begins as soon as no other process holds it, and is always told True.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def fingerprint_file(path: Path) -> str:
    """The first 16 hex digits of the file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def fingerprint_array(array: np.ndarray) -> str:
    """The first 16 hex digits of the SHA-256 of dtype, shape and content."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def fingerprint_json(data: Any) -> str:
    """The first 16 hex digits of the SHA-256 of the canonical JSON text."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
