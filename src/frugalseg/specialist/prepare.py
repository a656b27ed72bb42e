"""Cases in the form their plan wants: on its spacing, normalised, in memory-mapped files."""

from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.enclosing import enclosed
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN, SemanticLabel
from frugalseg.data.pool import Pool
from frugalseg.errors import DataError, SettingsError
from frugalseg.files import atomic_path, fingerprint_array, fingerprint_json
from frugalseg.specialist.plan import Plan
from frugalseg.specialist.resample import resample_image, resample_label

FORM = 1
"""Raised whenever preparation gives other numbers, so that files of an older form are not used."""


def prepared_shape(geometry: Geometry, plan: Plan) -> tuple[int, ...]:
    """The shape of an image on the plan's spacing, or with its side.

    Raises `DataError` when it has other axes than the plan.
    """
    if geometry.ndim != plan.space:
        raise DataError(
            f"the image has {geometry.ndim} axes (shape {geometry.shape}), but the plan is for {plan.space}"
        )
    if plan.side is not None:
        seen = [n for axis, n in enumerate(geometry.shape) if axis != plan.axis]
        factor = plan.side / max(seen)
        return tuple(n if axis == plan.axis else max(1, round(n * factor)) for axis, n in enumerate(geometry.shape))
    if plan.spacing is None:
        return geometry.shape
    target = list(plan.spacing)
    if plan.axis is not None:
        target.insert(plan.axis, geometry.spacing[plan.axis])
    return tuple(
        max(1, round(n * own / wanted)) for n, own, wanted in zip(geometry.shape, geometry.spacing, target, strict=True)
    )


def prepare_image(image: Image, plan: Plan) -> np.ndarray:
    """The image as (K, *space) float32, normalised channel by channel, on the plan's spacing.

    A constant channel is all 0, unless nothing is normalised.

    Raises `DataError` when axes or channels are not the plan's.
    """
    shape = prepared_shape(image.geometry, plan)
    if image.channels != plan.channels:
        raise DataError(f"the image has {image.channels} channels, but the plan is for {plan.channels}")
    normalised = np.stack([_normalised(channel, plan.normalise) for channel in image.channels_first()])
    return np.ascontiguousarray(resample_image(normalised, shape))


def _normalised(x: np.ndarray, how: str) -> np.ndarray:
    if how == "none":
        return x
    low, high = float(x.min()), float(x.max())
    if low == high:
        return np.zeros_like(x)
    if how == "percentile":
        p, q = np.percentile(x, [0.5, 99.5])
        # More than 99 % of the voxels may have one value: clipping would erase the rest of a sparse image.
        low, high = (float(p), float(q)) if p < q else (low, high)
    x = np.clip(x, low, high).astype(np.float64)
    return np.asarray((x - x.mean()) / x.std(), np.float32)


def prepare_label(label: SemanticLabel, geometry: Geometry, plan: Plan) -> np.ndarray:
    """The label as uint8 (*space) on the plan's spacing, nearest value, `UNKNOWN` (255) kept."""
    return np.ascontiguousarray(resample_label(label.array, prepared_shape(geometry, plan)))


class PreparedCases:
    """Prepared images and labels of a pool as read-only memory maps of files in a folder.

    A file's name is a fingerprint of its source and of what the plan does to it, so folders may be shared by runs,
    plans and processes; files are written whole or not at all. Nothing stays open or in memory between calls. A
    case's label is looked up once: what is drawn later is seen by the next `PreparedCases`. With `enclosed` labels are
    as `outside_is_background` makes them, slice by slice; raises `SettingsError` for a plan that sees no slices.
    """

    def __init__(
        self, pool: Pool, plan: Plan, folder: str | Path, *, rater: str | None = None, enclosed: bool = False
    ) -> None:
        if enclosed and plan.ndim == 3:
            raise SettingsError(
                "'enclosed' looks at slices, but the plan is a 3D one; set plan.ndim to 2, or leave it out"
            )
        self.pool, self.plan, self.folder, self.rater, self.enclosed = pool, plan, Path(folder), rater, enclosed
        self._images: dict[str, Path] = {}
        self._labels: dict[str, Path | None] = {}

    def load(self, case: str) -> tuple[np.ndarray, np.ndarray]:
        """Image (K, *space) and label (*space) of a case."""
        return self.image(case), self.label(case)

    def image(self, case: str) -> np.ndarray:
        """The prepared image, (K, *space) float32. Raises `DataError` that names the case."""
        if case not in self._images:
            self._images[case] = self._image_file(case)
        array: np.ndarray = np.load(self._images[case], mmap_mode="r")
        return array

    def label(self, case: str) -> np.ndarray:
        """The prepared label, (*space) uint8; `UNKNOWN` everywhere (and no file) where nobody has drawn."""
        if case not in self._labels:
            self._labels[case] = self._label_file(case)
        file = self._labels[case]
        if file is None:
            return np.broadcast_to(np.uint8(UNKNOWN), self.image(case).shape[1:])
        array: np.ndarray = np.load(file, mmap_mode="r")
        return array

    def _image_file(self, case: str) -> Path:
        found = self.pool[case]
        plan = self.plan.model_dump(mode="json", include={"ndim", "axis", "channels", "spacing", "side", "normalise"})
        file = self._file("image", found.source.fingerprint(), found.geometry, plan)
        if not file.exists():
            try:
                prepared = prepare_image(found.image(), self.plan)
            except DataError as error:
                raise DataError(f"{case}: {error}") from error
            _write(file, prepared)
        return file

    def _label_file(self, case: str) -> Path | None:
        label, geometry = self.pool.label(case, self.rater), self.pool[case].geometry
        if label is None:
            return None
        if label.array.shape != geometry.shape:
            raise DataError(
                f"{case}: its label has shape {label.array.shape}, its image {geometry.shape}; draw it again"
            )
        plan = self.plan.model_dump(mode="json", include={"ndim", "axis", "spacing", "side"})
        if self.enclosed:
            plan["enclosed"] = True
            label = SemanticLabel(enclosed(label.array, self.plan.axis), label.classes)
        file = self._file("label", fingerprint_array(label.array), geometry, plan)
        if not file.exists():
            _write(file, prepare_label(label, geometry, self.plan))
        return file

    def _file(self, what: str, content: str, geometry: Geometry, plan: dict[str, Any]) -> Path:
        key = fingerprint_json([FORM, content, geometry.shape, geometry.spacing, plan])
        return self.folder / f"{key}.{what}.npy"


def _write(file: Path, array: np.ndarray) -> None:
    with atomic_path(file) as part, part.open("wb") as out:
        np.save(out, array)
