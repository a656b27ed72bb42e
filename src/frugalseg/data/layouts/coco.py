"""COCO: one json with images, categories and annotations (polygons or run lengths), the images beside it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.case import LabelSource
from frugalseg.data.formats import stem_of
from frugalseg.data.geometry import Geometry
from frugalseg.data.label import InstanceLabel, SemanticLabel
from frugalseg.data.layouts.found import Found, Listed, listed
from frugalseg.errors import DataError
from frugalseg.settings import Settings


class CocoOptions(Settings):
    """Options of the layout."""

    json_file: str | None = None  # the json file; the only one of the folder where it is not given
    images: str | None = None  # folder of images; images/ where it exists, else the folder itself
    semantic: bool = False  # classes by category instead of objects


@dataclass(frozen=True)
class CocoLabel:
    """The objects annotated on one image; where they overlap the smaller one owns the pixels. Crowds are unknown."""

    file: Path
    shape: tuple[int, int]
    objects: tuple[dict[str, Any], ...] = field(repr=False)
    classes: tuple[str, ...]
    class_of: dict[int, int] = field(repr=False)
    is_semantic: bool

    def geometry(self) -> Geometry:
        """The height and width that the json file says."""
        return Geometry.plain(self.shape)

    def read(self) -> SemanticLabel | InstanceLabel:
        """The label. Raises `DataError` for a mask of another size than its image."""
        ids = np.zeros(self.shape, np.int32)
        classes = np.zeros(self.shape, np.uint8)
        for number, found in sorted(enumerate(self.objects, 1), key=_depth):
            try:
                mask = _mask(found["segmentation"], self.shape)
            except (ValueError, KeyError, TypeError, RuntimeError) as error:
                raise DataError(
                    f"{self.file}: annotation {found.get('id')} has no usable mask ({error}); draw it again"
                ) from None
            crowd = bool(found.get("iscrowd", 0))
            ids[mask] = -1 if crowd else number
            classes[mask] = 255 if crowd else self.class_of[found["category_id"]]
        return SemanticLabel(classes, self.classes) if self.is_semantic else InstanceLabel(ids)


def _depth(numbered: tuple[int, dict[str, Any]]) -> tuple[bool, float]:
    """Sorts from the back to the front: crowds, then large objects, as none must vanish under another."""
    _, found = numbered
    return not found.get("iscrowd", 0), -float(found.get("area") or 0)


def open_coco(root: Path, options: CocoOptions) -> Found:
    """The cases of a COCO json. Raises `DataError` when it is no COCO file."""
    file, about = _read(root, options)
    folder = root / options.images if options.images else root / "images" if (root / "images").is_dir() else root
    categories = sorted(about["categories"], key=lambda c: c["id"])
    class_of = {c["id"]: number for number, c in enumerate(categories, 1)}
    names = ("background", *(str(c["name"]) for c in categories)) if options.semantic else ("background", "object")
    objects: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in about["images"]}
    for found in about["annotations"]:
        if found["image_id"] not in objects or found["category_id"] not in class_of:
            raise DataError(f"{file}: annotation {found.get('id')} names an image or category that is not there")
        objects[found["image_id"]].append(found)
    images: list[Listed] = []
    labels: dict[str, dict[str, LabelSource]] = {}
    for image in about["images"]:
        path = _image(folder, image["file_name"])
        images.append(listed(stem_of(path), (path,)))
        shape = (int(image["height"]), int(image["width"]))
        label = CocoLabel(file, shape, tuple(objects[image["id"]]), names, class_of, options.semantic)
        labels[stem_of(path)] = {"expert": label}
    return Found(tuple(images), names, labels)


def _image(folder: Path, name: str) -> Path:
    """The file of that name, or, where the json names it without a suffix, the only one with that stem."""
    path = folder / name
    if path.is_file() or not path.parent.is_dir():
        return path
    named = [f for f in sorted(path.parent.iterdir()) if f.is_file() and stem_of(f) == path.name]
    return named[0] if len(named) == 1 else path


def _read(root: Path, options: CocoOptions) -> tuple[Path, dict[str, Any]]:
    files = [root / options.json_file] if options.json_file else sorted(root.glob("*.json"))
    if len(files) != 1:
        raise DataError(f"{root}: there are {len(files)} json files; name one with json_file=NAME")
    try:
        about = json.loads(files[0].read_text(encoding="utf-8"))
        missing = {"images", "annotations", "categories"} - set(about)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{files[0]}: cannot be read as json ({error})") from None
    if missing:
        raise DataError(f"{files[0]}: no COCO file, it lacks {', '.join(sorted(missing))}")
    return files[0], dict(about)


def _mask(segmentation: Any, shape: tuple[int, int]) -> np.ndarray:
    from faster_coco_eval.core import mask as coco

    height, width = shape
    if isinstance(segmentation, list):
        if not segmentation or any(len(polygon) < 6 for polygon in segmentation):
            raise ValueError("a polygon needs three points")  # four numbers would be read as a box
        run_lengths = coco.merge(coco.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        run_lengths = coco.frPyObjects(segmentation, height, width)
    else:
        run_lengths = segmentation
    mask = np.asarray(coco.decode(run_lengths), dtype=bool)
    if mask.shape != shape:
        raise DataError(f"a COCO mask of shape {mask.shape} lies on an image of shape {shape}")
    return mask
