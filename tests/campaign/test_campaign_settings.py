"""What is wrong with a campaign file is said before anything is made of it."""

from pathlib import Path

import pytest
import yaml
from campaign_worlds import SETTINGS, tiny

from frugalseg.campaign.settings import read_campaign
from frugalseg.errors import SettingsError

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {}}, r"'arms' = \{\}: .*at least 1"),
        ({"arms": {"a/b": {}}, "compare": []}, "arm 'a/b' becomes a folder"),
        ({"arms": {"..": {}}, "compare": []}, r"arm '\.\.' becomes a folder"),
        ({"seeds": []}, "one seed at least"),
        ({"seeds": [0, -1]}, r"^test: 'seeds\.1' = -1: [^;]*greater than or equal to 0$"),
        ({"seeds": [3, 3]}, "each seed counts once"),
        ({"start.strategy": "randon"}, r"'start\.strategy'.*did you mean 'random'"),
        ({"then.placement": "center"}, r"'then\.placement'.*did you mean 'centre'"),
        ({"then.options": {"encodr": 1}}, r"'then\.options' = .*options of strategy 'entropy': unknown key 'encodr'"),
        ({"then.options": 3}, r"'then\.options' = 3"),
        (
            {"then.units": 0},
            r"'then\.units' = 0: a round buys a whole number of units, or a part of them between 0 and 1",
        ),
        ({"then.units": 2.5}, r"'then\.units' = 2\.5: a round buys a whole number"),
        ({"then.units": [1, "all"]}, r"'then\.units' = \[1, 'all'\]: a round buys a whole number"),
        ({"then.units": []}, "the list needs an entry for each round"),
        ({"start.units": [1, 2]}, r"start\.units: the start is one round"),
        ({"then.units": [1, 2], "rounds": 3}, r"then\.units: 3 rounds follow the start, but the list has 2 of them"),
        ({"train.method": "cpt"}, r"'train\.method'.*did you mean 'cps'"),
    ],
)
def test_what_cannot_run_is_named(changes, message):
    with pytest.raises(SettingsError, match=message):
        tiny(**changes)


def test_an_arm_with_an_unknown_method_is_named():
    settings = tiny(**{"arms": {"teacher": {"train.method": "mean-techer"}}, "compare": []})
    with pytest.raises(SettingsError, match=r"arm 'teacher': 'train\.method'.*did you mean 'mean-teacher'"):
        settings.arm("teacher")


def test_options_that_do_not_fit_the_strategy_of_an_arm_name_the_file_and_the_keys(tmp_path):
    arms = {"vaal": {"then.strategy": "vaal", "then.options": {"latents": 3}}}
    content = {**SETTINGS, "arms": arms, "compare": []}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    words = r"mine\.yaml: arm 'vaal': .*unknown key 'latents' \(did you mean 'latent'\?\); there are: side, widths, "
    with pytest.raises(SettingsError, match=words):
        read_campaign(tmp_path / "mine.yaml")


def test_options_are_given_by_name_and_none_leave_no_trace():
    settings = tiny(**{"then.strategy": "coreclr", "then.options.encoder.temperature": 0.5})
    assert settings.then.options == {"encoder": {"temperature": 0.5}}
    assert "options" not in settings.start.model_dump(mode="json")


def test_units_are_a_number_a_part_of_all_or_a_list_of_them():
    settings = tiny(**{"start.units": 0.05, "then.units": [8.0, 0.25], "rounds": 2})
    assert [settings.purchase(k).n_units(60) for k in range(3)] == [3, 8, 15]
    assert settings.purchase(0).n_units(4) == 1
    assert tiny(**{"then.units": [8, 9], "rounds": 1}).purchase(1).units == 8
    with pytest.raises(SettingsError, match=r"units = \[8, 9\]: this one round"):
        tiny(**{"then.units": [8, 9]}).then.n_units(60)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_a_campaign(file):
    campaign = read_campaign(file)
    assert all(campaign.arm(arm).train.method for arm in campaign.arms)
