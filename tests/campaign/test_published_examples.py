"""The campaigns of the papers in examples/ can be read, and one of them runs on a stand-in for its data."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from published_files import PORTED, PUBLISHED, experiment_file

from frugalseg.campaign.convert import convert
from frugalseg.campaign.settings import CampaignSettings, read_campaign
from frugalseg.data.raw import prepare
from frugalseg.data.spec import parse_data_spec
from frugalseg.methods import method_settings
from frugalseg.settings import merged, parse
from frugalseg.strategies import STRATEGIES

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
import raw_worlds
from running import frugalseg

EXAMPLES = Path(__file__).parents[2] / "examples" / "coreclr"
FILES = sorted(EXAMPLES.glob("*.yaml"))
ARMS = [(example, arm) for files in (PUBLISHED, PORTED) for example, arms in files.items() for arm in arms]
OURS = {"foreground-random", "bald-networks", "coreclr"}


def test_there_is_one_for_each_set_and_kind_of_label():
    names = ["acdc_strong", "acdc_weak", "chaos_strong", "davis_strong", "mscmr_weak"]
    assert [file.stem for file in FILES] == names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_a_campaign_whose_data_can_be_named(file, monkeypatch):
    monkeypatch.setenv("FRUGALSEG_DATA", "/data")
    settings = read_campaign(file)
    assert parse_data_spec(settings.data).place.startswith("/data/")
    assert {"random", "foreground-random", "coreset", "coreclr", "coreclr-paper"} <= set(settings.arms)
    assert all(len(line) <= 120 or line.startswith("data:") for line in file.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_all_arms_begin_alike_but_those_that_say_they_do_not(file):
    settings = read_campaign(file)
    for name in settings.arms:
        arm = settings.arm(name)
        first, later = arm.start.strategy, arm.then.strategy
        assert first == (later if name.endswith("-cold") else "random")
        assert (arm.start.units, arm.rounds, arm.seeds) == (settings.start.units, settings.rounds, settings.seeds)
        assert arm.start.options == (arm.then.options if name.endswith("-cold") else {})


def converted(example, arm, tmp_path):
    """The campaign that `frugalseg convert` makes of the file behind an arm."""
    file = tmp_path / "exp.yml"
    file.write_text(yaml.safe_dump(experiment_file(example, arm)), encoding="utf-8")
    return parse(CampaignSettings, convert(file).settings, where=str(file))


def chosen(purchase):
    """The strategy and all of its settings."""
    return purchase.strategy, merged(STRATEGIES[purchase.strategy].settings.model_dump(mode="json"), purchase.options)


@pytest.mark.parametrize(("example", "arm"), ARMS)
def test_an_arm_chooses_as_convert_says_of_its_file(example, arm, tmp_path):
    meant = converted(example, arm, tmp_path)
    campaign = read_campaign(EXAMPLES / f"{example}.yaml")
    found = campaign.arm(arm)
    assert chosen(found.then) == chosen(meant.then)
    assert (found.members, found.rounds, found.start.units) == (meant.members, meant.rounds, meant.start.units)
    assert [found.purchase(k).n_units(9999) for k in range(1, found.rounds + 1)] == [
        meant.purchase(k).n_units(9999) for k in range(1, found.rounds + 1)
    ]
    cold = f"{arm}-cold"
    if cold in campaign.arms:
        assert chosen(campaign.arm(cold).start) == chosen(meant.start)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_arm_is_of_a_file_or_said_to_be_ours(file):
    arms = {name.removesuffix("-cold") for name in read_campaign(file).arms}
    of_files = {*PUBLISHED[file.stem], *PORTED[file.stem]}
    assert of_files <= arms <= of_files | OURS
    words = " ".join(line.strip("# ") for line in file.read_text(encoding="utf-8").partition("name:")[0].splitlines())
    (said,) = [sentence for sentence in words.split(". ") if sentence.endswith("are ours")]
    assert {name for name in OURS if name in said} == arms - of_files


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_network_and_training_are_as_convert_says(file, tmp_path):
    meant, found = converted(file.stem, "random", tmp_path), read_campaign(file)
    assert (found.data, found.split, found.plan, found.oracle) == (meant.data, meant.split, meant.plan, meant.oracle)
    options = [method_settings(x.train.method, x.train.options) for x in (found, meant)]
    assert options[0] == options[1]
    assert found.train.model_copy(update={"options": {}}) == meant.train.model_copy(update={"options": {}})


@pytest.mark.parametrize(("example", "pixels", "mm"), [("mscmr_weak", 212, 1.367), ("chaos_strong", 189, 1.89)])
def test_a_patch_is_the_published_square(example, pixels, mm):
    plan = read_campaign(EXAMPLES / f"{example}.yaml").plan
    assert plan["patch"] == [256, 256]
    assert plan["spacing"] == [pytest.approx(pixels * mm / 256, abs=5e-4)] * 2
    assert "side" not in plan


@pytest.mark.parametrize("file", [file for file in FILES if file.stem != "davis_strong"], ids=lambda file: file.stem)
def test_the_published_budget_goes_up_to_forty_per_cent(file):
    pool = {"acdc": 1454, "chaos": 2351, "mscmr": 382}[file.stem.partition("_")[0]]
    settings = read_campaign(file, {"rounds": 8})
    assert sum(settings.purchase(k).n_units(pool) for k in range(9)) == int(0.4 * pool)
    assert "--set rounds=8" in file.read_text(encoding="utf-8")


def test_its_data_is_what_prepare_says(tmp_path, monkeypatch):
    monkeypatch.setenv("FRUGALSEG_DATA", str(tmp_path))
    raw_worlds.acdc(tmp_path / "raw" / "acdc", {1: 2})
    raw_worlds.chaos_ct(tmp_path / "raw" / "chaos", 1)
    raw_worlds.mscmr(tmp_path / "raw" / "mscmr")
    raw_worlds.davis(tmp_path / "raw" / "davis")
    for file, name, folder in zip(
        ["acdc_weak", "chaos_strong", "mscmr_weak", "davis_strong"],
        ["acdc", "chaos", "mscmr", "davis"],
        ["acdc", "chaos_ct", "mscmr", "davis"],
        strict=True,
    ):
        options = {"validation": 0} if name == "davis" else {}
        (*_, last) = prepare(name, tmp_path / "raw" / name, tmp_path / folder, options=options)
        said = read_campaign(EXAMPLES / f"{file}.yaml").data
        assert sorted(parse_data_spec(said).text.split(",")) == sorted(last.spec.split(","))


TINY = {
    "plan.patch": "[32, 32]",
    "plan.widths": "[4, 8]",
    "start.units": 3,
    "then.units": 2,
    "rounds": 1,
    "train.fit.steps": 3,
    "train.labelled": 2,
    "seeds": "[0]",
    "compare": "[[coreset, random]]",
}


def tiny(campaign):
    """The changes as words; a plan that knows millimetres keeps them."""
    side = {"plan.side": 32} if read_campaign(campaign).plan.get("side") else {}
    return [word for key, value in {**TINY, **side}.items() for word in ("--set", f"{key}={value}")]


@pytest.mark.slow
def test_acdc_with_strokes_runs_from_the_download_to_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FRUGALSEG_DATA", str(tmp_path))
    raw_worlds.acdc(tmp_path / "raw", {1: 4, 2: 11, 81: 3, 101: 3}, strokes=tmp_path / "strokes")
    strokes = f"scribbles={tmp_path / 'strokes'}"
    code, words = frugalseg(capsys, "prepare", "acdc", tmp_path / "raw", tmp_path / "acdc", "--set", strokes)
    assert (code, "8 cases in" in words) == (0, True)
    campaign, out = EXAMPLES / "acdc_weak.yaml", tmp_path / "run"
    only = ("--only", "random,coreset,bald", "--device", "cpu", "--threads", 1)
    code, words = frugalseg(capsys, "run", campaign, "-o", out, *only, *tiny(campaign))
    assert code == 0, words
    arms = json.loads((out / "results.json").read_text(encoding="utf-8"))["arms"]
    assert set(arms) == {"random", "coreset", "bald"}
    assert {"dice_RV", "dice_myocardium", "dice_LV"} <= set(arms["random"])
    assert (out / "report.html").is_file()


def six_patients(root):
    for patient in range(1, 7):
        raw_worlds.chaos_ct(root, patient)


def hearts(root):
    raw_worlds.acdc(root, {1: 4, 2: 11, 81: 3, 101: 3})


def small_numbers(root):
    raw_worlds.mscmr(root, values=(3, 1, 2))


@pytest.mark.parametrize(
    ("file", "make", "data", "folder", "options"),
    [
        ("acdc_strong", hearts, "acdc", "acdc", ()),
        ("chaos_strong", six_patients, "chaos", "chaos_ct", ()),
        ("davis_strong", raw_worlds.davis, "davis", "davis", ("--set", "validation=0")),
        ("mscmr_weak", raw_worlds.mscmr, "mscmr", "mscmr", ()),
        ("mscmr_weak", small_numbers, "mscmr", "mscmr", ("--set", "values=3+1+2")),
    ],
)
def test_it_runs_from_the_download_to_the_numbers(file, make, data, folder, options, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FRUGALSEG_DATA", str(tmp_path))
    make(tmp_path / "raw")
    code, words = frugalseg(capsys, "prepare", data, tmp_path / "raw", tmp_path / folder, *options)
    assert code == 0, words
    campaign, out = EXAMPLES / f"{file}.yaml", tmp_path / "run"
    only = ("--only", "random", "--device", "cpu")
    code, words = frugalseg(capsys, "run", campaign, "-o", out, *only, *tiny(campaign))
    assert code == 0, words
    assert (out / "results.json").is_file()


def test_strokes_of_small_numbers_need_their_values(tmp_path, capsys):
    small_numbers(tmp_path / "raw")
    code, words = frugalseg(capsys, "prepare", "mscmr", tmp_path / "raw", tmp_path / "mscmr")
    assert (code, "--set values=3+1+2" in words) == (2, True)
    assert "--set values=3+1+2" in (EXAMPLES / "mscmr_weak.yaml").read_text(encoding="utf-8")
