"""What each key of an experiment file becomes, and what all experiments of the paper have in common."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frugalseg.campaign.coreclr.experiment import DROPOUT_SCORES, Experiment
from frugalseg.campaign.coreclr.keys import MEANINGLESS, PLAIN
from frugalseg.campaign.coreclr.options import FEATURES, OPTIONS, first_options
from frugalseg.campaign.coreclr.said import Became, Rule, mapped, meaningless
from frugalseg.errors import SettingsError

AUGMENT = {
    "flip": [0, 1],
    "quarter_turns": [0, 1],
    "turn_probability": 0.5,
    "angle": 20,
    "scale": 0,
    "shift": 0,
    "intensity": {f"{kind}_probability": 0 for kind in ("gamma", "contrast", "bias", "blur", "noise")},
}
"""Mirrors, quarter turns and rotations up to 20 degrees, no change of intensities, as in WSL4MIS."""

SGD = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 1e-4,
    "clip_norm": None,
    "schedule": "poly",
}
WIDTHS = [16, 32, 64, 128, 256]
"""Channels of the published U-Net."""

DROPOUT = 0.2
"""Median of the published 0.05 to 0.5 of its levels."""

_PARTS = ("start", "then")

_REMARKS = {
    "coreclr-frozen": "in features of a generalist, for there is no network of ImageNet; by k-centre, as published",
    "typiclust": "in features that are learnt from the pool, those of CoreCLR",
}
"""What a strategy does otherwise than the file says."""


def common_settings(experiment: Experiment) -> dict[str, Any]:
    """What every experiment of the paper has in common, in the order in which a campaign file is read."""
    published = experiment.published
    unit = {"unit": "image"} if published.axis is None else {"unit": "slice", "axis": published.axis}
    cut = {} if published.axis is None else {"axis": published.axis}
    options = first_options(experiment)
    chosen = {part: {"options": options} if options and part in experiment.chooses_in else {} for part in _PARTS}
    fit = {"steps": 1, **(SGD if experiment.type("model") != "lvm_med" else {"optimizer": "adamw", "clip_norm": 1})}
    return {
        "name": experiment.file.stem,
        "data": "",
        **({"split": dict(published.split)} if published.split and not experiment.given else {}),
        "start": {"strategy": "random", **chosen["start"], "units": 1, **unit},
        "rounds": 0,
        "then": {"strategy": "random", **chosen["then"], "units": 1, **unit},
        "oracle": {},
        "members": 1,
        "seeds": [0],
        "plan": {"ndim": 2, **cut, "network": "unet", "spacing": None, "normalise": published.normalise},
        "train": {"method": "supervised", "unlabelled": 0, "augment": AUGMENT, "fit": {**fit, "tensorboard": False}},
    }


def became(key: str, value: Any, experiment: Experiment) -> Became:
    """The changes to the campaign by one key, and the words of the table."""
    group = key.partition(".")[0]
    if group in ("data_geometry", "model_uncertainty") and group != experiment.decides and key not in RULES:
        return meaningless(f"'{experiment.decides}' chooses the units")
    if key.startswith(FEATURES) and key not in RULES and not experiment.has_encoder:
        return meaningless(f"nothing is learnt by contrast for '{experiment.strategy}' in this file")
    if key in PLAIN:
        return mapped({PLAIN[key]: value})
    if key in OPTIONS:
        return OPTIONS[key](value, experiment) if value is not None else meaningless("nothing is said")
    return RULES[key](value, experiment) if key in RULES else meaningless(MEANINGLESS[key])


def _exp_dir(value: Any, experiment: Experiment) -> Became:
    return mapped({"name": Path(str(value)).name}, "frugalseg run -o says where everything goes")


def _model_type(value: Any, experiment: Experiment) -> Became:
    is_weak = str(value).endswith("dmpls")
    changes: dict[str, Any] = {
        "train.method": "scribble" if is_weak else "supervised",
        "oracle.style": "by-hand" if is_weak else "dense",
    }
    if is_weak:
        changes["train.options"] = {"unlabelled": False}
    return mapped(changes, "with fresh weights" if value == "lvm_med" else "")


def _dataset(value: Any, experiment: Experiment) -> Became:
    return mapped({"data": experiment.given or experiment.published.data})


def _seg_model(value: Any, experiment: Experiment) -> Became:
    more = "the method adds its second decoder" if value == "unet_cct" else "" if value == "unet" else "the nearest"
    return mapped({"plan.network": "unet", "plan.widths": WIDTHS, "plan.dropout": DROPOUT}, more)


def _patch_size(value: Any, experiment: Experiment) -> Became:
    side = int(value[0] if isinstance(value, list | tuple) else value)
    published = experiment.published
    rows, columns = (round(n * side / 256) for n in published.side)
    if published.extent is None:
        return mapped({"plan.side": side, "plan.patch": [rows, columns]})
    spacing = round(published.extent / side, 3)
    more = f"published: the middle {published.extent:.0f} mm of a slice at this size; here such patches lie anywhere"
    return mapped({"plan.spacing": [spacing, spacing], "plan.patch": [rows, columns]}, more)


def _max_iterations(value: Any, experiment: Experiment) -> Became:
    steps = max(1, round(value * experiment.budget.fraction))
    return mapped(
        {"train.fit.steps": steps},
        f"as in the last round; published: {value} x fraction, so that rounds differ in labels and in steps",
    )


def _num_epochs(value: Any, experiment: Experiment) -> Became:
    labelled = experiment.budget.total
    steps = max(1, round(value * labelled / experiment.get("model.batch_size")))
    return mapped({"train.fit.steps": steps}, f"{value} passes over the {labelled} slices of the last round")


def _ensemble_size(value: Any, experiment: Experiment) -> Became:
    if value == 1 or (experiment.asks_members and not experiment.by_dropout):
        return mapped({"members": value})
    if experiment.by_dropout:
        more = f"published: {value} networks, each compared with itself; here several would be compared with each other"
    else:
        more = f"the choice asks no network, and one is measured; published: the best of {value} on validation"
    return mapped({"members": 1}, more)


def _passes(value: Any, experiment: Experiment) -> Became:
    if experiment.by_dropout:
        return meaningless(
            f"'bald' compares ten draws of the dropout of one network; published: {value} of each member"
        )
    if experiment.decides == "model_uncertainty":
        return meaningless(f"'{experiment.strategy}' looks at predictions without dropout; published: {value} with it")
    return meaningless(f"'{experiment.decides}' chooses the units, and looks at no dropout")


def _amp(value: Any, experiment: Experiment) -> Became:
    precision = "bf16-mixed" if value else "32-true"
    return mapped({"train.fit.precision": precision}, "published: 16 bits of another kind" if value else "")


def _seed(key: str) -> Rule:
    def rule(value: Any, experiment: Experiment) -> Became:
        if key == "policy" and experiment.get("model.seed") is not None:
            return meaningless("all streams follow from the campaign's seed, model.seed")
        return mapped({"seeds": [value]})

    return rule


def _db_score(value: Any, experiment: Experiment) -> Became:
    if value in (*DROPOUT_SCORES, "pass_probs"):
        return meaningless(f"strategy '{experiment.strategy}' says what is measured")
    raise SettingsError(f"{experiment.file}: 'model.db_score_func' = {value!r}: the published code knows no such score")


def _policy_type(value: Any, experiment: Experiment) -> Became:
    strategy = experiment.strategy
    first = "random" if experiment.budget.starts_at_random else strategy
    return mapped({"start.strategy": first, "then.strategy": strategy})


def _rounds(value: Any, experiment: Experiment) -> Became:
    budget = experiment.budget
    changes = {"start.units": budget.start, "rounds": len(budget.then)}
    units = budget.then[0] if len(set(budget.then)) == 1 else list(budget.then)
    return mapped({**changes, "then.units": units} if budget.then else changes, budget.said)


def _rank_type(value: Any, experiment: Experiment) -> Became:
    if value != "desc":
        raise SettingsError(
            f"{experiment.file}: 'policy.rank_type' = {value!r}: units are only taken from the top here"
        )
    return meaningless("units are always taken from the top")


def _pseudolabels(value: Any, experiment: Experiment) -> Became:
    if value:
        raise SettingsError(f"{experiment.file}: 'policy.pseudolabels': no unit is bought with a pseudo-label here")
    return meaningless("no unit is bought with a pseudo-label")


def _chooses(group: str) -> Rule:
    def rule(value: Any, experiment: Experiment) -> Became:
        if group != experiment.decides:
            return meaningless(f"'{experiment.decides}' chooses the units")
        return mapped({"then.strategy": experiment.strategy}, _REMARKS.get(experiment.strategy, ""))

    return rule


def _adds_a_term(value: Any, experiment: Experiment) -> Became:
    """Of what makes the distance one of several terms."""
    if value and experiment.decides == "data_geometry" and not experiment.is_multi:
        return meaningless(f"strategy '{experiment.strategy}' has no such term in its distance")
    return _chooses("data_geometry")(value, experiment)


_GEOMETRY = ("data_geometry_type", "feature_model", "feature_model_params", "contrastive", "use_model_features")
_TERMS = ("use_uncertainty", "use_labels", "feature_model_params.fuse_image_data")

RULES: Mapping[str, Rule] = {
    "exp_dir": _exp_dir,
    "model.ensemble_size": _ensemble_size,
    "model.T": _passes,
    "model.amp": _amp,
    "model.model_type": _model_type,
    "model.dataset": _dataset,
    "model.seg_model": _seg_model,
    "model.patch_size": _patch_size,
    "model.max_iterations": _max_iterations,
    "model.num_epochs": _num_epochs,
    "model.seed": _seed("model"),
    "model.db_score_func": _db_score,
    "policy.policy_type": _policy_type,
    "policy.rounds": _rounds,
    "policy.seed": _seed("policy"),
    "policy.rank_type": _rank_type,
    "policy.pseudolabels": _pseudolabels,
    **{f"data_geometry.{key}": _chooses("data_geometry") for key in _GEOMETRY},
    **{f"data_geometry.{key}": _adds_a_term for key in _TERMS},
    "model_uncertainty.model_uncertainty_type": _chooses("model_uncertainty"),
    "model_uncertainty.score_func": _chooses("model_uncertainty"),
}
"""Keys that mean something in the light of others."""
