"""Embeddings on disk: encoded once, read back as memory maps by any number of processes.

An embedding is one safetensors file, named by a fingerprint of everything that its values depend on. Files appear
whole or not at all, so nobody waits for anybody; only who makes room holds a lock.
"""

import json
import os
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from frugalseg.errors import SettingsError
from frugalseg.files import atomic_path, fingerprint_array, fingerprint_json, held
from frugalseg.generalists.disk import room_in
from frugalseg.generalists.frame import Frame
from frugalseg.generalists.generalist import Embedding, Generalist, GeneralistInfo, Question, View, decode_all
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.prompts import Prompts
from frugalseg.settings import Settings

FORMAT = 1
"""Counts up when pixels reach the encoders in another way, so that older embeddings are not taken for new ones."""

ADVICE = "make room (embeddings may be deleted, they are made again), or begin anew with a lower limit for them"

LEFT_BEHIND_S = 3600.0
"""Age at which a file half written is one that a killed process has left."""

Precision = Literal["float32", "float16"]


class CacheSettings(Settings):
    """How much room embeddings have, and how exactly they are kept."""

    limit_gb: float = Field(20.0, gt=0)  # 10^9 bytes
    dtype: Precision = "float32"  # float16 halves the room

    def cache(self, folder: Path, *, keeps_used: bool = False) -> "EmbeddingCache":
        """The cache in a folder."""
        return EmbeddingCache(folder, limit_gb=self.limit_gb, dtype=self.dtype, keeps_used=keeps_used)


class EmbeddingCache:
    """A folder of embeddings that never grows far beyond `limit_gb` (10^9 bytes): the least recently used make room.

    "float32" gives back every bit; "float16" halves the room and rounds each value to 11 bits. Any number of processes
    may use a folder, also with different precisions. Who goes round the same pictures again and again `keeps_used`:
    what it has used itself is not deleted by it, and what then does not fit is not kept; were the least recently used
    deleted, all would be gone again before their next turn. Raises `SettingsError` for another dtype or no room.
    """

    def __init__(self, folder: Path, *, limit_gb: float = 20.0, dtype: Precision = "float32", keeps_used: bool = False):
        if dtype not in ("float32", "float16"):
            raise SettingsError(f"embeddings are kept as float32 or float16, not as {dtype!r}")
        if not limit_gb > 0:
            raise SettingsError(f"the embeddings' limit must be above 0 GB, not {limit_gb}")
        self.folder = folder
        self.limit = int(limit_gb * 1e9)
        self.dtype = dtype
        self._unseen: int | None = None  # bytes written since the folder was last looked through
        self._used: set[Path] | None = set() if keeps_used else None
        self._is_full = False

    def key(self, info: GeneralistInfo, view: View) -> str:
        """What tells this embedding from all others: weights, their settings, pixels, window, spacing, precision."""
        return self.keys(info, [view])[0]

    def keys(self, info: GeneralistInfo, views: Sequence[View]) -> list[str]:
        """The key of each view; an array that several views look at is read once."""
        made_by = [FORMAT, self.dtype, info.fingerprint, info.settings]
        arrays = {id(view.array): view.array for view in views}
        prints = {number: fingerprint_array(array) for number, array in arrays.items()}
        return [fingerprint_json([made_by, prints[id(view.array)], *_place(view)]) for view in views]

    def holds(self, generalist: Generalist, view: View) -> bool:
        """Whether the generalist's embedding of that view lies here, whole."""
        return self._read(self._path(self.key(generalist.info, view)), generalist.info.fingerprint) is not None

    def load(self, key: str, owner: str) -> Embedding | None:
        """The embedding under a key, memory-mapped, and marks it as used; None when it is absent or damaged."""
        path = self._path(key)
        embedding = self._read(path, owner)
        if embedding is not None:
            self._note(path)
            with suppress(OSError):  # made room for meanwhile, or a folder that may only be read
                os.utime(path)
        return embedding

    def save(self, key: str, embedding: Embedding) -> Embedding:
        """Keeps an embedding where there is room, and gives it as `load` will, so that its first use equals its second.

        Raises `DiskFull`; then nothing of it is left.
        """
        from safetensors.torch import save_file

        halved = [k for k, x in enumerate(embedding.features) if self.dtype == "float16" and x.dtype == torch.float32]
        kept = [_stored(x, is_halved=k in halved) for k, x in enumerate(embedding.features)]
        text = json.dumps({"frame": asdict(embedding.frame), "halved": halved}, default=int)  # numpy's integers
        if self._is_full:
            return _embedding(text, kept, embedding.owner)
        path = self._path(key)
        self._note(path)
        with room_in(self.folder, ADVICE), atomic_path(path) as part:
            about = {"about": text, "check": str(_checksum(text, kept))}
            save_file({str(k): x for k, x in enumerate(kept)}, part, metadata=about)
        if self._unseen is not None:
            self._unseen += sum(x.nbytes for x in kept)
        return self._read(path, embedding.owner) or _embedding(text, kept, embedding.owner)

    def make_room(self, *, spare: Iterable[str] = ()) -> None:
        """Deletes the least recently used embeddings where there are too many, but none of those in `spare`.

        Looks the folder through only when a twentieth of the limit was written since the last time, and then deletes
        a tenth of it.
        """
        if self._unseen is not None and self._unseen <= self.limit // 20:
            return
        with held(self.folder) as is_ours:
            if is_ours:
                spared = {self._path(key) for key in spare} | (self._used or set())
                needed = _delete_oldest(self.folder, self.limit, spared)
                self._is_full = self._used is not None and needed + self.limit // 20 > self.limit
                self._unseen = 0

    def _note(self, path: Path) -> None:
        if self._used is not None:
            self._used.add(path)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def _read(self, path: Path, owner: str) -> Embedding | None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                kept = [file.get_tensor(str(k)) for k in range(len(file.keys()))]
            if int(about["check"]) != _checksum(about["about"], kept):
                return None
        except (OSError, SafetensorError, KeyError, ValueError):  # absent, cut off, or no embedding
            return None
        except RuntimeError:  # torch's word for a file that was deleted between its header and its maps
            return None
        return _embedding(about["about"], kept, owner)


class Cached:
    """A generalist that looks into a cache before it encodes; to everyone else it is the generalist itself."""

    def __init__(self, generalist: Generalist, cache: EmbeddingCache):
        self.generalist = generalist
        self.cache = cache

    @property
    def info(self) -> GeneralistInfo:
        """The generalist's own."""
        return self.generalist.info

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """The embedding of each view; those that are missing go through the encoder in one call, each once.

        Raises `DiskFull` when one cannot be kept.
        """
        return [embedding for embedding, _ in self.embedded(views)]

    def embedded(self, views: Sequence[View]) -> list[tuple[Embedding, bool]]:
        """The same, and whether each had to go through the encoder."""
        keys = self.cache.keys(self.info, views)
        by_key = dict(zip(keys, views, strict=True))
        found = {key: self.cache.load(key, self.info.fingerprint) for key in by_key}
        missing = [key for key, embedding in found.items() if embedding is None]
        if missing:
            fresh = self.generalist.embed([by_key[key] for key in missing])
            for key, new in zip(missing, fresh, strict=True):
                found[key] = self.cache.save(key, new)
                self.cache.make_room(spare=keys)
        return [(embedding, key in missing) for key in keys if (embedding := found[key]) is not None]

    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """The generalist's own answer."""
        return self.generalist.decode(embedding, prompts, features=features)

    def decode_many(self, questions: Sequence[Question]) -> list[Masks]:
        """The generalist's own answers."""
        return decode_all(self.generalist, questions)


def _place(view: View) -> list[Any]:
    """Window, spacing and limits of the side as plain numbers; the whole picture is a window too."""
    window = [int(x) for x in view.window or (0, 0, *view.size)]
    return [window, [float(x) for x in view.spacing], int(view.least_side), view.most_side]


def _stored(x: Tensor, *, is_halved: bool) -> Tensor:
    """A map as it is kept; halves saturate instead of becoming infinite."""
    x = x.detach().cpu()
    if is_halved:
        most = torch.finfo(torch.float16).max
        x = x.clamp(-most, most).half()
    return x.clone(memory_format=torch.contiguous_format)  # no two maps share memory, which safetensors refuses


def _checksum(about: str, maps: Iterable[Tensor]) -> int:
    check = zlib.crc32(about.encode())
    for x in maps:
        check = zlib.crc32(x.reshape(-1).view(torch.uint8).numpy().data, check)
    return check


def _embedding(about: str, kept: Sequence[Tensor], owner: str) -> Embedding:
    said = json.loads(about)
    frame = said["frame"]
    where = Frame(tuple(frame["size"]), tuple(frame["window"]), tuple(frame["content"]), frame["side"])
    return Embedding(tuple(x.float() if k in said["halved"] else x for k, x in enumerate(kept)), where, owner)


class _File(NamedTuple):
    used: float
    path: Path
    size: int


def _delete_oldest(folder: Path, limit: int, spared: set[Path]) -> int:
    """Where there is more than the limit, deletes the least recently used files until nine tenths of it are left.

    Returns the bytes of those that were spared.
    """
    files = sorted(_files(folder))
    size = sum(file.size for file in files)
    aim = size if size <= limit else limit * 9 // 10
    for file in files:
        is_part = file.path.name.startswith(".part-")
        is_left_behind = is_part and time.time() - file.used > LEFT_BEHIND_S
        if is_left_behind or (size > aim and not is_part and file.path not in spared):
            with suppress(OSError):  # another program holds it, or has deleted it
                file.path.unlink()
                size -= file.size
    return sum(file.size for file in files if file.path in spared)


def _files(folder: Path) -> Iterable[_File]:
    for path in folder.glob("??/*.safetensors"):
        with suppress(FileNotFoundError):
            stat = path.stat()
            yield _File(stat.st_mtime, path, stat.st_size)
