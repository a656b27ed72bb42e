"""A folder of LA-style files trains and is measured by the published protocol, as a campaign and as commands."""

import itertools
import json
import sys
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
import torch
import yaml
from scipy.spatial.distance import cdist

from frugalseg.campaign.settings import read_campaign
from frugalseg.cli import main
from frugalseg.data.layouts import open_pool
from frugalseg.data.spec import parse_data_spec
from frugalseg.errors import SettingsError
from frugalseg.methods.gmabs import GmAbsSettings, refreshes
from frugalseg.protocols import LA_STEP, la_protocol, protocol_changes, under_protocol
from frugalseg.specialist.model import Model
from frugalseg.training import TrainSettings
from frugalseg.workspace import Workspace

SHAPE = (40, 34, 22)
PATCH = [32, 32, 16]
CASES = ("la1", "la2", "la3", "la4")
SMALL = {"patch": PATCH, "widths": [4, 4, 4, 4, 4], "dropout": 0.0}
EXAMPLE = Path(__file__).parents[1] / "examples" / "gmabs_la.yaml"
VOXELS = ("dice", "jaccard", "hd95_voxel", "asd_voxel")


@pytest.fixture
def folder(tmp_path):
    """Four scans with the keys of the LA files, a bright ellipsoid in each, and the lists of the papers."""
    for k, name in enumerate(CASES):
        rng = np.random.default_rng(k)
        grid = (np.indices(SHAPE) - np.reshape([19 + k, 14, 10], (3, 1, 1, 1))) / np.reshape([11, 8, 6], (3, 1, 1, 1))
        label = ((grid**2).sum(0) < 1).astype(np.uint8)
        image = 3.0 * label + rng.normal(size=SHAPE)
        path = tmp_path / "la" / "data" / f"{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["image"] = ((image - image.mean()) / image.std()).astype(np.float32)
            file["label"] = label
    (tmp_path / "la" / "train.txt").write_text("la1,norm\nla2,norm\nla3,norm\n")
    (tmp_path / "la" / "test.txt").write_text("la4\n")
    return tmp_path / "la"


def frugalseg(*words):
    with mock.patch.object(sys, "argv", ["frugalseg", *map(str, words)]), pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0


def surface(mask):
    """Voxels of the mask with a neighbour along an axis that does not belong to it; outside nothing does."""
    inside = np.pad(mask, 1)
    steps = [(axis, by) for axis in range(3) for by in (1, -1)]
    buried = np.logical_and.reduce([np.roll(inside, by, axis) for axis, by in steps])
    return np.argwhere(inside & ~buried)


def as_medpy(prediction, truth):
    """dc, jc, hd95 and asd of medpy, from all pairs of surface voxels."""
    pairs = cdist(surface(prediction), surface(truth))
    both, there, back = (prediction & truth).sum(), pairs.min(1), pairs.min(0)
    dice = 2 * both / (prediction.sum() + truth.sum())
    return (dice, both / (prediction | truth).sum(), np.percentile(np.hstack([there, back]), 95), there.mean())


def as_ua_mt(model, x):
    """UA-MT's `test_single_case`: windows at min(stride * i, n - patch), softmax summed and divided by the count."""
    starts = [
        sorted({min(s * i, n - p) for i in range(-(-(n - p) // s) + 1)})
        for n, p, s in zip(x.shape, PATCH, LA_STEP, strict=True)
    ]
    total, count = np.zeros((2, *x.shape)), np.zeros(x.shape)
    for corner in itertools.product(*starts):
        window = tuple(slice(c, c + p) for c, p in zip(corner, PATCH, strict=True))
        with torch.inference_mode():
            p = model.network(torch.from_numpy(x[window])[None, None]).softmax(1)[0].numpy()
        total[(slice(None), *window)] += p
        count[window] += 1
    return (total / count).argmax(0).astype(bool)


def config(folder, path, **more):
    train = {"method": "supervised", "fit": {"steps": 25, "drops": [20], "tensorboard": False, "lr": 0.1}}
    said = {
        "name": "la",
        "data": f"la-h5={folder},split={folder}",
        "protocol": "la",
        "oracle": {"planes": "truth-centre"},
        "start": {"units": 2},
        "plan": SMALL,
        "train": train,
        "seeds": [0],
        **more,
    }
    path.write_text(yaml.safe_dump(said))
    return path


def test_a_campaign_by_the_protocol_is_measured_as_the_papers_measure(tmp_path, folder):
    frugalseg("run", config(folder, tmp_path / "la.yaml"), "-o", tmp_path / "out", "--device", "cpu")
    arm = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["arms"]["campaign"]
    pool = open_pool(folder, labels_are="truth")
    workspace = Workspace.open(tmp_path / "out" / "campaign" / "seed-0" / "workspace", pool=pool)
    model = Model.load(workspace.folder / str(workspace.runs()[-1].model))
    assert (model.plan.network, model.plan.step, model.plan.blend) == ("vnet", LA_STEP, "uniform")
    predicted = as_ua_mt(model, pool["la4"].image().array)
    expected = as_medpy(predicted, pool.truth.semantic("la4").array == 1)
    assert [arm[name]["mean"] for name in VOXELS] == pytest.approx(expected)
    assert expected[0] > 0.3


def test_the_commands_train_on_cross_labels_and_measure_by_the_protocol(tmp_path, folder):
    frugalseg("cross-label", folder, "-o", folder, "--replace", "--planes", "truth-centre")
    frugalseg("init", tmp_path / "work", "--data", f"la-h5={folder},split={folder}", "--hide-labels")
    assert Workspace.open(tmp_path / "work").pool.labels.raters("la1") == ("cross",)
    sets = {**{f"plan.{k}": v for k, v in SMALL.items()}, "fit.steps": 2, "fit.drops": [1], "fit.tensorboard": False}
    words = [w for k, v in {"protocol": "la", **sets}.items() for w in ("--set", f"{k}={json.dumps(v)}")]
    frugalseg("train", tmp_path / "work", *words, "--device", "cpu")
    (run,) = Workspace.open(tmp_path / "work").runs()
    settings = run.settings["train"]
    assert (settings["labelled"], settings["fit"]["optimizer"], settings["fit"]["lr"]) == (2, "sgd", 0.01)
    assert set(VOXELS) <= set(run.metrics)
    frugalseg("evaluate", tmp_path / "work", "--protocol", "la", "-o", tmp_path / "scores.json")
    found = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert {name: found["mean"][name] for name in VOXELS} == pytest.approx({n: run.metrics[n] for n in VOXELS})


def test_the_example_has_the_lists_the_budget_and_the_schedule_of_the_paper(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("FRUGALSEG_DATA", str(folder.parent))
    found = read_campaign(EXAMPLE)
    assert parse_data_spec(found.data).split == folder
    published = found.arm("gmabs")
    assert (published.start.units, published.rounds * published.then.units) == (4, 16)
    assert (published.warm.first, published.warm.every, published.train.fit.steps) == (800, 200, 10000)
    assert refreshes(GmAbsSettings(steps=10000, schedule="paper")) == tuple(range(600, 8000, 600))
    assert published.train.options["schedule"] == found.arm("as-published").train.options["schedule"] == "paper"


def test_the_example_runs_in_small(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("FRUGALSEG_DATA", str(folder.parent))
    small = {
        **{f"plan.{k}": v for k, v in SMALL.items()},
        **{"start.units": 1, "rounds": 1, "then.units": 1, "seeds": [0], "train.fit.steps": 6, "train.fit.drops": []},
        **{
            "warm": {"first": 2, "every": 1},
            "train.options": {"generalist": "classic"},
            "train.fit.tensorboard": False,
        },
    }
    words = [w for k, v in small.items() for w in ("--set", f"{k}={json.dumps(v)}")]
    frugalseg("run", EXAMPLE, "-o", tmp_path / "out", "--only", "gmabs", "--device", "cpu", *words)
    arm = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["arms"]["gmabs"]
    assert set(VOXELS) <= set(arm)


def test_without_a_protocol_nothing_changes(tmp_path, folder):
    plain = read_campaign(config(folder, tmp_path / "a.yaml", protocol=None, train={}, plan={}))
    assert (plain.plan, plain.train) == ({}, TrainSettings())
    assert under_protocol({"name": "x"}) == {"name": "x"}


def test_what_is_said_beside_the_protocol_counts(tmp_path, folder):
    file = config(folder, tmp_path / "a.yaml", train={"augment": {"flip": [2]}})
    found = read_campaign(file, {"train.fit.lr": 0.5, "plan.blend": "gaussian"})
    assert (found.train.fit.lr, found.train.fit.optimizer, found.plan["blend"]) == (0.5, "sgd", "gaussian")
    assert (found.train.augment.flip, found.train.augment.quarter_turns) == ((2,), (0, 1))
    assert found.plan["step"] == LA_STEP


def test_an_arm_keeps_the_protocol_and_changes_what_it_names(tmp_path, folder):
    arms = {"short": {"train.fit.steps": 5}, "plain": {}}
    found = read_campaign(config(folder, tmp_path / "a.yaml", arms=arms, train={}))
    assert found.arm("plain").train.fit.steps == la_protocol().train["fit.steps"]
    assert (found.arm("short").train.fit.steps, found.arm("short").train.fit.lr) == (5, 0.01)


def test_settings_in_python_stand_above_the_protocol():
    said = under_protocol({"protocol": "la", "train": TrainSettings.model_validate({"labelled": 3})})
    assert (said["train"]["labelled"], said["train"]["unlabelled"]) == (3, 2)


def test_a_protocol_of_one_arm_and_an_unknown_one_are_explained(tmp_path, folder):
    with pytest.raises(SettingsError, match="arm 'b': a protocol is that of the whole campaign"):
        read_campaign(config(folder, tmp_path / "a.yaml", arms={"b": {"protocol": "la"}}))
    with pytest.raises(SettingsError, match=r"unknown protocol 'lA' \(did you mean 'la'\?\)"):
        protocol_changes("lA")
