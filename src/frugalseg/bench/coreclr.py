"""Which strategy chooses slices best at budgets of a few percent: every strategy beside random, strided and
foreground-random.

All arms of a seed buy the same first batch, so what is trained on it is trained once for all of them; from then on each
arm buys by its strategy. Everything else is equal: the split by patient, the network, the number of steps, the seeds of
training. Each (arm, seed) is one campaign of `frugalseg.campaign`; nothing here chooses, draws or trains.

The headline arms have more seeds than the others. An arm's own mean is over all of its seeds; two arms are compared
over the seeds that both have, which are the first ones.
"""

import math
from collections.abc import Generator, Iterator
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, field_validator

from frugalseg.bench.bench import Bench, BenchData, Course, Job, Measurement, Preset, Stage
from frugalseg.bench.campaigns import gone_through, refuse_test_data
from frugalseg.bench.slices import plan_of_slices
from frugalseg.campaign.advice import AdviceSettings
from frugalseg.campaign.chosen import chosen
from frugalseg.campaign.outcome import advice, curve, extremes
from frugalseg.campaign.settings import CampaignSettings
from frugalseg.campaign.simulate import Simulation
from frugalseg.data.cost import paging_axis
from frugalseg.data.enclosing import enclosed
from frugalseg.data.label import UNKNOWN
from frugalseg.data.pool import Pool
from frugalseg.data.spec import split_data
from frugalseg.errors import SettingsError, lookup
from frugalseg.methods import method_settings
from frugalseg.settings import Settings, parse
from frugalseg.strategies import STRATEGIES
from frugalseg.strategies.embedding.frozen import FrozenGeneralist
from frugalseg.training import TrainSettings

HEADLINE = ("random", "strided", "foreground-random", "coreclr")

OTHERS = (
    "coreclr-k-centre",
    "coreclr-mfc",
    "coreclr-frozen",
    "round-robin",
    "coreset",
    "coreset-pixels",
    "typiclust",
    "probcover",
    "entropy",
    "bald",
    "variance-ratio",
    "stochastic-batches",
    "clasp-pe",
    "vaal",
    "coregcn",
)

TRAIN: dict[str, Any] = {
    "method": "supervised",
    "unlabelled": 0,
    "enclosed": True,  # simulated strokes go around all objects, and so do those by hand of ACDC
    "augment": {"turn_probability": 0.8, "angle": 30, "scale": 0.25},
    "fit": {"steps": 600, "lr": 0.004, "warmup": 20, "channels_last": True, "tensorboard": False},
}
"""How every arm learns, whatever its budget: a step takes 0.05 s on two quiet cores."""

PIXELS = 4 * 128 * 128
"""What a step sees where no number of slices is said; 4 to 8 slices, for four small ones teach little."""

STROKES = {"dice": 0.9}
"""Options of `supervised`: strokes are a hundredth of what is known, of which cross-entropy is the mean, so with a half
of that two classes that look alike stay one for hundreds of steps."""

LOOKED_AT = 4
"""Cases that are looked at to know whether strokes by hand go around the objects."""

MOST_LOST = 0.02
"""Part of the objects that may lie outside."""


class CoreClrSettings(Settings):
    """What is bought, how it is drawn, how much is learnt from it."""

    axis: int | None = Field(None, ge=0, le=2)  # slices lie across this array axis; null: the one a person pages along
    percent: float = Field(1.0, gt=0, le=50)  # of the training slices that each batch buys, one slice at least
    batches: int = Field(5, ge=2)
    start: str = "random"  # buys the first batch, the same one for all arms of a seed
    test: float = Field(1 / 3, gt=0)  # cases to measure on: a fraction below 1 or a count; patients are never cut
    split_seed: int = 0
    style: Literal["auto", "by-hand", "scribbles", "dense"] = "auto"  # auto: strokes by hand where the data have them
    network: str = "unet-tiny"
    side: int = Field(128, ge=8)  # pixels of a slice's longer side, at most
    dropout: float = Field(0.1, ge=0, lt=1)  # in all arms, so that one model has the opinions that some compare
    train: TrainSettings = TrainSettings()  # where nothing is said, steps of `PIXELS` and options `STROKES`
    advice: AdviceSettings | None = AdviceSettings(cases=4)  # null: nobody asks whether to stop

    @field_validator("start")
    @classmethod
    def _is_strategy(cls, name: str) -> str:
        lookup(STRATEGIES, name, "strategy")
        return name


def arms_of(_settings: CoreClrSettings) -> tuple[str, ...]:
    """The strategies that make sense with slices, the headline first."""
    return (*HEADLINE, *OTHERS)


def depends(arm: str, settings: CoreClrSettings) -> dict[str, Any]:
    """All settings but the advice, and those of strategy and method with their defaults."""
    words = settings.model_dump(mode="json", exclude={"advice"})
    words["strategy"] = lookup(STRATEGIES, arm, "strategy").settings.model_dump(mode="json")
    words["options"] = method_settings(settings.train.method, _options(settings)).model_dump(mode="json")
    return words


def weights(arm: str, _settings: CoreClrSettings) -> str | None:
    """Those of the generalist that sees the pictures, where one does."""
    if arm != "coreclr-frozen":
        return None
    from frugalseg.generalists.registry import build_generalist

    frozen = FrozenGeneralist()
    return build_generalist(frozen.name, input_size=frozen.input_size).info.fingerprint


def campaign_of(arm: str, seed: int, *, pool: Pool, data: str, settings: CoreClrSettings) -> CampaignSettings:
    """The campaign of one arm and seed; `data` is the pool as text."""
    axis = _axis(pool, settings)
    train = pool.subset(split_data(pool, test=settings.test, seed=settings.split_seed).train)
    n = max(1, round(settings.percent / 100 * sum(_n_slices(c.geometry.shape, axis) for c in train.cases)))
    slices = {"units": n, "unit": "slice", "axis": axis or 0}
    plan = plan_of_slices(pool, axis, network=settings.network, side=settings.side, dropout=settings.dropout)
    a_step = {"labelled": min(8, max(4, PIXELS // math.prod(plan["patch"])))}
    words = {
        "name": "coreclr",
        "data": data,
        "split": {"test": settings.test, "seed": settings.split_seed},
        "start": {**slices, "strategy": settings.start},
        "rounds": settings.batches - 1,
        "then": {**slices, "strategy": arm},
        "oracle": {"style": _style(pool, settings), "scribbles": {"background": 1}},
        "plan": plan,
        "train": {
            **a_step,
            **settings.train.model_dump(mode="json", exclude_unset=True),
            "options": _options(settings),
        },
        "advice": None if settings.advice is None else settings.advice.model_dump(mode="json"),
        "seeds": [seed],
        "arms": {arm: {}},
    }
    return parse(CampaignSettings, words, where="bench coreclr")


def check(arm: str, settings: CoreClrSettings, data: BenchData) -> None:
    """Raises `SettingsError` for a campaign that cannot be, and for strokes that do not say what they must."""
    refuse_test_data(data, "coreclr")
    campaign_of(arm, 0, pool=data.pool, data=data.main.spec.text, settings=settings)
    if settings.train.enclosed and _style(data.pool, settings) == "by-hand":
        refuse_open_strokes(data.pool, _axis(data.pool, settings))


def measure(job: Job[CoreClrSettings]) -> Generator[Stage, None, Measurement]:
    """Goes through the rounds of one arm and seed."""
    spec, pool = job.data.main.spec, job.data.pool
    campaign = campaign_of(job.arm, job.seed, pool=pool, data=spec.text, settings=job.settings)
    simulation = yield from gone_through(job, campaign)
    workspace = simulation.workspace(job.arm, job.seed)
    last = workspace.runs()[-1]
    pictures = tuple(extremes(simulation.pool, workspace, last, title=job.arm))
    return Measurement({}, pictures, _course(simulation, job))


@lru_cache(maxsize=1)
def refuse_open_strokes(pool: Pool, axis: int | None) -> None:
    """Raises `SettingsError` where strokes by hand do not go around the objects, so that outside is not background.

    A pool is looked at once, for all jobs.
    """
    objects = lost = 0
    for case in pool.cases[:: max(1, len(pool) // LOOKED_AT)]:
        truth = pool.truth.semantic(case.id).array
        is_object = (truth > 0) & (truth != UNKNOWN)
        for rater in pool.truth.strokes.raters(case.id)[:1]:
            strokes = pool.truth.strokes.get(case.id, rater)
            if strokes is not None:
                objects += int(is_object.sum())
                is_new = (enclosed(strokes.array, axis) == 0) & (strokes.array == UNKNOWN)
                lost += int((is_object & is_new).sum())
    if lost > MOST_LOST * objects:
        raise SettingsError(
            f"{lost / objects:.0%} of the objects lie outside of the background's strokes, which train.enclosed takes "
            "for background; give --set train.enclosed=false"
        )


def _course(simulation: Simulation, job: Job[CoreClrSettings]) -> Course:
    workspace = simulation.workspace(job.arm, job.seed)
    return Course(
        points=tuple(curve(workspace, arm=job.arm, seed=job.seed)),
        chosen=tuple(chosen(workspace, arm=job.arm, seed=job.seed)),
        advice=tuple(advice(simulation, workspace, job.arm, job.seed)),
    )


def _options(settings: CoreClrSettings) -> dict[str, Any]:
    """The options of the method: those that were given, before what is good for strokes."""
    return (STROKES if settings.train.method == "supervised" else {}) | settings.train.options


def _axis(pool: Pool, settings: CoreClrSettings) -> int | None:
    """Across which axis slices lie; None for 2D images."""
    found = paging_axis(case.geometry for case in pool.cases)
    return found if found is None or settings.axis is None else settings.axis


def _n_slices(shape: tuple[int, ...], axis: int | None) -> int:
    return 1 if axis is None else shape[axis]


def _style(pool: Pool, settings: CoreClrSettings) -> str:
    if settings.style != "auto":
        return settings.style
    has_strokes = all(pool.truth.strokes.raters(case.id) for case in pool.cases)
    return "by-hand" if has_strokes else "scribbles"


def _differences() -> Iterator[tuple[str, str, str]]:
    """All against random and foreground-random, and CoreCLR against all."""
    every = (*HEADLINE, *OTHERS)
    yield from ((arm, "random", "aubc") for arm in every if arm != "random")
    yield from ((arm, "foreground-random", "aubc") for arm in every if arm not in ("random", "foreground-random"))
    yield from (("coreclr", arm, "aubc") for arm in every if arm not in ("random", "foreground-random", "coreclr"))


CORECLR = Bench(
    name="coreclr",
    about="Dice of a small network against the share of slices that were bought for it, strategy by strategy.",
    settings=CoreClrSettings,
    presets={
        "smoke": Preset(
            "phantom=anatomy,n=6,shape=24x24x16",
            {
                "percent": 5,
                "batches": 3,
                "train": {**TRAIN, "fit": {**TRAIN["fit"], "steps": 200}},
            },
            seeds=1,
            arms=("random", "strided", "foreground-random", "coreset"),
        ),
        "quick": Preset("phantom=anatomy,n=24", {"train": TRAIN}, seeds=10, headline=HEADLINE),
        "full": Preset(
            "phantom=anatomy,n=60",
            {"side": 256, "network": "unet-small", "train": {**TRAIN, "fit": {**TRAIN["fit"], "steps": 6000}}},
            seeds=10,
            headline=HEADLINE,
            others=5,
        ),
    },
    arms=arms_of,
    metrics=("aubc", "dice_at_*", "annotation_seconds", "strokes", "seconds", "choice_seconds"),
    measure=measure,
    compare=tuple(_differences()),
    depends=depends,
    weights=weights,
    check=check,
    optional=("coreclr-frozen",),
    gallery_note="The worst and the best test case of each arm after its last batch, with the first seed.",
    curve="dice",
    uses_gpu=True,
)
