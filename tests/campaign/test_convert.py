"""Experiment files of CoreCLR become campaigns, and every key is accounted for."""

from copy import deepcopy

import pytest
import yaml

from frugalseg.campaign.convert import convert, write_campaign
from frugalseg.campaign.coreclr.keys import FEATURE_KEYS, GROUPS, MEANINGLESS, PLAIN
from frugalseg.campaign.coreclr.options import OPTIONS
from frugalseg.campaign.coreclr.rounds import budget_of
from frugalseg.campaign.coreclr.rules import RULES
from frugalseg.campaign.settings import read_campaign
from frugalseg.errors import SettingsError
from frugalseg.strategies import STRATEGIES

R5 = [[0.01, 0]] * 5

OURS = {
    "exp_dir": "runs/acdc_weak_ours",
    "model": {"model_type": "dmpls", "dataset": "ACDC", "ensemble_size": 5, "gpus": "cuda:0"},
    "policy": {"policy_type": "ranked", "rounds": R5, "resume": True},
    "data_geometry": {
        "data_geometry_type": "kcenter_greedy",
        "feature_model": True,
        "contrastive": True,
        "feature_model_params": {"encoder": "resnet18", "temperature": 0.5, "pos_loss1_wt": 0.35},
    },
}


def experiment(tmp_path, **groups):
    """The file above with some groups replaced; None takes one out."""
    content = {k: v for k, v in {**deepcopy(OURS), **groups}.items() if v is not None}
    path = tmp_path / "exp.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def geometry(**changes):
    return {**OURS["data_geometry"], **changes}


def said(found):
    return {line.key: line.said for line in found.lines}


def test_what_is_written_is_a_campaign(tmp_path):
    write_campaign(convert(experiment(tmp_path)), tmp_path / "campaign.yaml")
    settings = read_campaign(tmp_path / "campaign.yaml")
    assert (settings.name, settings.then.strategy, settings.train.method) == (
        "acdc_weak_ours",
        "coreclr-paper",
        "scribble",
    )
    assert (settings.start.units, settings.rounds, settings.then.units) == (14, 4, (15, 14, 15, 14))
    assert (settings.members, settings.train.fit.lr, settings.train.fit.steps) == (1, 0.01, 3000)
    assert (settings.oracle.style, settings.train.labelled, settings.train.fit.optimizer) == ("by-hand", 6, "sgd")


def test_every_key_of_the_file_has_its_line_in_order(tmp_path):
    found = convert(experiment(tmp_path))
    given = [line.key for line in found.lines if not line.value.endswith("(its default)")]
    assert given[:3] == ["exp_dir", "model.model_type", "model.dataset"]
    assert given[-3:] == [f"data_geometry.feature_model_params.{k}" for k in ("encoder", "temperature", "pos_loss1_wt")]
    assert said(found)["model.gpus"] == "has no meaning here: frugalseg run --device says where to train"


def test_defaults_of_the_published_code_are_kept(tmp_path):
    found = convert(experiment(tmp_path, model={"model_type": "lvm_med"}))
    lines = {line.key: line for line in found.lines}
    assert (lines["model.base_lr"].value, found.settings["train"]["fit"]["lr"]) == ("0.0001 (its default)", 1e-4)
    assert found.settings["train"]["fit"]["steps"] == round(50 * 72 / 8)


def test_every_key_that_is_known_has_a_meaning_or_a_reason():
    for name, group in GROUPS.items():
        keys = {f"{name}.{key}" for keys in group.types.values() for key in (*keys, group.type_key)}
        assert keys <= {*PLAIN, *OPTIONS, *RULES, *MEANINGLESS}
    features = {f"data_geometry.feature_model_params.{key}" for key in FEATURE_KEYS}
    assert features <= {*OPTIONS, *RULES, *MEANINGLESS}
    assert not MEANINGLESS.keys() & {*PLAIN, *OPTIONS, *RULES}


@pytest.mark.parametrize("kind", [(name, kind) for name, group in GROUPS.items() for kind in group.types])
def test_every_type_with_all_of_its_keys_converts(tmp_path, kind):
    group, name = kind
    values = {"dataset": "ACDC", "rounds": R5, "rank_type": "desc", "pseudolabels": False, "seed": 1}
    values |= {"score_func": "entropy_w_label_probs", "db_score_func": "bald_score", "feature_model_params": {}}
    numbers = ("batch_size", "ensemble_size", "max_iterations", "num_epochs", "base_lr", "train_weight_decay")
    values |= dict.fromkeys(numbers, 1)
    content = {GROUPS[group].type_key: name} | {k: values.get(k) for k in GROUPS[group].types[name]}
    content |= {"patch_size": 256} if "patch_size" in content else {}
    found = convert(experiment(tmp_path, **{group: content, **({} if name != "pass" else {"policy": RANDOM})}))
    assert {f"{group}.{key}" for key in content} <= {line.key for line in found.lines}


RANDOM = {"policy_type": "random", "rounds": R5}
RANKED = {"policy_type": "ranked", "rounds": R5}


@pytest.mark.parametrize(
    ("groups", "strategy"),
    [
        ({"policy": RANDOM}, "random"),
        ({"data_geometry": {"data_geometry_type": "kcenter_greedy"}}, "coreset-pixels"),
        ({"data_geometry": geometry(use_model_features=True)}, "coreset"),
        ({"data_geometry": geometry(contrastive=False)}, "coreclr-frozen"),
        ({"data_geometry": geometry(use_labels=True)}, "coreclr-mfc"),
        ({"data_geometry": geometry(patient_wt=0.3)}, "coreclr-mfc"),
        ({"data_geometry": {"data_geometry_type": "coregcn", "lr_gcn": 0.01}}, "coregcn"),
        ({"data_geometry": {"data_geometry_type": "vaal"}}, "vaal"),
        ({"data_geometry": {"data_geometry_type": "typiclust"}}, "typiclust"),
    ],
)
def test_a_geometry_becomes_a_strategy(tmp_path, groups, strategy):
    found = convert(experiment(tmp_path, **groups))
    assert found.settings["then"]["strategy"] == found.settings["start"]["strategy"] == strategy
    assert strategy in STRATEGIES


@pytest.mark.parametrize(
    ("model", "uncertainty", "strategy"),
    [
        ({"model_type": "dmpls"}, {"score_func": "ensemble_variance_ratio"}, "variance-ratio"),
        ({"model_type": "strong"}, {"score_func": "entropy_w_label_probs"}, "entropy"),
        ({"model_type": "db_dmpls", "db_score_func": "bald_score"}, {"score_func": "mean_score"}, "bald"),
    ],
)
def test_an_uncertainty_becomes_a_strategy(tmp_path, model, uncertainty, strategy):
    group = {"model_uncertainty_type": "ensemble", **uncertainty}
    found = convert(experiment(tmp_path, model=model, data_geometry=None, model_uncertainty=group))
    assert found.settings["then"]["strategy"] == strategy


def test_a_first_round_may_be_random(tmp_path):
    vaal = {"data_geometry_type": "vaal"}
    rounds = [[0.01, 0, "random", True], *R5[1:]]
    found = convert(experiment(tmp_path, policy={**RANKED, "rounds": rounds}, data_geometry=vaal))
    assert (found.settings["start"]["strategy"], found.settings["then"]["strategy"]) == ("random", "vaal")


@pytest.mark.parametrize("name", ["acdc", "CHAOS", "CHAOS/CT_LIVER", "MS-CMR", "MSCMR", "DAVIS"])
def test_data_sets_go_by_their_names(tmp_path, name):
    found = convert(experiment(tmp_path, model={**OURS["model"], "dataset": name}))
    folder = {"a": "acdc", "C": "chaos_ct", "M": "mscmr", "D": "davis"}[name[0]]
    assert found.settings["data"].startswith(f"folder=$FRUGALSEG_DATA/{folder},")


def test_a_group_that_the_published_code_never_used_is_said_to_be_unused(tmp_path):
    group = {"model_uncertainty_type": "ensemble", "score_func": "entropy_w_label_probs"}
    words = said(convert(experiment(tmp_path, model_uncertainty=group)))
    assert words["model_uncertainty.score_func"] == "has no meaning here: 'data_geometry' chooses the units"


def test_other_data_and_another_pool_can_be_given(tmp_path):
    found = convert(experiment(tmp_path), data="phantom=anatomy,n=9", slices=100)
    assert (found.settings["data"], found.settings["start"]["units"]) == ("phantom=anatomy,n=9", 1)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"modell": {}}, r"unknown key 'modell' \(did you mean 'model'\?\)"),
        (
            {"model": {**OURS["model"], "ensemble_sise": 5}},
            r"'model\.ensemble_sise' \(did you mean 'ensemble_size'\?\)",
        ),
        ({"model": {"model_type": "lvm_med", "seg_model": "unet"}}, r"unknown key 'model\.seg_model'"),
        ({"data_geometry": geometry(feature_model_params={"temprature": 1})}, r"feature_model_params\.temprature'"),
        ({"data_geometry": geometry(feature_model_params=[1])}, "feature_model_params' must hold"),
        ({"model": None}, "the group 'model' must be there"),
        ({"model": {"model_type": "dmpl"}}, r"'model\.model_type' = 'dmpl': there are dmpls, strong"),
        ({"model": {"model_type": "spml_mv"}}, "no longer there"),
        (
            {"model": {**OURS["model"], "dataset": "LVSC"}},
            "'LVSC' nothing is known here, only of ACDC, CHAOS, MSCMR, DA",
        ),
        ({"model": {**OURS["model"], "dataset": "DAVIS2"}}, "'DAVIS2' nothing is known here.*give --data and --slices"),
        ({"model": {**OURS["model"], "dataset": "CHAOS_MR"}}, "'CHAOS_MR' nothing is known here"),
        ({"model": {**OURS["model"], "base_lr": -1}}, r"'train\.fit\.lr' = -1"),
        ({"data_geometry": None}, "neither data_geometry nor model_uncertainty gives a rank"),
        ({"policy": {**RANKED, "rank_type": "inc"}}, "units are only taken from the top"),
        ({"policy": {**RANKED, "pseudolabels": True}}, "no unit is bought with a pseudo-label"),
        ({"policy": {**RANKED, "rounds": []}}, r"'policy\.rounds' must list"),
        ({"policy": {**RANKED, "rounds": [[0.01, 0.2]]}}, r"round 1 of 'policy\.rounds' buys pseudo-labels"),
        (
            {"policy": {**RANKED, "rounds": [*R5, [0.0001, 0]]}},
            r"round 6 of 'policy\.rounds': 0\.0001 of 1454 slices are no",
        ),
        ({"policy": {**RANKED, "rounds": [[0.6, 0]] * 2}}, r"'policy\.rounds' buys 1\.2 of the pool"),
        ({"policy": {**RANKED, "rounds": [[2, 0]]}}, r"round 1 of 'policy\.rounds' is \[2, 0\]"),
        ({"policy": {**RANKED, "rounds": [*R5, [0.01, 0, "random"]]}}, "only the first round may be random"),
    ],
)
def test_what_cannot_be_said_here_is_an_error(tmp_path, groups, message):
    with pytest.raises(SettingsError, match=message):
        convert(experiment(tmp_path, **groups))


def test_nothing_of_a_file_is_executed(tmp_path):
    (tmp_path / "exp.yml").write_text("model: !!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(SettingsError, match="not valid YAML"):
        convert(tmp_path / "exp.yml")


@pytest.mark.parametrize(
    ("slices", "counts"), [(1454, [14, 15, 14, 15, 14]), (2351, [23, 24, 23, 24, 23]), (382, [3, 4, 4, 4, 4])]
)
def test_a_per_cent_is_as_many_slices_as_published(slices, counts):
    budget = budget_of(R5, slices, where="exp.yml")
    assert [budget.start, *budget.then] == counts


def test_rounds_that_grow_are_bought_as_published():
    budget = budget_of([[0.01, 0]] * 5 + [[0.05, 0]] * 3 + [[0.2, 0]], 1454, where="exp.yml")
    assert (budget.then[4:], budget.total, round(budget.fraction, 6)) == ((73, 73, 72, 291), 581, 0.4)
    assert "14, 29, 43, 58, 72, 145, 218, 290, 581 as published" in budget.said


def test_rounds_of_one_size_are_written_as_one_number(tmp_path):
    rounds = [[0.1, 0], [0.05, 0], [0.05, 0]]
    found = convert(experiment(tmp_path, policy={**RANDOM, "rounds": rounds}), slices=100)
    assert (found.settings["start"]["units"], found.settings["rounds"], found.settings["then"]["units"]) == (10, 2, 5)
