"""What a report is made of: plain frozen records, free of workspaces and models."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from frugalseg.report.statistics import Difference, Summary


@dataclass(frozen=True)
class CurvePoint:
    """One model that was measured: its arm, seed and round, what annotation had cost by then, and the metrics.

    `seconds` are seconds of annotation and `units` the slices or images drawn until then, by all raters together;
    both are 0 where nothing was drawn for the arm.
    """

    arm: str
    seed: int
    round: int
    seconds: float
    units: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Chosen:
    """What one arm bought with one seed in one round, the most wanted first."""

    arm: str
    seed: int
    round: int
    units: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """A picture with its words. `image` is PNG or SVG; `alt` says what it shows to who cannot see it."""

    title: str
    caption: str
    image: bytes
    alt: str = ""

    @property
    def is_svg(self) -> bool:
        """True for SVG, false for PNG."""
        return not self.image.startswith(b"\x89PNG")

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        kind = "svg+xml" if self.is_svg else "png"
        return f"data:image/{kind};base64,{base64.b64encode(self.image).decode()}"


@dataclass(frozen=True)
class Row:
    """One arm in the table, at its last round: cost over the seeds, and each metric over the seeds."""

    arm: str
    seconds: Summary
    units: Summary
    metrics: Mapping[str, Summary]


@dataclass(frozen=True)
class Comparison:
    """Arm `a` minus arm `b` in one metric, seed by seed."""

    a: str
    b: str
    metric: str
    result: Difference


@dataclass(frozen=True)
class Report:
    """Everything on one page. `headline` is the metric of the curve; what is empty is left out of the page.

    `rows` and `comparisons` come from `frugalseg.report.tables`. `configuration` is YAML; `facts` are hashes,
    versions, hardware and the command. `gallery_note` says what the gallery shows.
    """

    title: str
    subtitle: str = ""
    headline: str = "dice"
    curves: tuple[CurvePoint, ...] = ()
    rows: tuple[Row, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    gallery: tuple[Panel, ...] = ()
    gallery_note: str = (
        "Each through the largest area of truth or prediction; R, L, A, P, S are the patient's right, left, anterior, "
        "posterior, superior."
    )
    chosen: tuple[Chosen, ...] = ()
    configuration: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
