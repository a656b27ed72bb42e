"""`frugalseg convert` and `frugalseg prepare` say what they did."""

import sys
from pathlib import Path

from running import frugalseg

from frugalseg.campaign.settings import read_campaign

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
import raw_worlds

EXPERIMENT = """
model: {model_type: strong, dataset: CHAOS, gpus: "cuda:0"}
policy: {policy_type: random, rounds: [[0.01, 0], [0.01, 0]]}
exp_dir: chaos_random
"""


def test_convert_writes_a_campaign_and_prints_each_key(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "exp.yml").write_text(EXPERIMENT)
    code, words = frugalseg(capsys, "convert", tmp_path / "exp.yml", "-o", tmp_path / "campaign.yaml")
    assert (code, "model.gpus" in words, "has no meaning here" in words, "[[0.01, 0]" in words) == (0, True, True, True)
    assert read_campaign(tmp_path / "campaign.yaml").start.units == 23


def test_convert_names_an_unknown_key_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "exp.yml").write_text(EXPERIMENT + "polcy: {}\n")
    code, words = frugalseg(capsys, "convert", tmp_path / "exp.yml", "-o", tmp_path / "campaign.yaml")
    assert (code, "unknown key 'polcy' (did you mean 'policy'?)" in words) == (2, True)
    assert not (tmp_path / "campaign.yaml").exists()


def test_prepare_says_how_to_open_what_it_wrote(tmp_path, capsys):
    raw_worlds.davis(tmp_path / "raw")
    code, words = frugalseg(capsys, "prepare", "davis", tmp_path / "raw", tmp_path / "out", "--set", "validation=1")
    assert (code, f"12 cases in {tmp_path / 'out'}; open them with --data folder=" in words) == (0, True)


def test_prepare_of_a_wrong_folder_ends_with_one_sentence(tmp_path, capsys):
    code, words = frugalseg(capsys, "prepare", "acdc", tmp_path, tmp_path / "out")
    assert (code, "neither training/ nor database/training/" in words) == (2, True)
