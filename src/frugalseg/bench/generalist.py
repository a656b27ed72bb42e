"""How good promptable models are on the objects of labelled data, by a box and by clicks.

For each object a box that is a few pixels too large, then sessions of simulated users: the first click lies in the
object, each next one in the largest error. Where people have drawn strokes on the data, an answer to these too. All
arms meet the same objects, boxes and first clicks of a seed.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from frugalseg.bench.asking import Asked, Asking, Timed, User
from frugalseg.bench.bench import Bench, Job, Measurement, Preset, Stage
from frugalseg.bench.replies import Report, quality
from frugalseg.bench.targets import Sample, pictures_of, sample_targets
from frugalseg.generalists.generalist import Generalist
from frugalseg.report.answers import answer_panel
from frugalseg.report.records import Panel
from frugalseg.seeds import stream
from frugalseg.settings import Settings

ZOOM = "+zoom"
"""End of the names of arms that look at an object through a window around it."""

WITHOUT_WEIGHTS = ("classic", "classic" + ZOOM, "grabcut")
"""Get no feedback: `classic` loses 0.05 IoU by it after three clicks on dsb2018, and 0.01 on hippocampus."""


class GeneralistSettings(Settings):
    """What is asked, of whom."""

    axis: int = Field(2, ge=0, le=2)  # slices of volumes lie across this array axis
    per_class: int = Field(30, ge=1)  # objects of each class
    per_case: int = Field(2, ge=1)  # objects of a class from one case; those of a volume lie in as many slices
    min_pixels: int = Field(30, ge=1)  # smaller objects are left out
    rater: str | None = None  # whose labels, where several have drawn
    jitter: tuple[int, int] = (0, 4)  # pixels by which each side of a box lies outside of its object
    users: tuple[User, ...] = Field(("centre", "noisy"), min_length=1)
    max_clicks: int = Field(10, ge=1)
    feedback: bool = True  # the last answer goes in with the next click, as networks of SAM's make are trained
    input_size: Literal["auto"] | int = "auto"  # pixels of the network's input, where it has several
    weights: dict[str, Path] = Field(default_factory=dict)  # local files or folders of generalists, which become arms
    adapter: Path | None = None  # a click adapter other than the shipped one
    overlays: int = Field(20, ge=1)  # objects in the pictures of an arm
    worst: int = Field(5, ge=0)  # of them those that went worst


def arms_of(settings: GeneralistSettings) -> tuple[str, ...]:
    """Those without weights, the generalists of this project and those with weights, with and without zoom."""
    names = dict.fromkeys(["lite-medsam", "lite-medsam-clicks", *settings.weights])
    return (*WITHOUT_WEIGHTS, *(arm for name in names for arm in (name, name + ZOOM)))


def build(arm: str, settings: GeneralistSettings) -> Generalist:
    """The generalist of an arm. Raises `WeightsError` where its weights are not on this machine."""
    name = arm.removesuffix(ZOOM)
    if name == "grabcut":
        from frugalseg.bench.grabcut import GrabCut

        return GrabCut()
    from frugalseg.generalists.registry import CLICKS, LITE, build_generalist

    return build_generalist(
        name,
        weights=settings.weights.get(name),
        input_size=settings.input_size if name in (LITE, CLICKS) else "auto",
        adapter=settings.adapter if name == CLICKS else None,
    )


def depends(arm: str, settings: GeneralistSettings) -> dict[str, Any]:
    """All settings, but of the weights and the adapter the content of those that the arm has."""
    info = build(arm, settings).info
    words = settings.model_dump(mode="json", exclude={"weights", "adapter", "input_size"})
    return {**words, "weights": info.fingerprint, "input_size": info.settings}


def measure(job: Job[GeneralistSettings]) -> Generator[Stage, None, Measurement]:
    """Asks for every object that was drawn."""
    settings, pool = job.settings, job.data.pool
    generalist = Timed(build(job.arm, settings))
    sample = Sample(**settings.model_dump(include=set(Sample.model_fields)))
    feedback = settings.feedback and job.arm not in WITHOUT_WEIGHTS
    asking = Asking(settings.jitter, settings.users, settings.max_clicks, feedback, job.seed)
    yield Stage("choosing objects")
    targets = sample_targets(pool, sample, seed=job.seed)
    asked: list[Asked] = []
    for picture in pictures_of(pool, targets, sample):
        for one in asking.ask(generalist, picture, zoom="auto" if job.arm.endswith(ZOOM) else "off"):
            asked.append(one)
            yield Stage("asking", len(asked), len(targets))
    report = Report(dict(enumerate(pool.classes[1:], 1)), settings.max_clicks)
    return Measurement(report.metrics(asked) | generalist.medians(), overlays(asked, settings, seed=job.seed))


def overlays(asked: Sequence[Asked], settings: GeneralistSettings, *, seed: int) -> tuple[Panel, ...]:
    """Pictures of the objects that went worst, the worst first, then of some that were drawn with the seed."""
    worst = sorted(asked, key=lambda one: (quality(one), one.target))[: settings.worst]
    drawn = [asked[k] for k in stream(seed, "overlays").permutation(len(asked)) if asked[k] not in worst]
    chosen = [(f"worst {n}: {one.target}", one) for n, one in enumerate(worst, 1)]
    chosen += [(str(one.target), one) for one in drawn[: settings.overlays - len(worst)]]
    return tuple(answer_panel(one.image, one.meant, one.answers, title=title) for title, one in chosen)


def _differences() -> tuple[tuple[str, str, str], ...]:
    """What the click adapter and the window must bring."""
    clicks, boxes = "lite-medsam-clicks", "lite-medsam"
    return (
        (clicks, boxes, "iou_box"),
        (clicks + ZOOM, boxes + ZOOM, "iou_box"),
        (boxes + ZOOM, boxes, "iou_box"),
        (clicks + ZOOM, clicks, "iou_3"),
        (clicks + ZOOM, "classic", "iou_3"),
        (clicks + ZOOM, "classic" + ZOOM, "iou_3"),
        (clicks + ZOOM, "grabcut", "iou_3"),
    )


GENERALIST = Bench(
    name="generalist",
    about="Overlap with the object that is meant, after a box and after clicks.",
    settings=GeneralistSettings,
    presets={
        "smoke": Preset(
            "phantom=bubbles,n=2,shape=96x96",
            {"per_class": 4, "max_clicks": 3, "overlays": 4, "worst": 2},
            seeds=1,
            arms=WITHOUT_WEIGHTS,
        ),
        "quick": Preset("phantom=bubbles,n=20"),
        "full": Preset("phantom=bubbles,n=100", {"per_class": 200, "per_case": 4, "max_clicks": 20}),
    },
    arms=arms_of,
    metrics=(
        "iou_box",
        "iou_1",
        "iou_3",
        "iou_5",
        "iou_10",
        "iou_strokes",
        "noc80",
        "noc90",
        "score_rank",
        "embed_ms",
        "decode_ms",
    ),
    measure=measure,
    compare=_differences(),
    depends=depends,
    gallery_note=(
        "Each object with its surroundings: what was meant in blue, the answer in orange, clicks and boxes in yellow "
        "(dots lie on the object, crosses beside it); the objects that went worst come first."
    ),
)
