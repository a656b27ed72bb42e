"""Cross labels of the LA family: of a complete label only three planes are kept, as if nobody had drawn the rest.

Source: GM-ABS, `dataloaders/cross_labeling.py`: one plane across each axis, through the middle of the bounding box of
the object. Such planes know the truth; a person, or a strategy, has to place them without it, so where they lie may be
said instead.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frugalseg.data.label import SemanticLabel
from frugalseg.data.layouts.h5 import LA, la_files
from frugalseg.data.sources import SemanticFile
from frugalseg.data.unit import Unit
from frugalseg.errors import DataError
from frugalseg.files import atomic_path

Planes = tuple[int, int, int]
"""The index of one plane across axis 0, 1 and 2."""


@dataclass(frozen=True)
class CrossLabelled:
    """A file that has got a cross label: its drawn planes across axis 0, 1 and 2, and how many voxels they hold."""

    path: Path
    planes: Planes
    n_known: int
    n_voxels: int

    @property
    def n_planes(self) -> int:
        """What the label costs, in planes: three."""
        return len(self.planes)


def middle_planes(label: SemanticLabel) -> Planes | None:
    """The middle of the bounding box of a volume's foreground, rounded down; None where it has no foreground."""
    where = np.argwhere((label.array > 0) & label.known)
    if len(where) == 0:
        return None
    i, j, k = ((where.min(0) + where.max(0)) // 2).tolist()
    return i, j, k


def write_cross_label(
    source: str | Path, target: str | Path, *, planes: Planes | None = None, replace: bool = False
) -> CrossLabelled:
    """Copies an LA file with `cross_label` and `labeled_slice_indicator` added, whole or not at all.

    The first holds the classes on the planes and 0 elsewhere, the second 1 on the planes and 0 elsewhere, both uint8.
    Everything else in the file is copied as it is. Without `planes` they go through the middle of the object. Raises
    `DataError` for a file without a complete `label`, for planes outside of it, without foreground where its middle is
    needed, and when the target exists and is not to be replaced (the source may be replaced by itself).
    """
    source, target = Path(source), Path(target)
    if target.exists() and not replace:
        raise DataError(f"{target}: it exists already; choose another folder, or say that it is to be replaced")
    label = _complete(source)
    where = middle_planes(label) if planes is None else planes
    if where is None:
        raise DataError(f"{source}: its 'label' has no foreground, so there is no middle to lay planes through")
    drawn = Unit(str(source), "planes", index=where).mask(label.array.shape)
    _copy(source, target, {"cross_label": label.array * drawn, "labeled_slice_indicator": drawn.astype(np.uint8)})
    return CrossLabelled(target, where, int(drawn.sum()), drawn.size)


def write_cross_labels(
    root: str | Path,
    target: str | Path,
    *,
    place: Callable[[str], Planes] | None = None,
    replace: bool = False,
    left_out: dict[str, str] | None = None,
) -> Iterator[CrossLabelled]:
    """Copies the files of a folder of the layout `la-h5` to TARGET/data/CASE.h5 with cross labels, one record a file.

    `place` says where the planes of a case lie; without it they go through the middle of the object. With `replace`
    files that are there already are written again; so a folder of data/CASE.h5 may be its own target. Raises
    `DataError` as `write_cross_label` does, unless a dict `left_out` is given: then it gets the case and what was
    wrong; and for a file in the way before anything is written.
    """
    root, target = Path(root), Path(target)
    files = la_files(root)
    targets = {name: target / "data" / f"{name}.h5" for name in files}
    if target.resolve() == root.resolve() and targets != files:
        raise DataError(f"{root}: only files named data/CASE.h5 can be replaced by themselves; choose another folder")
    _check_free(targets.values() if not replace else ())
    for name, file in files.items():
        try:
            planes = place(name) if place else None
            record = write_cross_label(file, targets[name], planes=planes, replace=replace)
        except DataError as error:
            if left_out is None:
                raise
            left_out[name] = str(error)
        else:
            yield record


def _check_free(targets: Iterable[Path]) -> None:
    in_the_way = [path for path in targets if path.exists()]
    if in_the_way:
        raise DataError(
            f"{in_the_way[0]}: it exists already ({len(in_the_way)} such files); choose another folder, or say that "
            "they are to be replaced"
        )


def _complete(source: Path) -> SemanticLabel:
    import h5py

    label = SemanticFile(source, LA, "label").read()
    if not h5py.is_hdf5(source):
        raise DataError(f"{source}: cross labels are kept in HDF5 files, and this is none; convert it to CASE.h5")
    if label.array.ndim != 3 or not label.is_dense:
        raise DataError(f"{source}: planes are taken from a volume that is labelled everywhere, and its 'label' is not")
    return label


def _copy(source: Path, target: Path, added: Mapping[str, np.ndarray]) -> None:
    import h5py

    with atomic_path(target) as part:
        shutil.copyfile(source, part)
        with h5py.File(part, "r+") as file:
            for key, array in added.items():
                if key in file:
                    del file[key]
                file.create_dataset(key, data=array, compression="gzip")
