"""What is wrong with a campaign file is said before anything is made of it."""

import pytest
from campaign_worlds import tiny

from frugalseg.errors import SettingsError


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
