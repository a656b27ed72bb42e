"""What the doctor prints."""

from running import frugalseg

from frugalseg.cli.doctor import Check


def test_the_name_of_an_extra_keeps_its_brackets(capsys, monkeypatch):
    advice = "not installed; pip install 'frugalseg[studio]'"
    monkeypatch.setattr("frugalseg.cli.doctor.examine", lambda: [Check("extra studio", advice)])
    assert advice in frugalseg(capsys, "doctor")[1]
