"""Benches whose arms are campaigns: each (arm, seed) is one, in the folder of its job."""

from collections.abc import Generator

from frugalseg.bench.bench import BenchData, Job, S, Stage
from frugalseg.campaign.settings import CampaignSettings
from frugalseg.campaign.simulate import Simulation
from frugalseg.errors import SettingsError


def refuse_test_data(data: BenchData, name: str) -> None:
    """Raises `SettingsError` for data to test on: a campaign divides its data itself."""
    if data.test is not None:
        raise SettingsError(f"bench {name} divides --data by patients itself; leave out --test-data")


def gone_through(job: Job[S], campaign: CampaignSettings) -> Generator[Stage, None, Simulation]:
    """Goes through the rounds of a job's campaign, and returns it.

    Campaigns lie in OUT/ARM/seed-N as jobs do, and share OUT/cache.
    """
    simulation = Simulation.on(job.data.pool, campaign, job.folder.parents[1], job.hardware)
    for at in simulation.rounds(job.arm, job.seed):
        yield Stage(f"round {at.round}, {at.stage}", at.done, at.total, at.step.losses if at.step else {})
    return simulation
