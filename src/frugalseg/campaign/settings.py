"""The configuration of a campaign: one YAML file."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from frugalseg.annotator import OracleSettings
from frugalseg.data.unit import UnitKind
from frugalseg.errors import lookup
from frugalseg.settings import Settings, override, parse, read_yaml
from frugalseg.strategies import STRATEGIES
from frugalseg.strategies.placement import PLACEMENTS
from frugalseg.training import TrainSettings


class SplitSettings(Settings):
    """How the cases are divided. Numbers below 1 are fractions, others counts; groups are never cut."""

    validation: float = Field(0, ge=0)
    test: float = Field(0.25, ge=0)
    seed: int = 0
    file: Path | None = None  # list files as the papers ship them, instead of the numbers


class Purchase(Settings):
    """What one round buys: how many units of which kind, chosen and placed by which rule."""

    strategy: str = "random"
    units: int = Field(4, ge=1)
    unit: UnitKind = "planes"
    axis: int = Field(0, ge=0, le=2)  # slices lie across this array axis
    placement: str = "middle-third"  # where three planes go; never by the truth unless the oracle is told so

    @field_validator("strategy")
    @classmethod
    def _is_strategy(cls, name: str) -> str:
        lookup(STRATEGIES, name, "strategy")
        return name

    @field_validator("placement")
    @classmethod
    def _is_placement(cls, name: str) -> str:
        lookup(PLACEMENTS, name, "placement")
        return name


def _one_arm() -> dict[str, dict[str, Any]]:
    return {"campaign": {}}


class CampaignSettings(Settings):
    """A campaign, or one arm of it after the arm's changes are applied."""

    name: str
    data: str  # LAYOUT=DIR,option=value or phantom=KIND,n=40
    split: SplitSettings = SplitSettings()
    labels: Literal["bought", "dense"] = "bought"  # dense: every training case drawn whole, the upper bound
    start: Purchase = Purchase()
    rounds: int = Field(0, ge=0)  # rounds after the start
    then: Purchase = Purchase(strategy="foreground-random")
    oracle: OracleSettings = OracleSettings()
    plan: dict[str, Any] = Field(default_factory=dict)  # changes to the plan made from the data
    train: TrainSettings = TrainSettings()
    seeds: tuple[NonNegativeInt, ...] = (0, 1, 2)
    arms: dict[str, dict[str, Any]] = Field(default_factory=_one_arm, min_length=1)
    compare: tuple[tuple[str, str], ...] = ()  # pairs of arms whose difference is tested over the seeds

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("a campaign needs one seed at least")
        if len(set(seeds)) < len(seeds):
            raise ValueError("each seed counts once; leave out what is repeated")
        return seeds

    @field_validator("arms")
    @classmethod
    def _name_folders(cls, arms: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in arms:
            if Path(name).name != name or name in ("", ".."):
                raise ValueError(f"the name of arm '{name}' becomes a folder; write it without slashes")
        return arms

    @model_validator(mode="after")
    def _pairs_are_arms(self) -> "CampaignSettings":
        for name in {name for pair in self.compare for name in pair}:
            lookup(self.arms, name, "arm in 'compare'")
        return self

    def purchase(self, number: int) -> Purchase:
        """What round `number` buys; round 0 is the start."""
        return self.start if number == 0 else self.then

    def arm(self, name: str) -> "CampaignSettings":
        """The settings of one arm: this campaign with the arm's changes, without the list of arms."""
        changes = lookup(self.arms, name, "arm")
        data = self.model_dump(mode="json", exclude={"arms", "compare"})
        return parse(CampaignSettings, override(data, changes), where=f"arm '{name}'")


def read_campaign(path: Path, changes: dict[str, Any] | None = None) -> CampaignSettings:
    """The campaign in a YAML file with changes applied; every arm is checked too. Raises `SettingsError`."""
    data = override(read_yaml(path), changes or {})
    settings = parse(CampaignSettings, data, where=str(path))
    for name in settings.arms:
        settings.arm(name)
    return settings
