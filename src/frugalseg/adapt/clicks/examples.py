"""The examples of the click adapter: encoded once, kept in memory-mapped arrays, read a batch at a time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frugalseg.adapt.clicks.sources import MOST, SMALLEST, Example, Source
from frugalseg.errors import SettingsError
from frugalseg.files import fingerprint_json, write_json
from frugalseg.generalists.sam import SamGeneralist
from frugalseg.seeds import stream

CHUNK = 64
"""Examples that are encoded and written together; a kill costs at most one chunk."""


@dataclass(frozen=True)
class Examples:
    """Encoded examples of one input side, on disk: tokens, pixels and the masks of up to 12 objects each."""

    folder: Path
    side: int
    n: int

    def tokens(self, index: int) -> Tensor:
        """The image tokens (256, g, g) float32."""
        return torch.from_numpy(self._array("tokens")[index].astype(np.float32))

    def pixels(self, index: int) -> np.ndarray:
        """The scaled pixels (3, S, S) float32, 0 to 1."""
        return np.asarray(self._array("pixels")[index], np.float32) / 255

    def masks(self, index: int) -> np.ndarray:
        """The masks (N, S, S) of its objects, at least one."""
        packed = self._array("masks")[index]
        masks = np.unpackbits(packed, axis=-1).astype(bool)
        return np.asarray(masks[masks.any((1, 2))])

    def _array(self, name: str) -> np.ndarray:
        array: np.ndarray = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return array


def encode_examples(source: Source, generalist: SamGeneralist, *, n: int, folder: Path, seed: int) -> Iterator[int]:
    """Makes and encodes `n` examples and yields how many there are after each chunk; goes on where it was.

    Example i depends on (seed, i) only. Raises `SettingsError` when the folder holds examples of another source,
    other weights or another number.
    """
    (side,) = generalist.sides
    identity = fingerprint_json([source.fingerprint, generalist.info.fingerprint, n, seed, side])
    done = _begin(folder, side, n, identity)
    while done < n:
        chunk = [_example(source, seed, side, k) for k in range(done, min(done + CHUNK, n))]
        _write(folder, done, chunk, generalist)
        done += len(chunk)
        write_json(folder / "done.json", {"done": done, "identity": identity})
        yield done


def open_examples(folder: Path) -> Examples:
    """The examples of a folder that `encode_examples` has filled."""
    shape = np.load(folder / "pixels.npy", mmap_mode="r").shape
    return Examples(folder, shape[-1], shape[0])


def _begin(folder: Path, side: int, n: int, identity: str) -> int:
    state = folder / "done.json"
    if state.exists():
        known = json.loads(state.read_text(encoding="utf-8"))
        if known["identity"] != identity:
            raise SettingsError(f"{folder} holds examples of other settings: give another folder or remove it")
        return int(known["done"])
    folder.mkdir(parents=True, exist_ok=True)
    grid = side // 4
    for name, dtype, shape in (
        ("tokens", np.float16, (n, 256, grid, grid)),
        ("pixels", np.uint8, (n, 3, side, side)),
        ("masks", np.uint8, (n, MOST, side, side // 8)),
    ):
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
    return 0


def _example(source: Source, seed: int, side: int, k: int) -> Example:
    """The k-th example; a picture without an object large enough is drawn anew."""
    for attempt in range(100):
        example = source.make(side, stream(seed, "click example", source.name, side, k, attempt))
        if example is not None:
            return example
    raise SettingsError(f"{source.name}: no object of at least {SMALLEST} pixels was found at {side} px in 100 tries")


def _write(folder: Path, first: int, chunk: Sequence[Example], generalist: SamGeneralist) -> None:
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in ("tokens", "pixels", "masks")}
    with torch.autocast("cpu", torch.bfloat16):  # half the time; the adapter sees 4 % of noise on its tokens
        embeddings = generalist.embed([example.view for example in chunk])
    for k, (example, embedding) in enumerate(zip(chunk, embeddings, strict=True), first):
        arrays["tokens"][k] = embedding.features[0].float().numpy().astype(np.float16)
        arrays["pixels"][k] = np.rint(generalist.pixels(example.view, embedding.frame).numpy() * 255)
        packed = np.packbits(np.stack(example.masks), axis=-1)
        arrays["masks"][k, : len(packed)] = packed
    for array in arrays.values():
        array.flush()
