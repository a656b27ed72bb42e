"""Where the voxels of an array lie: shape, spacing along each array axis, and the world affine."""

from dataclasses import dataclass

import numpy as np

from frugalseg.errors import DataError

Affine = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Geometry:
    """Spatial shape, spacing in mm along each array axis (1.0 where unknown) and the RAS affine of a volume.

    `affine` is 4x4, maps array indices to millimetres (right, anterior, superior) as nibabel's does, and is None
    where the file knows no world (photographs, microscopy). Raises `DataError` for what is not 2D or 3D.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    affine: Affine | None = None

    def __post_init__(self) -> None:
        if len(self.shape) not in (2, 3) or min(self.shape) < 1:
            raise DataError(f"an image must be 2D or 3D and not empty, but has shape {self.shape}")
        if len(self.spacing) != len(self.shape) or not all(s > 0 and np.isfinite(s) for s in self.spacing):
            raise DataError(f"spacing {self.spacing} must hold one positive number for each axis of {self.shape}")

    @classmethod
    def plain(cls, shape: tuple[int, ...], spacing: tuple[float, ...] | None = None) -> "Geometry":
        """A geometry without a world affine; spacing 1 when not given."""
        return cls(tuple(shape), spacing or (1.0,) * len(shape))

    @classmethod
    def from_affine(cls, shape: tuple[int, ...], affine: np.ndarray) -> "Geometry":
        """The geometry of a volume from its 4x4 RAS affine; spacing is the length of the affine's columns."""
        matrix = np.asarray(affine, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
            raise DataError(f"the affine {matrix.tolist()} is not an invertible 4x4 matrix")
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)[: len(shape)]
        rows = tuple((float(r[0]), float(r[1]), float(r[2]), float(r[3])) for r in matrix)
        return cls(tuple(shape), tuple(float(s) for s in spacing), rows)

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return len(self.shape)

    @property
    def matrix(self) -> np.ndarray:
        """The 4x4 affine; a diagonal of the spacing where the file knows no world."""
        if self.affine is not None:
            return np.array(self.affine)
        return np.diag([*self.spacing, *([1.0] * (4 - self.ndim))])

    def differs(self, other: "Geometry", *, tolerance_mm: float = 1e-2) -> str:
        """What keeps two arrays from lying on each other, as a phrase, or an empty string when nothing does."""
        if self.shape != other.shape:
            return f"shape {self.shape} and {other.shape}"
        if self.affine is not None and other.affine is not None:
            corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"), -1).reshape(-1, self.ndim)
            points = np.concatenate([corners, np.zeros((len(corners), 3 - self.ndim)), np.ones((len(corners), 1))], 1)
            gap = float(np.abs(points @ (self.matrix - other.matrix).T).max())
            if gap > tolerance_mm:
                return f"affine (a corner lies {gap:.3g} mm apart)"
        return ""
