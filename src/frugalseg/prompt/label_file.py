"""The file of one case's pseudo-label: what was asked, what each view says, and the label made of it, as npz."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from frugalseg.errors import DataError
from frugalseg.files import atomic_path
from frugalseg.generalists.prompts import Prompts
from frugalseg.prompt.fusion import PseudoLabel, Votes
from frugalseg.prompt.slices import NOTHING, Asked
from frugalseg.prompt.views import Place

LOGIT = np.float32(8)
"""Size of the logits of a rough mask, which is kept as one bit a pixel."""


@dataclass(frozen=True, eq=False)
class LabelState:
    """A case's pseudo-label at a step of a training, and all that the next refresh needs.

    `key` tells everything but the belief that it depends on. `said` is the label of the views alone, `classes` are what
    was asked for in each voxel when it was made, `expert` is what had been drawn.
    """

    key: str
    asked: Mapping[Place, Asked]
    votes: Votes
    said: PseudoLabel
    classes: np.ndarray
    expert: np.ndarray


def case_folder(case: str) -> str:
    """The name of a case's folder among the labels of a training."""
    return quote(case, safe="").replace(".", "%2E")


def write_state(path: Path, state: LabelState) -> None:
    """Writes the file atomically; equal states give equal bytes."""
    about = {"key": state.key, "shape": state.expert.shape, "claims": state.votes.claims.shape[:2]}
    arrays = {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "label": state.said.label,
        "weight": state.said.weight,
        "classes": state.classes,
        "expert": state.expert,
        "claims": np.packbits(state.votes.claims),
        "silent": np.packbits(state.votes.silent),
        **_packed({place: asked for place, asked in state.asked.items() if len(asked)}),
    }
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_state(path: Path) -> LabelState:
    """The state in a file; raises `DataError` when it is damaged."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return _state({name: arrays[name] for name in arrays.files})
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise DataError(f"{path}: damaged pseudo-label ({error}); delete it, the next refresh makes it anew") from None


def state_files(folder: Path) -> list[Path]:
    """The states in a case's folder, the oldest first; each is named by its step."""
    return sorted(folder.glob("[0-9]*.npz"))


def newest_state(folder: Path, step: int | None) -> LabelState | None:
    """The newest state in a case's folder that is not newer than a step."""
    files = [file for file in state_files(folder) if step is None or int(file.stem) <= step]
    return read_state(files[-1]) if files else None


def _state(arrays: Mapping[str, np.ndarray]) -> LabelState:
    about = json.loads(arrays["about"].tobytes())
    shape, (n_views, n_objects) = tuple(about["shape"]), about["claims"]
    votes = Votes(
        _bits(arrays["claims"], (n_views, n_objects, *shape)),
        _bits(arrays["silent"], (n_views, *shape)),
    )
    said = PseudoLabel(arrays["label"], arrays["weight"])
    return LabelState(about["key"], dict(_unpacked(arrays, shape)), votes, said, arrays["classes"], arrays["expert"])


def _packed(asked: Mapping[Place, Asked]) -> dict[str, np.ndarray]:
    """All prompts behind each other; rough masks, whose size depends on the axis, as the bits of each slice."""
    joined = Prompts.join(replace(a.prompts, masks=None) for a in asked.values())
    masks = [np.packbits(a.prompts.masks > 0) for a in asked.values() if a.prompts.masks is not None]
    return {
        "places": np.array(list(asked), np.int32).reshape(-1, 2),
        "counts": np.array([len(a) for a in asked.values()], np.int32),
        "values": np.concatenate([NOTHING.classes, *(a.classes for a in asked.values())]),
        "boxes": NOTHING.boxes if joined.boxes is None else joined.boxes,
        "points": joined.points,
        "point_labels": joined.labels,
        "masks": np.concatenate([np.zeros(0, np.uint8), *masks]),
    }


def _unpacked(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Iterator[tuple[Place, Asked]]:
    joined = Prompts(arrays["points"], arrays["point_labels"], arrays["boxes"])
    row = byte = 0
    for (axis, index), n in zip(arrays["places"].tolist(), arrays["counts"].tolist(), strict=True):
        rows = slice(row, row + n)
        prompts = joined[rows]
        if len(arrays["masks"]):
            size = (n, *(s for a, s in enumerate(shape) if a != axis))
            n_bytes = -(-int(np.prod(size)) // 8)
            masks = _bits(arrays["masks"][byte : byte + n_bytes], size)
            prompts = replace(prompts, masks=np.where(masks, LOGIT, -LOGIT))
            byte += n_bytes
        yield (axis, index), Asked(prompts, arrays["values"][rows])
        row += n


def _bits(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(bool)
