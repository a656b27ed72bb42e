"""A raw data set of nnU-Net v2, with its ignore label where nobody has looked."""

import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from frugalseg.data.case import Case
from frugalseg.data.export import exported
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.data.write import write_image, write_label
from frugalseg.errors import DataError
from frugalseg.files import write_json

_ENDING = ".nii.gz"


def export_nnunet(
    pool: Pool, folder: Path, *, cases: Iterable[str] | None = None, rater: str | None = None
) -> tuple[str, ...]:
    """Writes imagesTr, labelsTr and dataset.json of the labelled cases (or of those named); returns their names there.

    Everything is NIfTI, one file a channel. Unknown voxels get nnU-Net's ignore label, the number behind the last
    class, which dataset.json names when a voxel is unknown. Instances become one class. The folder appears when it is
    complete. Raises `DataError` when it exists already, and for what `frugalseg.data.export.exported` refuses.

    Source: nnU-Net v2, documentation/dataset_format.md and ignore_label.md.
    """
    if "ignore" in pool.classes:
        raise DataError("a class is named 'ignore', which nnU-Net keeps for voxels nobody has looked at; rename it")
    if folder.exists():
        raise DataError(f"{folder} exists already; export to a new folder, or remove that one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        names = _fill(part, pool, cases=cases, rater=rater)
        part.chmod(0o755)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return names


def _fill(folder: Path, pool: Pool, *, cases: Iterable[str] | None, rater: str | None) -> tuple[str, ...]:
    names: dict[str, str] = {}
    n_channels, has_unknown = 0, False
    for case, label in exported(pool, cases=cases, rater=rater):
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", case.id)
        if name in names:
            raise DataError(f"the cases '{names[name]}' and '{case.id}' would both be called '{name}'; rename one")
        names[name] = case.id
        image = case.image()
        if n_channels and image.channels != n_channels:
            raise DataError(f"{case.id}: has {image.channels} channels, the cases before it {n_channels}")
        n_channels = image.channels
        _write_channels(folder / "imagesTr", name, image)
        has_unknown |= _write_classes(folder / "labelsTr" / f"{name}{_ENDING}", label, case, pool.classes)
    labels = {class_name: value for value, class_name in enumerate(pool.classes)}
    described = {
        "channel_names": {str(k): f"channel {k}" for k in range(n_channels)},
        "labels": {**labels, "ignore": len(labels)} if has_unknown else labels,
        "numTraining": len(names),
        "file_ending": _ENDING,
    }
    write_json(folder / "dataset.json", described)
    return tuple(names)


def _write_channels(folder: Path, name: str, image: Image) -> None:
    array = image.array if image.array.ndim > image.geometry.ndim else image.array[..., None]
    for k in range(image.channels):
        write_image(folder / f"{name}_{k:04d}{_ENDING}", Image(array[..., k], image.geometry))


def _write_classes(path: Path, label: SemanticLabel | InstanceLabel, case: Case, classes: tuple[str, ...]) -> bool:
    """Writes the label with the ignore label behind the last class; returns whether any voxel is unknown."""
    semantic = label.semantic() if isinstance(label, InstanceLabel) else label
    if len(semantic.classes) != len(classes):
        raise DataError(f"{case.id}: its label has {len(semantic.classes)} classes, the pool has {classes}")
    array = np.where(semantic.known, semantic.array, np.uint8(len(classes)))
    write_label(path, SemanticLabel(array, (*classes, "ignore")), case.geometry)
    return not semantic.is_dense
