"""What a bench is: a comparison of arms on the same data and seeds, in sizes from a check to a paper's."""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from frugalseg.data.pool import Pool
from frugalseg.data.spec import DataSpec
from frugalseg.files import fingerprint_json
from frugalseg.learn.hardware import Hardware
from frugalseg.report.records import Advised, Chosen, CurvePoint, Panel
from frugalseg.report.results import Data
from frugalseg.settings import Settings

S = TypeVar("S", bound=Settings)

PresetName = Literal["smoke", "quick", "full"]


@dataclass(frozen=True)
class Preset:
    """A size of a bench: phantoms for who gives no data, changes to the settings, seeds, and arms (all when empty).

    Arms that are not among the `headline` have `others` seeds at most; all have `seeds` where there is no headline, and
    as many as were asked for where somebody says a number.
    """

    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    arms: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()
    others: int = 3

    def fewer(self, arms: Iterable[str]) -> dict[str, int]:
        """The most seeds that some of these arms have."""
        return {arm: self.others for arm in arms if self.headline and arm not in self.headline}


@dataclass(frozen=True)
class Source:
    """One --data or --test-data, opened; complete labels are the pool's truth."""

    spec: DataSpec
    pool: Pool
    fingerprint: str

    @property
    def name(self) -> str:
        """The folder's name, or the kind of phantom."""
        return Path(self.spec.place).name

    def words(self) -> dict[str, Any]:
        """What results depend on: content and options, not where the folder lies."""
        return {"fingerprint": self.fingerprint, "layout": self.spec.layout, "options": dict(self.spec.options)}


@dataclass(frozen=True)
class BenchData:
    """What a bench measures on: its data, and the data it is tested on where those are others."""

    main: Source
    test: Source | None = None

    @property
    def pool(self) -> Pool:
        """The cases of --data."""
        return self.main.pool

    def record(self) -> Data:
        """For `results.json`."""
        if self.test is None:
            return Data(name=self.main.name, cases=len(self.pool), fingerprint=self.main.fingerprint)
        return Data(
            name=f"{self.main.name}, tested on {self.test.name}",
            cases=len(self.pool) + len(self.test.pool),
            fingerprint=fingerprint_json([self.main.fingerprint, self.test.fingerprint]),
        )


@dataclass(frozen=True)
class Job(Generic[S]):
    """One arm with one seed, to be measured. What it leaves in `folder` is there again when it was stopped."""

    arm: str
    seed: int
    data: BenchData
    settings: S
    folder: Path
    hardware: Hardware


@dataclass(frozen=True)
class Stage:
    """How far a job is: what it does now, and how much of that is done."""

    doing: str
    done: int = 0
    total: int | None = None
    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """How a job that goes in rounds came there: what was measured, bought and advised in each."""

    points: tuple[CurvePoint, ...] = ()
    chosen: tuple[Chosen, ...] = ()
    advice: tuple[Advised, ...] = ()

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Course":
        """From its JSON."""
        return cls(
            tuple(CurvePoint(**point) for point in kept["points"]),
            tuple(_chosen(one) for one in kept["chosen"]),
            tuple(Advised(**one) for one in kept["advice"]),
        )


def _chosen(kept: Mapping[str, Any]) -> Chosen:
    """From its JSON, in which there are no pictures."""
    texts = {"units": tuple(kept["units"]), "reasons": tuple(kept.get("reasons", ()))}
    return Chosen(**{**kept, **texts, "pictures": ()})


@dataclass(frozen=True)
class Measurement:
    """What a job found: finite numbers by the metric's key (one that an arm has not is left out), and pictures.

    A job in rounds gives its course as well; what was reached is then shown as the last point says.
    """

    metrics: Mapping[str, float]
    pictures: tuple[Panel, ...] = ()
    course: Course | None = None


def all_settings(arm: str, settings: Settings) -> dict[str, Any]:
    """The settings as they are: what an arm depends on in most benches."""
    return settings.model_dump(mode="json")


def no_weights(_arm: str, _settings: Settings) -> None:
    """For benches whose arms need none, or say so in what they depend on."""


def nothing_to_check(_arm: str, _settings: Settings, _data: BenchData) -> None:
    """For benches whose arms are right when their settings are."""


@dataclass(frozen=True)
class Bench(Generic[S]):
    """A comparison; each lies in a file of its own.

    `arms` and what an arm's result `depends` on (JSON: all settings by default) follow from the settings. `metrics` are
    the keys that the terminal shows (``dice_at_*``: all that begin so); the first of them is the headline, or `curve`
    where jobs go in rounds: then it is drawn over the budget. `compare` are differences (arm, other arm, metric) to be
    tested over the seeds, those of ``aubc`` over seeds and patients. `check` raises, before any arm is measured, what
    an arm's settings and data would raise hours later. `weights` is the fingerprint of those an arm needs, on which its
    result depends too; it raises `WeightsError` where they are absent. Then `optional` arms are left out, unless
    somebody has asked for them by name. `measure` yields how far it is and returns what it found: the same job gives
    the same numbers, times apart.
    """

    name: str
    about: str
    settings: type[S]
    presets: Mapping[str, Preset]
    arms: Callable[[S], tuple[str, ...]]
    metrics: tuple[str, ...]
    measure: Callable[[Job[S]], Generator[Stage, None, Measurement]]
    compare: tuple[tuple[str, str, str], ...] = ()
    depends: Callable[[str, S], dict[str, Any]] = all_settings
    weights: Callable[[str, S], str | None] = no_weights
    check: Callable[[str, S, BenchData], object] = nothing_to_check
    optional: tuple[str, ...] = ()
    gallery_note: str = ""
    curve: str = ""
    uses_gpu: bool = False
