"""What a report is made of: plain frozen records, free of workspaces and models."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from frugalseg.report.statistics import Difference, Summary


@dataclass(frozen=True)
class CurvePoint:
    """One model that was measured: its arm, seed and round, what annotation had cost by then, and the metrics.

    `seconds` are seconds of annotation, `units` the slices or images and `strokes` the strokes drawn until then, by all
    raters together; all are 0 where nothing was drawn for the arm. `groups` holds for each group (patient) the
    headline's value of each of its measured cases.
    """

    arm: str
    seed: int
    round: int
    seconds: float
    units: int
    metrics: Mapping[str, float]
    strokes: int = 0
    groups: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Advised:
    """Whether to go on after a round: what the next batch will probably bring, and what says so.

    `gain` is the predicted rise of Dice (None while there are too few rounds) and `band` its 95 % interval; `basis`
    says whose labels the prediction rests on. `radius` is the covering radius of what was drawn, as a part of the first
    round's; `agreement` the Dice between the models of this and the last round where nobody has drawn. `words` is the
    advice as a sentence.
    """

    arm: str
    seed: int
    round: int
    units: int
    basis: str
    gain: float | None
    band: tuple[float, float] | None
    radius: float
    agreement: float | None
    stop: bool
    words: str


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
class Chosen:
    """What one arm bought with one seed in one round, the most wanted first.

    `reasons` say in the same order why, where the strategy does; `pictures` show the units, or the first of them.
    """

    arm: str
    seed: int
    round: int
    units: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    pictures: tuple[Panel, ...] = ()


@dataclass(frozen=True)
class Row:
    """One arm in the table, at its last round: cost over the seeds, and each metric over the seeds."""

    arm: str
    seconds: Summary
    units: Summary
    strokes: Summary
    metrics: Mapping[str, Summary]


@dataclass(frozen=True)
class Comparison:
    """Arm `a` minus arm `b` in one metric, seed by seed."""

    a: str
    b: str
    metric: str
    result: Difference


@dataclass(frozen=True)
class Gap:
    """How much larger the area under the curve of arm `a` is than that of `b`, over the seeds that both have.

    `result.interval` is that of `frugalseg.report.bootstrap`, None for fewer than two seeds or groups.
    """

    a: str
    b: str
    result: Difference
    n_seeds: int
    n_groups: int


@dataclass(frozen=True)
class Budgets:
    """The arms that were measured at several budgets, in units (slices or images drawn).

    `area` is the area under the curve, `at` the metric at each budget, both for the seeds in ascending order. `wins`
    holds for each arm (row) and other arm (column) the share of common seeds and budgets at which the row's value is
    the better one, ties as a half; the budget that all arms begin with does not count. It is a plain count without a
    test; None where nothing is common. `gaps` are the differences that were asked for.
    """

    metric: str
    area: Mapping[str, Summary]
    at: Mapping[str, Mapping[int, Summary]]
    wins: Mapping[str, Mapping[str, float | None]]
    gaps: tuple[Gap, ...] = ()


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
    budgets: Budgets | None = None
    advice: tuple[Advised, ...] = ()
    gallery: tuple[Panel, ...] = ()
    gallery_note: str = (
        "Each through the largest area of truth or prediction; R, L, A, P, S are the patient's right, left, anterior, "
        "posterior, superior."
    )
    chosen: tuple[Chosen, ...] = ()
    configuration: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
