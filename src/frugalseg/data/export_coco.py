"""A COCO json file of 2D labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.export import exported
from frugalseg.data.label import UNKNOWN, InstanceLabel, SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.errors import DataError
from frugalseg.files import write_json


def export_coco(pool: Pool, path: Path, *, rater: str | None = None) -> int:
    """Writes the labels of a 2D pool as COCO json with RLE masks; returns the number of annotations.

    An instance is one annotation; of a class, each connected region (corners connect) is one. Where nobody has
    looked there is one annotation a category with ``iscrowd`` 1, which COCO's evaluation leaves out. ``file_name``
    is the id of the case. Raises `DataError` for volumes and for what `frugalseg.data.export.exported` refuses.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for case, label in exported(pool, cases=None, rater=rater):
        if label.array.ndim != 2:
            raise DataError(f"{case.id}: COCO holds 2D images, and this is a volume; export to nnU-Net or NIfTI")
        height, width = label.array.shape
        images.append({"id": len(images) + 1, "file_name": case.id, "height": height, "width": width})
        for category, mask, is_crowd in _objects(label, n_classes=len(pool.classes), case=case.id):
            numbers = {"id": len(annotations) + 1, "image_id": len(images), "category_id": category}
            annotations.append({**numbers, "iscrowd": int(is_crowd), **_shape(mask)})
    categories = [{"id": k, "name": name} for k, name in enumerate(pool.classes) if k]
    write_json(path, {"images": images, "annotations": annotations, "categories": categories})
    return len(annotations)


def _objects(
    label: SemanticLabel | InstanceLabel, *, n_classes: int, case: str
) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Yields category, mask and whether it is a region nobody has looked at."""
    if isinstance(label, InstanceLabel):
        if n_classes > 2:
            raise DataError(f"{case}: an instance label does not say which of {n_classes - 1} classes an object is of")
        unknown = label.array < 0
        yield from ((1, label.array == i, False) for i in label.ids)
    else:
        unknown = label.array == UNKNOWN
        for category in range(1, n_classes):
            yield from ((category, region, False) for region in _regions(label.array == category))
    if unknown.any():
        yield from ((category, unknown, True) for category in range(1, n_classes))


def _regions(mask: np.ndarray) -> Iterator[np.ndarray]:
    from scipy.ndimage import label

    regions, n = label(mask, structure=np.ones((3, 3)))
    yield from (regions == i for i in range(1, n + 1))


def _shape(mask: np.ndarray) -> dict[str, Any]:
    from faster_coco_eval import mask as coco

    run_lengths = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    counts = run_lengths["counts"]
    return {
        "segmentation": {"size": list(mask.shape), "counts": counts.decode() if isinstance(counts, bytes) else counts},
        "area": int(mask.sum()),
        "bbox": [float(v) for v in coco.toBbox(run_lengths)],
    }
