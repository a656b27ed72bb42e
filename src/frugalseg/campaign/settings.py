"""The configuration of a campaign: one YAML file."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, ValidationInfo, field_validator, model_validator

from frugalseg.annotator import OracleSettings
from frugalseg.campaign.advice import AdviceSettings
from frugalseg.data.unit import UnitKind
from frugalseg.errors import SettingsError, lookup
from frugalseg.protocols import under_protocol
from frugalseg.settings import Settings, override, parse, read_yaml
from frugalseg.specialist.plan import Plan
from frugalseg.strategies import STRATEGIES, build_strategy
from frugalseg.strategies.members import COMPARING, one_opinion
from frugalseg.strategies.placement import PARALLEL, PLACEMENTS
from frugalseg.training import TrainSettings

Amount = int | float
"""A number of units from 1 on, or a part of the pool's units below 1."""


class SplitSettings(Settings):
    """How the cases are divided. Numbers below 1 are fractions, others counts; groups are never cut."""

    validation: float = Field(0, ge=0)
    test: float = Field(0.25, ge=0)
    seed: int = 0
    file: Path | None = None  # list files as the papers ship them, instead of the numbers


class Purchase(Settings):
    """What one round buys: how many units of which kind, chosen and placed by which rule."""

    strategy: str = "random"
    # changes to the strategy's own settings; none are left out, so that what was begun before there were any goes on
    options: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda options: not options)
    units: Amount | tuple[Amount, ...] = 4  # a number; below 1 a part of all units; a list: one entry a round
    unit: UnitKind = "planes"
    axis: int = Field(0, ge=0, le=2)  # slices lie across this array axis
    placement: str = "middle-third"  # where three planes go (parallel: slices across the axis); never by the truth

    @field_validator("strategy")
    @classmethod
    def _is_strategy(cls, name: str) -> str:
        lookup(STRATEGIES, name, "strategy")
        return name

    @field_validator("options")
    @classmethod
    def _are_of_strategy(cls, options: dict[str, Any], said: ValidationInfo) -> dict[str, Any]:
        if "strategy" in said.data:
            build_strategy(said.data["strategy"], options)
        return options

    @field_validator("units", mode="before")
    @classmethod
    def _are_amounts(cls, units: Any) -> Amount | tuple[Amount, ...]:
        if not isinstance(units, list | tuple):
            return _amount(units)
        if not units:
            raise ValueError("the list needs an entry for each round")
        return tuple(map(_amount, units))

    @field_validator("placement")
    @classmethod
    def _is_placement(cls, name: str) -> str:
        lookup({**PLACEMENTS, **PARALLEL}, name, "placement")
        return name

    def turn(self, number: int) -> "Purchase":
        """What the round with this number buys of those that buy like this; the first has number 0."""
        return self.model_copy(update={"units": self.units[number]}) if isinstance(self.units, tuple) else self

    def n_units(self, total: int) -> int:
        """How many of so many units are bought, one at least. Raises `SettingsError` for a list."""
        if isinstance(self.units, tuple):
            raise SettingsError(f"units = {list(self.units)}: this one round buys a single number of units")
        return self.units if isinstance(self.units, int) else max(1, round(self.units * total))


def _amount(value: Any) -> Amount:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf") or (value > 1 and value != int(value)):
        raise ValueError("a round buys a whole number of units, or a part of them between 0 and 1")
    return int(value) if value >= 1 else float(value)


class Warm(Settings):
    """One training through all rounds: it goes on with the same networks after each. GM-ABS buys at 800, 1000, ..."""

    first: int = Field(800, ge=1)  # steps on what the start has bought
    every: int = Field(200, ge=1)  # steps after each round but the last, which trains to the end

    def until(self, number: int, *, rounds: int) -> int | None:
        """The step before which the training of round `number` ends; None for the last."""
        return None if number == rounds else self.first + number * self.every


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
    protocol: str | None = None  # la: plan, training and scores as in the papers; what is said beside it counts
    plan: dict[str, Any] = Field(default_factory=dict)  # changes to the plan made from the data
    train: TrainSettings = TrainSettings()
    warm: Warm | None = None  # null: every round trains new networks from the beginning
    members: int = Field(1, ge=1)  # specialists trained before each choice, with other seeds: all say what is uncertain
    advice: AdviceSettings | None = AdviceSettings()  # whether to go on after each round; null: nobody asks
    seeds: tuple[NonNegativeInt, ...] = (0, 1, 2)
    arms: dict[str, dict[str, Any]] = Field(default_factory=_one_arm, min_length=1)
    compare: tuple[tuple[str, str], ...] = ()  # pairs of arms whose difference is tested over the seeds

    @model_validator(mode="before")
    @classmethod
    def _with_protocol(cls, said: Any) -> Any:
        return under_protocol(said) if isinstance(said, dict) else said

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
    def _is_one_training(self) -> "CampaignSettings":
        if self.warm and self.rounds and self.warm.first + (self.rounds - 1) * self.warm.every >= self.train.fit.steps:
            raise ValueError(
                f"warm: {self.rounds} rounds from step {self.warm.first} on, every {self.warm.every} steps, do not fit "
                f"into {self.train.fit.steps} steps; change warm.first, warm.every, rounds or train.fit.steps"
            )
        if self.warm is not None and self.members > 1:
            raise ValueError("warm campaigns continue one specialist; set members to 1")
        return self

    @model_validator(mode="after")
    def _each_round_buys(self) -> "CampaignSettings":
        if isinstance(self.start.units, tuple):
            raise ValueError("start.units: the start is one round, and buys one number of units")
        if isinstance(self.then.units, tuple) and len(self.then.units) < self.rounds:
            n = len(self.then.units)
            raise ValueError(f"then.units: {self.rounds} rounds follow the start, but the list has {n} of them")
        return self

    @model_validator(mode="after")
    def _pairs_are_arms(self) -> "CampaignSettings":
        for name in {name for pair in self.compare for name in pair}:
            lookup(self.arms, name, "arm in 'compare'")
        return self

    def purchase(self, number: int) -> Purchase:
        """What round `number` buys; round 0 is the start."""
        return self.start if number == 0 else self.then.turn(number - 1)

    def arm(self, name: str, *, file: Path | None = None) -> "CampaignSettings":
        """The settings of one arm: this campaign with the arm's changes, without the list of arms.

        Errors name the file, where there is one.
        """
        where = f"arm '{name}'" if file is None else f"{file}: arm '{name}'"
        changes = lookup(self.arms, name, "arm")
        if "protocol" in changes:
            raise SettingsError(f"{where}: a protocol is that of the whole campaign; say it above the arms")
        data = self.model_dump(mode="json", exclude={"arms", "compare"})
        return parse(CampaignSettings, override(data, changes), where=where)


def read_campaign(path: Path, changes: dict[str, Any] | None = None) -> CampaignSettings:
    """The campaign in a YAML file with changes applied; every arm is checked too. Raises `SettingsError`."""
    data = override(read_yaml(path), changes or {})
    settings = parse(CampaignSettings, data, where=str(path))
    for name in settings.arms:
        settings.arm(name, file=path)
    return settings


def check_opinions(settings: CampaignSettings, plan: Plan) -> None:
    """Raises `SettingsError`, before anything is trained, for an arm whose strategy lacks predictions to compare."""
    for name in settings.arms:
        arm = settings.arm(name)
        if arm.rounds and arm.then.strategy in COMPARING and arm.members == 1 and not plan.completed().dropout:
            raise one_opinion(arm.then.strategy)
