"""Distances between the surfaces of two masks, in the unit of the spacing (ones: voxels).

The surface is the mask without its erosion by the cross-shaped element (4 neighbours in 2D, 6 in 3D); what lies
beyond the array counts as outside. Empty masks follow the rule of `frugalseg.metrics.overlap`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from frugalseg.errors import DataError
from frugalseg.metrics.overlap import check_masks

Mask = Bool[np.ndarray, "*space"]


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """The distance of each surface voxel of one mask to the nearest surface voxel of the other.

    Where exactly one mask is empty both hold one infinite distance, and the metrics say `diagonal` in its place.
    """

    to_truth: np.ndarray
    to_prediction: np.ndarray
    diagonal: float

    @property
    def hausdorff(self) -> float:
        """The largest distance of either direction."""
        return max(float(d.max()) for d in self._finite())

    @property
    def hd95(self) -> float:
        """The larger one of the two directed 95th percentiles, as in MONAI and the Medical Segmentation Decathlon."""
        return max(float(np.percentile(d, 95)) for d in self._finite())

    @property
    def hd95_pooled(self) -> float:
        """The 95th percentile of both directions pooled, as in medpy; papers on the LA data set report this one."""
        return float(np.percentile(np.concatenate(self._finite()), 95))

    @property
    def asd(self) -> float:
        """The mean over the surface voxels of both masks, as in MONAI.

        medpy's `assd` is the mean of the two means.
        """
        return float(np.concatenate(self._finite()).mean())

    @property
    def asd_to_truth(self) -> float:
        """The mean over the surface of the prediction alone, medpy's `asd`; papers on the LA data set report it."""
        return float(self._finite()[0].mean())

    def nsd(self, tolerance: float) -> float:
        """The share of both surfaces that lies within the tolerance of the other."""
        near = int((self.to_truth <= tolerance).sum()) + int((self.to_prediction <= tolerance).sum())
        return near / (len(self.to_truth) + len(self.to_prediction))

    def _finite(self) -> tuple[np.ndarray, np.ndarray]:
        return np.minimum(self.to_truth, self.diagonal), np.minimum(self.to_prediction, self.diagonal)


def surface_distances(prediction: Mask, truth: Mask, *, spacing: tuple[float, ...]) -> SurfaceDistances:
    """Measures the distances once for all metrics. Raises `DataError` when masks or spacing do not fit."""
    check_masks(prediction, truth)
    if len(spacing) != truth.ndim or not all(s > 0 for s in spacing):
        raise DataError(f"the spacing {spacing} must hold one positive number for each of {truth.ndim} axes")
    diagonal = float(np.linalg.norm(np.multiply(np.subtract(truth.shape, 1), spacing)))
    n_empty = int(not prediction.any()) + int(not truth.any())
    if n_empty:
        same = np.array([0.0 if n_empty == 2 else np.inf])
        return SurfaceDistances(same, same, diagonal)
    box = ndimage.find_objects((prediction | truth).astype(np.uint8))[0]  # nothing outside is nearer to a surface
    one, two = _surface(prediction[box]), _surface(truth[box])
    return SurfaceDistances(_distance_to(two, spacing)[one], _distance_to(one, spacing)[two], diagonal)


def hd95(prediction: Mask, truth: Mask, *, spacing: tuple[float, ...]) -> float:
    """95th percentile Hausdorff distance, see `SurfaceDistances.hd95`."""
    return surface_distances(prediction, truth, spacing=spacing).hd95


def hausdorff(prediction: Mask, truth: Mask, *, spacing: tuple[float, ...]) -> float:
    """Hausdorff distance, see `SurfaceDistances.hausdorff`."""
    return surface_distances(prediction, truth, spacing=spacing).hausdorff


def hd95_pooled(prediction: Mask, truth: Mask, *, spacing: tuple[float, ...]) -> float:
    """95th percentile Hausdorff distance as medpy defines it, see `SurfaceDistances.hd95_pooled`."""
    return surface_distances(prediction, truth, spacing=spacing).hd95_pooled


def asd(prediction: Mask, truth: Mask, *, spacing: tuple[float, ...]) -> float:
    """Average symmetric surface distance, see `SurfaceDistances.asd`."""
    return surface_distances(prediction, truth, spacing=spacing).asd


def nsd(prediction: Mask, truth: Mask, *, spacing: tuple[float, ...], tolerance: float) -> float:
    """Normalised surface Dice at a tolerance in the unit of the spacing.

    Source: Nikolov et al. 2018, with the voxels of the surface counted, as MONAI does by default.
    """
    return surface_distances(prediction, truth, spacing=spacing).nsd(tolerance)


def _surface(mask: np.ndarray) -> np.ndarray:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _distance_to(surface: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    return np.asarray(ndimage.distance_transform_edt(~surface, sampling=spacing))
