"""Keys of an experiment file that are settings of the strategy: encoder, distance, graph, autoencoder, clusters.

The distance of CoreCLR is a sum of raw distances: of features of unknown length, of pixels, of 0 or 1 for patients.
Here each term is divided by its median, so of the published weights only those of 0 are the same; another weight says
that the term is there, and it gets the strategy's own share.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from frugalseg.campaign.coreclr.experiment import Experiment
from frugalseg.campaign.coreclr.said import Became, Changes, Rule, meaningless, option
from frugalseg.errors import SettingsError
from frugalseg.strategies.embedding.contrastive import PRESETS
from frugalseg.strategies.multi_feature import MultiFeatureSettings

FEATURES = "data_geometry.feature_model_params."
"""How the keys of the feature model begin."""

_SHARES = "the published number stands beside raw distances, this one is a share of the distance"


def first_options(experiment: Experiment) -> Changes:
    """What is the same in all files of the strategy, and what several keys say together; the rules add to it."""
    found: Changes = {}
    if experiment.strategy == "coreclr-frozen":
        found["cover"] = "centre"
    if experiment.has_encoder:
        paper = PRESETS["paper"]
        fit = {"schedule": paper.fit.schedule, "warmup": paper.fit.warmup}
        found["encoder"] = {**experiment.term_weights, "mates_repel": paper.mates_repel, "fit": fit}
    if experiment.is_multi:
        found["distance"] = {}
    return found


def _of_distance(rule: Rule) -> Rule:
    def guarded(value: Any, experiment: Experiment) -> Became:
        if not experiment.is_multi:
            return meaningless(f"strategy '{experiment.strategy}' has no such term in its distance")
        return rule(value, experiment)

    return guarded


def _same(key: str, more: str = "") -> Rule:
    return lambda value, experiment: option(experiment, {key: value}, more)


def _network(value: Any, experiment: Experiment) -> Became:
    paper = PRESETS["paper"]
    more = "with group norm and fresh weights" if value == "resnet18" else "a ResNet-18, the nearest"
    return option(experiment, {"encoder.widths": list(paper.widths), "encoder.blocks": paper.blocks}, more)


def _side(key: str) -> Rule:
    def rule(value: Any, experiment: Experiment) -> Became:
        return option(experiment, {key: int(value[0] if isinstance(value, list | tuple) else value)})

    return rule


def _epochs(value: Any, experiment: Experiment) -> Became:
    size = 1 + len(experiment.companions)
    more = f"{value} times each slice is the anchor of a group of {size}" if size > 1 else ""
    return option(experiment, {"encoder.epochs": value * size}, more)


def _group_loss(number: int) -> Rule:
    """The weight of a group loss is that of the term which its mask leaves."""

    def rule(value: Any, experiment: Experiment) -> Became:
        term = experiment.term(number)
        if not experiment.feature(f"pos_loss{number}"):
            return meaningless(f"pos_loss{number} is not given, so that there is no such loss")
        if term is None:
            return meaningless(f"no relative is left in the group of pos_loss{number}; the twin term has the own views")
        weights = experiment.term_weights
        return option(experiment, {f"encoder.{term}": weights[term]}, "the farthest relatives that its mask leaves")

    return rule


def _share(term: str, value: Any, experiment: Experiment) -> Became:
    if not value * experiment.get("data_geometry.extra_feature_wt", 1.0):
        return option(experiment, {f"distance.{term}": 0})
    return option(experiment, {f"distance.{term}": MultiFeatureSettings().model_dump()[term]}, _SHARES)


def _pixels(value: Any, experiment: Experiment) -> Became:
    if not (value and experiment.feature("fuse_image_data")):
        return option(experiment, {"distance.pixel": 0}, "no pixels are fused" if value else "")
    return option(experiment, {"distance.pixel": MultiFeatureSettings().pixel}, _SHARES)


def _beside_strokes(value: Any, experiment: Experiment) -> Became:
    if not experiment.get("data_geometry.use_labels"):
        return option(experiment, {"distance.beyond": 1}, "without use_labels all pixels count alike")
    on_strokes = experiment.get("data_geometry.label_wt", 1.0)
    if not 0 <= value <= on_strokes or not on_strokes:
        raise SettingsError(
            f"{experiment.file}: 'data_geometry.default_pos_val' = {value}: pixels beside strokes count from 0 to as "
            f"much as those on them here, label_wt = {on_strokes}"
        )
    return option(experiment, {"distance.beyond": value / on_strokes}, "as a part of label_wt")


def _uncertainty(value: Any, experiment: Experiment) -> Became:
    if not (value and experiment.get("data_geometry.use_uncertainty")):
        return option(experiment, {"distance.uncertainty": 0})
    more = "the exponent of a factor; published: the weight of a term, by which a slice is far from itself"
    return option(experiment, {"distance.uncertainty": MultiFeatureSettings().uncertainty}, more)


def _picture_side(value: Any, experiment: Experiment) -> Became:
    if experiment.strategy == "vaal":
        return _side("side")(value, experiment)
    if experiment.is_multi:
        return _side("distance.side")(value, experiment)
    return meaningless("pictures are compared at the strategy's own size")


def _autoencoder_steps(value: Any, experiment: Experiment) -> Became:
    slices = experiment.slices or experiment.published.slices
    steps = max(1, round(value * slices / experiment.get("data_geometry.batch_size")))
    return option(experiment, {"fit.steps": steps}, f"{value} passes over {slices} slices")


def _autoencoder_batch(value: Any, experiment: Experiment) -> Became:
    return option(experiment, {"batch": 2 * value}, f"{value} labelled and {value} unlabelled ones")


_GEOMETRY: Mapping[str, Rule] = {
    "patient_wt": _of_distance(partial(_share, "patient")),
    "phase_wt": _of_distance(partial(_share, "phase")),
    "slice_rel_pos_wt": _of_distance(partial(_share, "position")),
    "pos_wt": _of_distance(_pixels),
    "default_pos_val": _of_distance(_beside_strokes),
    "uncertainty_wt": _of_distance(_uncertainty),
    "patch_size": _picture_side,
    "hidden_units": _same("hidden"),
    "dropout_rate": _same("dropout"),
    "lr_gcn": _same("lr"),
    "wdecay": _same("weight_decay"),
    "lambda_loss": _same("unlabelled"),
    "num_epochs_gcn": _same("steps"),
    "latent_dim": _same("latent"),
    "batch_size": _autoencoder_batch,
    "num_epochs": _autoencoder_steps,
    "min_cluster_size": _same("smallest", "smaller clusters come last, where the published code drops them"),
    "max_num_clusters": _same("most_clusters"),
    "k_nn": _same("neighbours"),
}

_ENCODER: Mapping[str, Rule] = {
    "encoder": _network,
    "patch_size": _side("encoder.side"),
    "lr": _same("encoder.fit.lr"),
    "batch_size": _same("encoder.batch"),
    "weight_decay": _same("encoder.fit.weight_decay"),
    "temperature": _same("encoder.temperature"),
    "num_epochs": _epochs,
    "loss_wt": _same("encoder.twin"),
    **{f"pos_loss{k}{end}": _group_loss(k) for k in (1, 2, 3) for end in ("", "_wt")},
}

OPTIONS: Mapping[str, Rule] = {
    **{f"data_geometry.{key}": rule for key, rule in _GEOMETRY.items()},
    **{f"{FEATURES}{key}": rule for key, rule in _ENCODER.items()},
}
"""Keys that become settings of the strategy."""
