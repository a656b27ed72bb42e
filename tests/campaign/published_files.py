"""What is known of the experiment files of CoreCLR: the keys that say how units are chosen, and by which model.

`PUBLISHED` and `PORTED` are by data set and kind of label, then by the arm of examples/coreclr that is meant. What is
ported is a file for ACDC with the names of the model and of the data set changed.
"""

from typing import Any

Content = dict[str, Any]

R5 = [[0.01, 0]] * 5
R4 = [[0.1, 0]] * 4  # DAVIS

OURS = {  # data_geometry of exp_acdc_weak_ours
    "data_geometry_type": "kcenter_greedy",
    "use_labels": True,
    "label_wt": 1.0,
    "default_pos_val": 0,
    "pos_wt": 1500,
    "normalize_pos_by_label_ct": True,
    "feature_model": True,
    "contrastive": True,
}
GROUPS = {
    "use_phase": True,
    "use_patient": True,
    "pos_loss1": "nt_xent",
    "pos_loss1_wt": 0.35,
    "pos_loss1_mask": [2],
    "pos_loss2": "nt_xent",
    "pos_loss2_wt": 0.05,
}
ENCODER = {"encoder": "resnet18", "batch_size": 9, "fuse_image_data": True, "fuse_image_data_size_prop": 0.1, **GROUPS}

_EARLY = {  # of exp.yml
    "use_labels": True,
    "label_wt": 2,
    "use_uncertainty": True,
    "uncertainty_wt": 1,
    "feature_model_params": {
        "encoder": "resnet18",
        "batch_size": 8,
        "fuse_image_data": True,
        "use_slice_pos": True,
        "use_phase": True,
        "use_patient": True,
        "pos_loss1": "nt_xent",
        "pos_loss1_wt": 0.2,
        "pos_loss1_mask": [2, 3],
        "pos_loss2": "nt_xent",
        "pos_loss2_wt": 0.1,
        "pos_loss2_mask": [3],
        "pos_loss3": "nt_xent",
        "pos_loss3_wt": 0.05,
    },
}
_PATIENTS = {  # of exp_pretrained_acdc_strong_ours
    "encoder": "resnet18",
    "batch_size": 8,
    "loss_wt": 1.0,
    "use_patient": True,
    "pos_loss1": "nt_xent",
    "pos_loss1_wt": 1.0,
}


def _learnt(kind: str, **keys: Any) -> Content:
    return {"data_geometry": {"data_geometry_type": kind, "feature_model": True, "contrastive": True, **keys}}


def _asked(kind: str, score: str) -> Content:
    return {"model_uncertainty": {"model_uncertainty_type": kind, "score_func": score}}


_RANDOM: Content = {"policy": {"policy_type": "random"}}
_CORESET: Content = {"data_geometry": {"data_geometry_type": "kcenter_greedy"}}
_ENTROPY = _asked("ensemble", "entropy_w_label_probs")
_BASELINES: dict[str, Content] = {
    "random": _RANDOM,
    "coreset": _CORESET,
    "coregcn": {
        "model": {"inf_train_type": "features"},
        "data_geometry": {"data_geometry_type": "coregcn", "starting_sample": 10, "use_random_start": True},
    },
    "variance-ratio": _asked("ensemble", "ensemble_variance_ratio"),
    "stochastic-batches": _asked("stochastic", "entropy_w_label_probs"),
    "bald": {"model": {"db_score_func": "bald_score"}, **_asked("ensemble", "mean_score")},
    "typiclust": _learnt("typiclust", feature_model_params={"encoder": "resnet18", "num_epochs": 50}),
    "vaal": {
        "policy": {"rounds": [[0.01, 0, "random", True], *R5[1:]]},
        "data_geometry": {"data_geometry_type": "vaal", "patch_size": [256, 256]},
    },
}
_MFC: Content = {"data_geometry": {**OURS, "feature_model_params": ENCODER}}
_GCL = _learnt("kcenter_greedy", feature_model_params={"encoder": "resnet18", "batch_size": 9, **GROUPS})
_OWN = {"coreclr-paper": _GCL, "coreclr-mfc": _MFC}

PUBLISHED: dict[str, dict[str, Content]] = {
    "acdc_weak": {
        **_BASELINES,
        "coreclr-mfc": _MFC,
        "coreclr-mfc-early": _learnt("kcenter_greedy", **_EARLY),
    },
    "acdc_strong": {
        "coreclr-mfc": _MFC,
        "coreclr-paper-patients": {
            "model": {"model_type": "lvm_med"},
            **_learnt("kcenter_greedy", feature_model_params=_PATIENTS),
        },
    },
    "chaos_strong": {"coreset": _CORESET, "entropy": {"model": {"ensemble_size": 3}, **_ENTROPY}},
    "mscmr_weak": {"random": _RANDOM, "coreset": _CORESET},
    "davis_strong": {"random": _RANDOM, "coreset": _CORESET},
}
PORTED: dict[str, dict[str, Content]] = {
    "acdc_weak": {"coreclr-paper": _GCL},
    "acdc_strong": {**_BASELINES, "coreclr-paper": _GCL},
    "chaos_strong": {"random": _RANDOM, **_OWN},
    "mscmr_weak": _OWN,
    "davis_strong": _OWN,
}


def experiment_file(example: str, arm: str) -> Content:
    """All groups of a file, published or ported."""
    content = {**PORTED[example], **PUBLISHED[example]}[arm]
    name, kind = example.split("_")
    model = {"model_type": {"weak": "dmpls", "strong": "strong"}[kind], "dataset": name.upper(), "ensemble_size": 5}
    if arm == "bald":
        model["model_type"] = f"db_{model['model_type']}"
    policy = {"policy_type": "ranked", "rounds": R4 if name == "davis" else R5}
    return {
        **content,
        "model": {**model, **content.get("model", {})},
        "policy": {**policy, **content.get("policy", {})},
    }
