"""What each part of GM-ABS brings to a specialist that learns from three planes of a few scans.

Every arm has the same split, plan, steps and seeds of training. Arms that do not choose buy `labeled_num` + `budget`
scans at once, drawn by chance; `full+random` and `full+active` begin with `labeled_num` and buy the rest in rounds of
`topk` while one training goes on, so all of them end with the same number of planes. `dense` has every training scan
drawn whole: what labels could buy.

Beside the specialist's Dice the arms with a generalist say how good its labels were on the scans nobody has drawn,
before and after confident learning, and how good the teacher that prompted it was on the same voxels. Labels below the
teacher are harmful: `below_teacher` counts such classes, `harmful` those whose weight the guard has not taken.
`dice_generalist` of the arm `full` is the generalist alone on the test scans, prompted by the final model. `seconds` of
the arm that asks first contain the encoding of the slices, which all others find in the cache.
"""

import math
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from frugalseg.bench.bench import Bench, BenchData, Job, Measurement, Preset, Stage
from frugalseg.bench.campaigns import gone_through, refuse_test_data
from frugalseg.bench.labels import LabelQuality, generalist_alone, label_metrics, label_panel, label_qualities
from frugalseg.bench.slices import plan_of_slices
from frugalseg.campaign.outcome import curve, extremes, taught
from frugalseg.campaign.settings import CampaignSettings
from frugalseg.campaign.simulate import Simulation
from frugalseg.data.pool import Pool
from frugalseg.data.spec import split_data
from frugalseg.errors import SettingsError, lookup
from frugalseg.evaluation import mean_scores
from frugalseg.generalists.cache import Cached
from frugalseg.methods import method_settings
from frugalseg.methods.gmabs import GmAbsSettings, refreshes
from frugalseg.prompt.pseudo_labels import PUBLISHED, check_askable
from frugalseg.prompt.views import ViewSettings, viewing_axes
from frugalseg.report.records import Panel
from frugalseg.settings import Settings, merged, override, parse
from frugalseg.specialist.model import Model
from frugalseg.strategies.placement import PARALLEL
from frugalseg.training import GENERALIST_LABELS, TrainSettings
from frugalseg.workspace import Run, Workspace

FITTING: dict[str, Any] = {"label_dice": 0, "guard": None, "company": None}

ALL_ANSWERS: dict[str, Any] = {**FITTING, "labels": {"views": {"least_overlap": 0}}}

PLAIN: dict[str, Any] = {**ALL_ANSWERS, "denoise": False, "clip": None, "falling": False}

AS_PUBLISHED: dict[str, Any] = {
    **FITTING,
    "dice": 0,
    "prototypes": {"expert_share": 0},
    "labels": PUBLISHED.model_dump(mode="json", exclude={"prompts": {"add_point"}}),
}

SILENT: dict[str, Any] = {"labels": {"views": {"unconfirmed": "silent"}}}

ARMS: Mapping[str, dict[str, Any]] = {
    "sparse-only": {"train.method": "supervised"},
    "mean-teacher": {"train.method": "mean-teacher"},
    "as-published": {"train.method": "gmabs", "train.options": AS_PUBLISHED},
    "+gamma": {"train.method": "gmabs", "train.options": {"generalist": None}},
    "+generalist": {"train.method": "gmabs", "train.options": PLAIN},
    "+denoise": {"train.method": "gmabs", "train.options": {**PLAIN, "denoise": True}},
    "+clip": {"train.method": "gmabs", "train.options": {**ALL_ANSWERS, "falling": False}},
    "+falling": {"train.method": "gmabs", "train.options": ALL_ANSWERS},
    "+overlap": {"train.method": "gmabs", "train.options": {**FITTING, **SILENT}},
    "+confirmed": {"train.method": "gmabs", "train.options": FITTING},
    "unguarded": {"train.method": "gmabs", "train.options": {"guard": None, "company": None}},
    "+guard": {"train.method": "gmabs", "train.options": {"company": None}},
    "full": {"train.method": "gmabs", "train.options": {}},
    "full+random": {"train.method": "gmabs", "train.options": {}},
    "full+active": {"train.method": "gmabs", "train.options": {}},
    "dense": {"train.method": "supervised", "labels": "dense"},
    "ua-mt": {"train.method": "ua-mt"},
    "cps": {"train.method": "cps"},
}
"""What makes an arm: changes to the campaign. Each arm up to `full` has one part more than the one before: the second
perturbation (in the schedule "quick" with a teacher of shorter memory too), the generalist's labels, confident
learning, clipped logits, the falling weight, answers that hardly overlap what was asked about thrown away, objects that
no answer has fitted taught as background where others of their class were fitted, Dice on the labels (`unguarded`), the
guard, what lacks company thrown away. Prompts and fusion are ours in all of them; `as-published` has those of the
script, its three axes, its prototypes and its losses too.
"""

RAMPING = ("mean-teacher", "ua-mt", "cps")
"""Methods without a generalist whose consistency grows."""

PAPER_RAMP = 6000
"""The steps that takes in the schedule of the paper, GM-ABS's and theirs alike."""

TRUTH_CENTRE = "truth-centre"
"""The placement that only the oracle can know."""

HEADLINE = ("sparse-only", "mean-teacher", "full", "dense")

IN_ROUNDS = ("full+random", "full+active")

FIT = {"steps": 600, "lr": 0.004, "warmup": 20, "channels_last": True, "tensorboard": False}

TRAIN: dict[str, Any] = {
    "augment": {"turn_probability": 0.8, "angle": 30, "scale": 0.25},
    "fit": FIT,
}
"""How every arm learns."""

SLICES = {"labelled": 4, "unlabelled": 4}
"""Slices that a 2D network takes a step, where nothing else is said; volumes take two and two patches."""


class GmAbsBenchSettings(Settings):
    """What is bought and how much is learnt from it; names and numbers of GM-ABS where there are any."""

    labeled_num: int = Field(4, ge=1)  # scans whose planes are drawn first; GM-ABS
    budget: int = Field(4, ge=1)  # scans that follow; GM-ABS has 16
    topk: int = Field(2, ge=1)  # scans of a round; GM-ABS
    active_type: str = "uncerper_div"  # the strategy of full+active; GM-ABS
    label_strategy: Literal["majority", "all", "soft"] = "soft"  # how views become one label; GM-ABS: majority
    add_point: Literal[0, 1, 2] = 0  # points beside a box; GM-ABS: 2, which needs a generalist that knows points
    generalist: str = "lite-medsam"
    schedule: Literal["quick", "paper"] = "quick"
    planes: Literal["auto", "orthogonal", "parallel"] = "auto"  # auto: parallel for stacks of thick slices
    placement: str = "centre"  # of orthogonal planes; truth-centre: through the middle of the true object, GM-ABS
    slices: str = "parallel-thirds"  # of parallel ones: anywhere in each third, or parallel (quarters), -predicted, ...
    test: float = Field(1 / 3, gt=0)  # scans to measure on: a fraction below 1 or a count; patients are never cut
    split_seed: int = 0
    side: int = Field(192, ge=8)  # pixels of a slice's longer side, at most, for a 2D network
    plan: dict[str, Any] = Field(default_factory=dict)  # changes to the plan
    train: TrainSettings = TrainSettings()  # its options are those of gmabs


def arms_of(_settings: GmAbsBenchSettings) -> tuple[str, ...]:
    """All arms, in the order of the ablation."""
    return tuple(ARMS)


def depends(arm: str, settings: GmAbsBenchSettings) -> dict[str, Any]:
    """All settings, and those of the method with its defaults."""
    method, options = _method(arm, settings)
    options = method_settings(method, options).model_dump(mode="json")
    return {**settings.model_dump(mode="json"), "method": method, "options": options}


def weights(arm: str, settings: GmAbsBenchSettings) -> str | None:
    """Those of the generalist, where one is asked."""
    chosen = method_settings(*_method(arm, settings))
    if not isinstance(chosen, GmAbsSettings) or chosen.generalist is None:
        return None
    from frugalseg.generalists.registry import build_generalist

    return build_generalist(chosen.generalist).info.fingerprint


def campaign_of(arm: str, seed: int, *, pool: Pool, data: str, settings: GmAbsBenchSettings) -> CampaignSettings:
    """The campaign of one arm and seed; `data` is the pool as text."""
    s, axis = settings, _stack_axis(pool, settings)
    in_rounds = arm in IN_ROUNDS
    rounds = math.ceil(s.budget / s.topk) if in_rounds else 0
    if in_rounds and s.budget % s.topk:
        raise SettingsError(f"budget {s.budget} cannot be bought in rounds of topk {s.topk}; choose a multiple")
    by_truth = axis is None and s.placement == TRUTH_CENTRE
    placement = s.slices if axis is not None else "centre" if by_truth else s.placement
    planes = {"unit": "planes", "axis": axis or 0, "placement": placement}
    start = s.labeled_num if in_rounds else s.labeled_num + s.budget
    words = {
        "name": "gmabs",
        "data": data,
        "split": {"test": s.test, "seed": s.split_seed},
        "start": {**planes, "strategy": "random", "units": start},
        "rounds": rounds,
        "then": {**planes, "strategy": s.active_type if arm == "full+active" else "random", "units": s.topk},
        "warm": _warm(s.train.fit.steps, rounds) if rounds else None,
        "oracle": {"planes": TRUTH_CENTRE} if by_truth else {},
        "plan": {**(_plan(pool, axis, s)), **s.plan},
        "train": ({} if axis is None else SLICES) | s.train.model_dump(mode="json", exclude_unset=True),
        "advice": None,
        "seeds": [seed],
        "arms": {arm: {}},
    }
    method, options = _method(arm, s)
    changes = {**ARMS[arm], "train.method": method, "train.options": options}
    return parse(CampaignSettings, override(words, changes), where="bench gmabs")


def check(arm: str, settings: GmAbsBenchSettings, data: BenchData) -> None:
    """Raises `SettingsError` for a campaign that cannot be, and for a generalist that cannot be asked so."""
    refuse_test_data(data, "gmabs")
    _check_planes(settings, data.pool)
    campaign_of(arm, 0, pool=data.pool, data=data.main.spec.text, settings=settings)
    method, options = _method(arm, settings)
    chosen = method_settings(method, options)
    if isinstance(chosen, GmAbsSettings) and chosen.generalist:
        from frugalseg.generalists.registry import build_generalist

        refreshes(chosen.model_copy(update={"steps": settings.train.fit.steps}))
        info, cases = build_generalist(chosen.generalist).info, data.pool.cases
        check_askable(info, chosen.labels, (c.geometry for c in cases), channels=cases[0].image().channels)


def _check_planes(settings: GmAbsBenchSettings, pool: Pool) -> None:
    """Raises `SettingsError` for planes that cannot lie so, and for more of them than the scans to learn from have."""
    s = settings
    is_stack = _stack_axis(pool, s) is not None
    told_by, other = ("slices", "placement") if is_stack else ("placement", "slices")
    if other in s.model_fields_set:
        kind = "parallel" if is_stack else "orthogonal"
        raise SettingsError(f"{other} means nothing for {kind} planes; where they lie is told by {told_by}")
    if is_stack:
        lookup(PARALLEL, s.slices, "place of slices")
    n = len(split_data(pool, test=s.test, seed=s.split_seed).train)
    if s.labeled_num + s.budget > n:
        bought = f"labeled_num {s.labeled_num} and budget {s.budget}"
        raise SettingsError(f"{bought} are more than the {n} scans to learn from")


def measure(job: Job[GmAbsBenchSettings]) -> Generator[Stage, None, Measurement]:
    """Goes through the rounds of one arm and seed, then looks at the generalist's labels."""
    spec, pool = job.data.main.spec, job.data.pool
    campaign = campaign_of(job.arm, job.seed, pool=pool, data=spec.text, settings=job.settings)
    simulation = yield from gone_through(job, campaign)
    workspace = simulation.workspace(job.arm, job.seed)
    last = workspace.runs()[-1]
    yield Stage("looking at the labels")
    qualities = [*_qualities(workspace, last)]
    points = [*curve(workspace, arm=job.arm, seed=job.seed)]
    metrics = {**points[-1].metrics, "planes": float(points[-1].units)}
    metrics |= label_metrics(qualities) if qualities else {}
    metrics["seconds"] = sum(run.seconds for run in workspace.runs())
    if job.arm == "full":
        metrics["dice_generalist"] = yield from _alone(job, simulation, workspace, last)
    pictures = [*taught(workspace, last, title=job.arm), *extremes(simulation.pool, workspace, last, title=job.arm)]
    return Measurement(metrics, (*_panels(qualities, job.arm), *pictures), None)


def _alone(
    job: Job[GmAbsBenchSettings], simulation: Simulation, workspace: Workspace, last: Run
) -> Generator[Stage, None, float]:
    """Dice of the generalist on the test scans."""
    from frugalseg.generalists.registry import build_generalist

    options = parse(GmAbsSettings, _options(job.settings), where="bench gmabs")
    cache = options.embeddings.cache(simulation.cache / "embeddings")
    generalist = Cached(build_generalist(str(options.generalist), device=job.hardware.own_device()), cache)
    model = Model.load(workspace.folder / str(last.model))
    cases, scores = simulation.split.test, []
    asked = generalist_alone(model, generalist, options, simulation.pool, cases, folder=job.folder / "alone")
    for score in asked:
        scores.append(score)
        yield Stage("asking the generalist alone", len(scores), len(cases))
    return mean_scores(scores)["dice"]


def _qualities(workspace: Workspace, run: Run) -> Iterator[LabelQuality]:
    folder = workspace.run_folder(run) / GENERALIST_LABELS
    drawn = set(workspace.pool.labelled())
    unseen = [case for case in workspace.split.train if case not in drawn]
    yield from label_qualities(folder, workspace.pool, unseen)


def _panels(qualities: list[LabelQuality], arm: str) -> Iterator[Panel]:
    if qualities:
        yield label_panel(qualities, title=f"{arm}: labels")


def _method(arm: str, settings: GmAbsBenchSettings) -> tuple[str, dict[str, Any]]:
    """How an arm trains: the method, and what is said of its options."""
    method = ARMS[arm]["train.method"]
    if method == "gmabs":
        return method, merged(_options(settings), ARMS[arm]["train.options"])
    return method, {"ramp_steps": PAPER_RAMP} if settings.schedule == "paper" and method in RAMPING else {}


def _options(settings: GmAbsBenchSettings) -> dict[str, Any]:
    """The options of gmabs that the bench's own settings name, and those that were given."""
    labels = {
        "prompts": {"add_point": settings.add_point},
        "fusion": {"label_strategy": settings.label_strategy},
    }
    named = {"generalist": settings.generalist, "schedule": settings.schedule, "labels": labels}
    return merged(named, settings.train.options)


def _warm(steps: int, rounds: int) -> dict[str, int]:
    """Rounds at the paper's places, every 200 of 10000 steps from 800; in a shorter training nearer to its start."""
    first = min(800, math.ceil(0.2 * steps))
    return {"first": first, "every": max(1, min(200, math.ceil(0.2 * steps) // max(1, rounds)))}


def _stack_axis(pool: Pool, settings: GmAbsBenchSettings) -> int | None:
    """The axis across which parallel slices are drawn, None for orthogonal planes."""
    if pool.cases[0].geometry.ndim != 3:
        raise SettingsError("bench gmabs draws planes in volumes; these cases are 2D images")
    if settings.planes == "orthogonal":
        return None
    axes = {viewing_axes(case.geometry, ViewSettings()) for case in pool.cases}
    single = {a[0] for a in axes if len(a) == 1}
    if settings.planes == "parallel" or (len(single) == 1 and all(len(a) == 1 for a in axes)):
        if len(single) > 1:
            raise SettingsError(
                f"slices lie across different axes {sorted(single)}; give planes=orthogonal, or one axis"
            )
        return single.pop() if single else 2
    return None


def _plan(pool: Pool, axis: int | None, settings: GmAbsBenchSettings) -> dict[str, Any]:
    """A 2D network for stacks of slices, else what the data propose."""
    if axis is None:
        return {}
    return plan_of_slices(pool, axis, network="unet-tiny", side=settings.side)


GMABS = Bench(
    name="gmabs",
    about="Dice of a specialist on unseen scans, part by part of GM-ABS; three planes of a few scans are drawn.",
    settings=GmAbsBenchSettings,
    presets={
        "smoke": Preset(
            "phantom=anatomy,n=8,shape=24x24x16",
            {"labeled_num": 2, "budget": 2, "train": {"fit": {**FIT, "steps": 60}}, "generalist": "classic"},
            seeds=1,
            arms=("sparse-only", "mean-teacher", "full", "dense"),
        ),
        "quick": Preset("phantom=chambers,n=40", {"train": TRAIN}, seeds=3, headline=HEADLINE, others=1),
        "full": Preset(
            "phantom=chambers,n=100",
            {"budget": 16, "schedule": "paper", "train": {**TRAIN, "fit": {**FIT, "steps": 10000, "lr": 0.002}}},
            seeds=3,
            headline=HEADLINE,
            others=3,
        ),
    },
    arms=arms_of,
    metrics=(
        "dice",
        "planes",
        "dice_labels",
        "dice_denoised",
        "dice_teacher",
        "trust_*",
        "below_teacher",
        "harmful",
        "dice_generalist",
        "seconds",
    ),
    measure=measure,
    compare=(
        ("mean-teacher", "sparse-only", "dice"),
        ("full", "mean-teacher", "dice"),
        ("full", "sparse-only", "dice"),
        ("+guard", "unguarded", "dice"),
        ("full", "+guard", "dice"),
        ("full+active", "full+random", "dice"),
        ("dense", "full", "dice"),
    ),
    depends=depends,
    weights=weights,
    check=check,
    gallery_note="The generalist’s labels over the training, on some slices, then the worst and the best test case.",
    uses_gpu=True,
)
