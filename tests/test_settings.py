import pytest

from frugalseg.errors import SettingsError, lookup
from frugalseg.settings import Settings, merged, override, parse, parse_assignments, read_yaml


class Inner(Settings):
    decay: float = 0.99


class Outer(Settings):
    steps: int = 10
    inner: Inner = Inner()


def test_unknown_key_names_the_nearest_one():
    with pytest.raises(SettingsError, match=r"run\.yaml: unknown key 'stpes' \(did you mean 'steps'\?\)"):
        parse(Outer, {"stpes": 3}, where="run.yaml")


def test_unknown_nested_key_names_the_nearest_one():
    with pytest.raises(SettingsError, match=r"unknown key 'inner\.decai' \(did you mean 'decay'\?\)"):
        parse(Outer, {"inner": {"decai": 0.5}}, where="options")


def test_a_missing_key_is_named_without_the_rest_of_the_file():
    class Named(Settings):
        name: str
        size: int = 3

    with pytest.raises(SettingsError, match=r"^run\.yaml: the key 'name' is missing$"):
        parse(Named, {"size": 4}, where="run.yaml")


def test_wrong_value_names_key_and_value():
    with pytest.raises(SettingsError, match=r"'steps' = 'many'"):
        parse(Outer, {"steps": "many"}, where="options")


def test_a_long_value_is_cut_off():
    with pytest.raises(SettingsError, match=r"^options: 'inner' = \['a', 'a', [^:]{60,70}\.\.\.: Input"):
        parse(Outer, {"inner": ["a"] * 100}, where="options")


def test_override_reaches_into_mappings_and_leaves_the_original():
    data = {"inner": {"decay": 0.5}, "steps": 3}
    assert override(data, {"inner.decay": 0.9}) == {"inner": {"decay": 0.9}, "steps": 3}
    assert data["inner"]["decay"] == 0.5


def test_merging_keeps_what_is_not_named_and_the_original():
    data = {"inner": {"decay": 0.5, "rate": 1}, "steps": 3, "none": None}
    found = merged(data, {"inner": {"decay": 0.9}, "none": {"a": 1}})
    assert found == {"inner": {"decay": 0.9, "rate": 1}, "steps": 3, "none": {"a": 1}}
    assert data["inner"]["decay"] == 0.5


def test_assignments_are_read_as_yaml():
    texts = ["a.b=3", "c=true", "d=[1, 2]", "e=text", "f=x=y"]
    assert parse_assignments(texts) == {"a.b": 3, "c": True, "d": [1, 2], "e": "text", "f": "x=y"}


def test_assignment_without_a_value_is_explained():
    with pytest.raises(SettingsError, match="write KEY=VALUE"):
        parse_assignments(["steps"])


def test_assignment_of_broken_yaml_is_explained():
    with pytest.raises(SettingsError, match=r"--set steps=\[1: the value is not valid YAML"):
        parse_assignments(["steps=[1"])


def test_settings_file_of_another_encoding_is_named(tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"run\.yaml: not valid YAML"):
        read_yaml(tmp_path / "run.yaml")


@pytest.mark.parametrize(("text", "message"), [("- 1\n", "must hold 'key: value'"), ("a: [1", "not valid YAML")])
def test_broken_settings_file_is_named(tmp_path, text, message):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_yaml(file)
    assert str(file) in str(caught.value)


def test_absent_settings_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="no such settings file"):
        read_yaml(tmp_path / "run.yaml")


def test_unknown_name_lists_what_there_is():
    with pytest.raises(SettingsError, match=r"unknown method 'cpt' \(did you mean 'cps'\?\); there are: cps, ua-mt"):
        lookup({"cps": 1, "ua-mt": 2}, "cpt", "method")
