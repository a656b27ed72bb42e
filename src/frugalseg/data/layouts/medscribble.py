"""MedScribble (Wong et al., ScribblePrompt, ECCV 2024): 2D images with the strokes of three people, in npz files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frugalseg.data.formats import read_geometry, read_values
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.layouts.found import Found, listed
from frugalseg.errors import DataError
from frugalseg.settings import Settings

CLASSES = ("background", "object")


class MedscribbleOptions(Settings):
    """Options of `medscribble`: none so far."""


@dataclass(frozen=True)
class SoftFile:
    """The key `label` (H, W) of a file, from 0 to 1: above one half lies the object."""

    path: Path

    def geometry(self) -> Geometry:
        """Where the label lies."""
        return read_geometry(self.path, key="label")

    def read(self) -> SemanticLabel:
        """The label."""
        values, _ = read_values(self.path, key="label")
        return SemanticLabel((values > 0.5).astype(np.uint8), CLASSES)


@dataclass(frozen=True)
class StrokesFile:
    """What one person has drawn: the key `scribbles` (people, 2, H, W), strokes on the object and strokes beside it.

    Strokes have soft edges; half strength counts.
    """

    path: Path
    person: int

    def geometry(self) -> Geometry:
        """Where the strokes lie."""
        return read_geometry(self.path, key="image")

    def read(self) -> SemanticLabel:
        """The strokes; unknown elsewhere and where both kinds lie."""
        strokes = _strokes(self.path)
        if strokes.ndim != 4 or strokes.shape[1] != 2:
            raise DataError(f"{self.path}: 'scribbles' has shape {strokes.shape}, not (people, 2, rows, columns)")
        on, beside = strokes[self.person] > 0.5
        array = np.where(on & ~beside, 1, np.where(beside & ~on, 0, UNKNOWN))
        return SemanticLabel(array.astype(np.uint8), CLASSES)


def open_medscribble(root: Path, _options: MedscribbleOptions) -> Found:
    """CASE.npz in the folder; complete labels by "expert", strokes by "person1", "person2", ..."""
    files = {f.stem: f for f in sorted(root.glob("*.npz"))}
    if not files:
        raise DataError(f"{root}: there is no npz file in it; medscribble expects CASE.npz with its three arrays")
    return Found(
        tuple(listed(name, (f,), key="image") for name, f in files.items()),
        CLASSES,
        {name: {"expert": SoftFile(f)} for name, f in files.items()},
        {name: {f"person{k + 1}": StrokesFile(f, k) for k in range(len(_strokes(f)))} for name, f in files.items()},
    )


def _strokes(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        if "scribbles" not in arrays:
            raise DataError(f"{path}: holds {', '.join(arrays)}, but no 'scribbles'")
        return np.asarray(arrays["scribbles"])
