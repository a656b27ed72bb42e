"""A bench that measures nothing in no time, and writes down what it was asked."""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from frugalseg.bench.bench import Bench, Job, Measurement, Preset, Stage
from frugalseg.bench.run import BenchRun, Wanted
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import InstanceLabel
from frugalseg.learn.hardware import Hardware
from frugalseg.report.pictures import case_panel
from frugalseg.settings import Settings


class ToySettings(Settings):
    """How much better the good arm is."""

    gain: float = Field(0.1, ge=0)
    steps: int = 3
    extra: tuple[str, ...] = ()


def measure(job: Job[ToySettings]) -> Generator[Stage, None, Measurement]:
    for step in range(job.settings.steps):
        yield Stage("stepping", step + 1, job.settings.steps)
    with (job.folder / "measured").open("a") as file:
        file.write("once\n")
    score = 0.5 + 0.01 * job.seed + (job.settings.gain if job.arm == "good" else 0)
    only = {"extra": 1.0} if job.arm == "good" else {}
    return Measurement({"score": score, "cases": float(len(job.data.pool)), **only}, (picture(),))


def picture():
    ids = np.zeros((16, 16), np.int32)
    ids[3:9, 3:9] = 1
    image = Image(np.arange(256.0).reshape(16, 16), Geometry.plain((16, 16)))
    return case_panel(image, InstanceLabel(ids), InstanceLabel(ids), title="one")


def depends(arm: str, settings: ToySettings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude={"extra"})


TOY = Bench(
    name="toy",
    about="Nothing is compared.",
    settings=ToySettings,
    presets={
        "smoke": Preset("phantom=shapes,n=2,shape=32x32", {"steps": 1}, seeds=1, arms=("plain",)),
        "quick": Preset("phantom=shapes,n=3,shape=32x32"),
    },
    arms=lambda settings: ("plain", "good", *settings.extra),
    metrics=("score", "extra"),
    measure=measure,
    compare=(("good", "plain", "score"), ("good", "plain", "extra")),
    depends=depends,
    gallery_note="Toys.",
)


def opened(out: Path, bench: Bench[Any] = TOY, changes: dict[str, Any] | None = None, **wanted: Any) -> BenchRun[Any]:
    """The toy bench, ready to run in a folder."""
    return BenchRun.open(bench, out, wanted=Wanted(**wanted), changes=changes or {}, hardware=Hardware(device="cpu"))


if __name__ == "__main__":  # runs in a process of its own, to be killed or to share the work
    for progress in opened(Path(sys.argv[1])).run():
        print(progress.arm, progress.seed, progress.stage.done, flush=True)  # noqa: T201
