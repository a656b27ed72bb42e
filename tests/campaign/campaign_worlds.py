"""A campaign small enough for a test: tiny phantoms, a tiny network, a few steps."""

import sys
from pathlib import Path

from frugalseg.campaign.settings import CampaignSettings
from frugalseg.campaign.simulate import Simulation
from frugalseg.learn.hardware import Hardware
from frugalseg.settings import override, parse

SETTINGS = {
    "name": "tiny",
    "data": "phantom=anatomy,n=8,shape=20x20x16",
    "split": {"test": 2},
    "start": {"units": 2},
    "then": {"units": 1, "strategy": "entropy"},
    "rounds": 1,
    "seeds": [0, 1],
    "plan": {"network": "unet", "widths": [4, 8], "patch": [16, 16, 16]},
    "train": {
        "method": "supervised",
        "labelled": 1,
        "unlabelled": 1,
        "fit": {"steps": 4, "checkpoint_every": 1, "tensorboard": False},
    },
    "arms": {"sparse": {}, "teacher": {"train.method": "mean-teacher"}, "dense": {"labels": "dense", "rounds": 0}},
    "compare": [["teacher", "sparse"]],
}


def tiny(**changes: object) -> CampaignSettings:
    """The settings with changes."""
    return parse(CampaignSettings, override(SETTINGS, changes), where="test")


def simulation(out: Path, **changes: object) -> Simulation:
    """The campaign on one thread."""
    return Simulation.open(tiny(**changes), out, Hardware(device="cpu", threads=1))


if __name__ == "__main__":  # runs in a process of its own, to be killed
    for progress in simulation(Path(sys.argv[1]), seeds=[0]).run(("teacher",)):
        print(progress.round, progress.stage, progress.done, flush=True)  # noqa: T201
