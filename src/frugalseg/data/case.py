"""A case: one image or volume as the user has it. It is read when it is needed, never before."""

from dataclasses import dataclass
from typing import Protocol

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel, SemanticLabel


class ImageSource(Protocol):
    """Where an image comes from: a file, or a seeded phantom."""

    def read(self) -> Image:
        """The image; raises `DataError` that names the file."""
        ...

    def fingerprint(self) -> str:
        """16 hex digits that change when the content does."""
        ...


class LabelSource(Protocol):
    """Where a label comes from; values are mapped to classes in here, at the door."""

    def geometry(self) -> Geometry | None:
        """Where the label's voxels lie by its own file, or None where it has no geometry of its own."""
        ...

    def read(self) -> SemanticLabel | InstanceLabel:
        """The label; raises `DataError` that names the file."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a 2D case comes from: picture `index` of `n`, counted from 0, of the volume or video of that name."""

    volume: str
    index: int
    n: int


@dataclass(frozen=True)
class Case:
    """One image or volume: its id, its group (patient, specimen, video: never cut by a split), where it lies.

    A case knows no label: what somebody has drawn is in the pool's labels, what nobody has drawn is in the truth.
    `phase` names the time or contrast phase among the volumes of a group ("ED", "ES"), empty where nobody says;
    `place` says of which volume or video a 2D case is a part, None where it stands alone.
    """

    id: str
    group: str
    geometry: Geometry
    source: ImageSource
    phase: str = ""
    place: Place | None = None

    def image(self) -> Image:
        """Reads the image."""
        return self.source.read()
