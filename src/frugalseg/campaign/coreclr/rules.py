"""What each key of an experiment file becomes, and what all experiments of the paper have in common."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from frugalseg.campaign.coreclr.experiment import DROPOUT_SCORES, Experiment
from frugalseg.campaign.coreclr.keys import CONTRAST, MEANINGLESS, PLAIN, RELATIVES
from frugalseg.errors import SettingsError
from frugalseg.strategies.embedding.contrastive import PRESETS

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


def common_settings(experiment: Experiment) -> dict[str, Any]:
    """What every experiment of the paper has in common, in the order in which a campaign file is read."""
    published = experiment.published
    unit = {"unit": "image"} if published.axis is None else {"unit": "slice", "axis": published.axis}
    cut = {} if published.axis is None else {"axis": published.axis}
    fit = {"steps": 1, **(SGD if experiment.type("model") != "lvm_med" else {"optimizer": "adamw", "clip_norm": 1})}
    return {
        "name": experiment.file.stem,
        "data": "",
        **({"split": dict(published.split)} if published.split and not experiment.given else {}),
        "start": {"strategy": "random", "units": 1, **unit},
        "rounds": 0,
        "then": {"strategy": "random", "units": 1, **unit},
        "oracle": {},
        "members": 1,
        "seeds": [0],
        "plan": {"ndim": 2, **cut, "network": "unet", "spacing": None, "normalise": published.normalise},
        "train": {"method": "supervised", "unlabelled": 0, "augment": AUGMENT, "fit": {**fit, "tensorboard": False}},
    }


Changes = dict[str, Any]


def became(key: str, value: Any, experiment: Experiment) -> tuple[Changes, str]:
    """The changes to the campaign by one key, and the words of the table."""
    group, _, rest = key.partition(".")
    if group in ("data_geometry", "model_uncertainty") and group != experiment.decides and key not in RULES:
        return {}, f"has no meaning here: '{experiment.decides}' chooses the units"
    if key in PLAIN:
        return _said({PLAIN[key]: value})
    if key in RULES:
        return RULES[key](value, experiment)
    if rest.startswith("feature_model_params."):
        name = rest.partition(".")[2]
        if name in CONTRAST or name in RELATIVES:
            return {}, f"has no meaning here: {_of_encoder(name, value, experiment)}"
    return {}, f"has no meaning here: {MEANINGLESS[key]}"


def _said(changes: Changes, more: str = "") -> tuple[Changes, str]:
    words = ", ".join(f"{key}: {short(value)}" for key, value in changes.items())
    return changes, f"{words}; {more}" if more else words


def short(value: Any) -> str:
    """A value on one line, cut off where it is long."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
    return text if len(text) <= 60 else text[:57] + "..."


def _of_encoder(name: str, value: Any, experiment: Experiment) -> str:
    """Whether the strategy's own settings say the same as a key of the contrastive encoder."""
    presets = {"coreclr-paper": "paper", "coreclr-mfc": "quick"}
    if experiment.strategy not in presets:
        return f"strategy '{experiment.strategy}' has no such encoder"
    if name not in CONTRAST:
        return RELATIVES[name]
    own: Any = PRESETS[presets[experiment.strategy]].model_dump()
    for part in CONTRAST[name].split("."):
        own = own[part]
    wanted = value[0] if isinstance(value, list | tuple) and value else value
    if own is not None and own == wanted:
        return f"strategy '{experiment.strategy}' has the same value built in"
    return f"strategy '{experiment.strategy}' has {CONTRAST[name]} {'by steps' if own is None else own} built in"


def _exp_dir(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    return _said({"name": Path(str(value)).name}, "frugalseg run -o says where everything goes")


def _model_type(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    is_weak = str(value).endswith("dmpls")
    changes: Changes = {
        "train.method": "scribble" if is_weak else "supervised",
        "oracle.style": "by-hand" if is_weak else "dense",
    }
    if is_weak:
        changes["train.options"] = {"unlabelled": False}
    return _said(changes, "with fresh weights" if value == "lvm_med" else "")


def _dataset(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    return _said({"data": experiment.given or experiment.published.data})


def _seg_model(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    more = "the method adds its second decoder" if value == "unet_cct" else "" if value == "unet" else "the nearest"
    return _said({"plan.network": "unet", "plan.widths": WIDTHS, "plan.dropout": DROPOUT}, more)


def _patch_size(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    side = int(value[0] if isinstance(value, list | tuple) else value)
    rows, columns = (round(n * side / 256) for n in experiment.published.side)
    return _said({"plan.side": side, "plan.patch": [rows, columns]})


def _max_iterations(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    steps = max(1, round(value * experiment.budget.fraction))
    return _said(
        {"train.fit.steps": steps},
        f"as in the last round; published: {value} x fraction, so that rounds differ in labels and in steps",
    )


def _num_epochs(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    labelled = experiment.budget.start + (experiment.budget.rounds * experiment.budget.then)
    steps = max(1, round(value * labelled / experiment.get("model.batch_size")))
    return _said({"train.fit.steps": steps}, f"{value} passes over the {labelled} slices of the last round")


def _seed(key: str) -> "Rule":
    def rule(value: Any, experiment: Experiment) -> tuple[Changes, str]:
        if key == "policy" and experiment.get("model.seed") is not None:
            return {}, "has no meaning here: all streams follow from the campaign's seed, model.seed"
        return _said({"seeds": [value]})

    return rule


def _db_score(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    if value in (*DROPOUT_SCORES, "pass_probs"):
        return {}, f"has no meaning here: strategy '{experiment.strategy}' says what is measured"
    raise SettingsError(f"{experiment.file}: 'model.db_score_func' = {value!r}: the published code knows no such score")


def _policy_type(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    strategy = experiment.strategy
    first = "random" if experiment.budget.starts_at_random else strategy
    return _said({"start.strategy": first, "then.strategy": strategy})


def _rounds(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    budget = experiment.budget
    changes = {"start.units": budget.start, "rounds": budget.rounds, "then.units": budget.then}
    return _said(changes, budget.said)


def _rank_type(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    if value != "desc":
        raise SettingsError(
            f"{experiment.file}: 'policy.rank_type' = {value!r}: units are only taken from the top here"
        )
    return {}, "has no meaning here: units are always taken from the top"


def _pseudolabels(value: Any, experiment: Experiment) -> tuple[Changes, str]:
    if value:
        raise SettingsError(f"{experiment.file}: 'policy.pseudolabels': no unit is bought with a pseudo-label here")
    return {}, "has no meaning here: no unit is bought with a pseudo-label"


def _chooses(group: str) -> "Rule":
    def rule(value: Any, experiment: Experiment) -> tuple[Changes, str]:
        if group != experiment.decides:
            return {}, f"has no meaning here: '{experiment.decides}' chooses the units"
        return _said({"then.strategy": experiment.strategy})

    return rule


Rule = Callable[[Any, Experiment], tuple[Changes, str]]

_GEOMETRY = ("use_uncertainty", "use_labels", "feature_model", "contrastive", "use_model_features")

RULES: Mapping[str, Rule] = {
    "exp_dir": _exp_dir,
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
    "data_geometry.data_geometry_type": _chooses("data_geometry"),
    "data_geometry.feature_model_params": _chooses("data_geometry"),
    "data_geometry.feature_model_params.fuse_image_data": _chooses("data_geometry"),
    **{f"data_geometry.{key}": _chooses("data_geometry") for key in _GEOMETRY},
    "model_uncertainty.model_uncertainty_type": _chooses("model_uncertainty"),
    "model_uncertainty.score_func": _chooses("model_uncertainty"),
}
"""Keys that mean something in the light of others."""
