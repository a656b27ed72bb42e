"""The keys of an experiment file of CoreCLR (al-seg): which there are, with which defaults, and what they mean here.

Source: the factories of the published code and its fork of WSL4MIS, read in December 2024.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PLAIN: Mapping[str, str] = {
    "model.batch_size": "train.labelled",
    "model.base_lr": "train.fit.lr",
    "model.train_weight_decay": "train.fit.weight_decay",
}
"""Keys whose value is the value of a key of a campaign."""

_DEVICE = "frugalseg run --device says where to train"
_PREDICTED = "predictions are made when a strategy asks for them, and are not kept"
_OF_STRATEGY = "the strategy has settings of its own"
_BEGINNING = "where nothing is labelled the choice begins with the most typical unit"
_TOGETHER = "autoencoder and discriminator step at the same time"
_LIKELIHOOD = "the weights of the losses stand beside other scales: here they are parts of one likelihood of the pixels"
_COMPANIONS = "a companion is drawn where its term has a weight"
_NEGATIVE = "there is one twin term; encoder.mates_repel says whether relatives are among its negatives"
_ONE_DATA = "a campaign says its data once, in 'data'"

MEANINGLESS: Mapping[str, str] = {
    "model.ann_type": "what is drawn follows from the model type, see 'oracle'",
    "model.gpus": _DEVICE,
    "model.tag": "a folder has the name of its arm and seed",
    "model.deterministic": "a run is always repeatable; the published code never used it",
    "model.in_chns": "channels are counted in the images",
    "model.inf_train_type": _PREDICTED,
    "model.feature_decoder_index": "features are those before the head",
    "model.val_epoch": "the last step is taken; no validation labels are used",
    "model.encoder_name": "networks are the plan's; there is no ResNet encoder",
    "model.base_original_checkpoint": "specialists start from fresh weights",
    "model.train_beta1": "AdamW has 0.9",
    "model.train_beta2": "AdamW has 0.999",
    "model.train_scheduler": "the learning rate falls as (1 - t)^0.9",
    "policy.resume": "a campaign that was stopped always goes on where it was",
    "policy.ensemble_kwargs": _PREDICTED,
    "policy.uncertainty_kwargs": _PREDICTED,
    "policy.geometry_kwargs": _PREDICTED,
    "policy.save_im_score_file": "the chosen units stand in the workspace's database, in their order",
    "policy.tag": "a folder has the name of its arm and seed",
    "data_geometry.dataset_type": _ONE_DATA,
    "data_geometry.dataset_kwargs": _ONE_DATA,
    "data_geometry.in_chns": "channels are counted in the images; the published code never read it",
    "data_geometry.gpus": _DEVICE,
    "data_geometry.seed": "all streams follow from the campaign's seed; the published selector never got it",
    "data_geometry.coreset_kwargs": _OF_STRATEGY,
    "data_geometry.alg_string": "there is one greedy k-centre, exact and seeded",
    "data_geometry.metric": "distances are Euclidean; in the published code cosine has the wrong sign",
    "data_geometry.uncertainty_score_file": "uncertainty comes from the current models",
    "data_geometry.normalize_pos_by_label_ct": "the pixel term is a mean over what was drawn",
    "data_geometry.max_dist": "each term is divided by its median",
    "data_geometry.wt_max_dist_mult": "each term is divided by its median",
    "model_uncertainty.sbatch_size": "a batch has as many units as the round buys",
    "model_uncertainty.seed": "all streams follow from the campaign's seed",
    **{
        f"data_geometry.{key}": why
        for key, why in {
            "label_wt": "of pixels on strokes and beside them only the proportion counts, see default_pos_val",
            "extra_feature_wt": "it multiplies all weights of patient, phase and position, of which 0 counts and more",
            "group_wt": "no term compares the diagnoses of patients",
            "height_wt": "no term compares the heights of patients",
            "weight_wt": "no term compares the weights of patients",
            "slice_mid_wt": "no term prefers the middle of a volume",
            "slice_pos_wt": "the term of the position takes the distance, not whether two numbers are equal",
            "subset_size": "the graph holds all units",
            "s_margin": "the published code never used it",
            "starting_sample": _BEGINNING,
            "use_random_start": _BEGINNING,
            "adj_sim_wt_metric": "edges are cosines; the published code of these weights is broken",
            "knn_model": "nearest neighbours are exact",
            "vae_steps_per": _TOGETHER,
            "discriminator_steps_per": _TOGETHER,
            "beta": _LIKELIHOOD,
            "vae_beta": _LIKELIHOOD,
            "adversary_param": _LIKELIHOOD,
            "input_chann": "channels are counted in the images",
        }.items()
    },
    **{
        f"data_geometry.feature_model_params.{key}": why
        for key, why in {
            "pretrained": "the encoder begins with fresh weights",
            "in_chns": "channels are counted in the images",
            "inf_batch_size": "the same result at any size",
            "fuse_image_data_size_prop": "each term is divided by its median, so that pixels need no share",
            "projection_dim": "the head that is dropped after the training has its own size",
            "loss": "the loss is NT-Xent with group terms",
            "use_patient": _COMPANIONS,
            "use_phase": _COMPANIONS,
            "use_slice_pos": _COMPANIONS,
            "pos_loss1_mask": "it says which term pos_loss1 is, see there",
            "pos_loss2_mask": "it says which term pos_loss2 is, see there",
            "pos_loss3_mask": "it says which term pos_loss3 is, see there",
            "neg_loss": _NEGATIVE,
            "neg_loss_wt": _NEGATIVE,
            "patience": "the encoder learns for all of its epochs; early stopping never worked in the published code",
            "tol": "the encoder learns for all of its epochs; early stopping never worked in the published code",
            "cl_model_save_name": "what was learnt is kept in the cache",
            "cl_prev_path": "what was learnt is kept in the cache and found there again",
            "reset_sampler_every_epoch": "relatives are drawn anew in every step",
            "seed": "all streams follow from the campaign's seed",
            "debug": "there is no such switch",
        }.items()
    },
}
"""Keys without a meaning here, and why."""

ENCODER_DEFAULTS: Mapping[str, Any] = {
    "encoder": "resnet18",
    "patch_size": [256, 256],
    "lr": 3e-4,
    "batch_size": 64,
    "weight_decay": 1e-6,
    "temperature": 0.5,
    "num_epochs": 100,
    "loss_wt": 1.0,
    "pos_loss1_wt": 0.1,
    "pos_loss2_wt": 0.1,
    "pos_loss3_wt": 0.1,
}
"""Published defaults of data_geometry.feature_model_params where an encoder learns by contrast."""

DISTANCE_DEFAULTS: Mapping[str, Any] = {
    "default_pos_val": 1,
    "pos_wt": 1.0,
    "patient_wt": 0.0,
    "phase_wt": 0.0,
    "slice_rel_pos_wt": 0.0,
    "uncertainty_wt": 0.0,
}
"""Published defaults of data_geometry where the distance has several terms."""

_COMMON = {"ann_type", "dataset", "ensemble_size", "seed", "gpus", "tag"}
_SCRIBBLE = _COMMON | {
    *("in_chns", "seg_model", "batch_size", "base_lr", "max_iterations", "deterministic", "patch_size"),
    *("inf_train_type", "feature_decoder_index"),
}
_LVM = _COMMON | {
    *("encoder_name", "in_chns", "val_epoch", "num_epochs", "base_original_checkpoint", "batch_size", "base_lr"),
    *("train_beta1", "train_beta2", "train_weight_decay", "train_scheduler", "amp", "patch_size", "inf_train_type"),
}
_CENTRE = {
    *("alg_string", "metric", "coreset_kwargs", "dataset_type", "in_chns", "dataset_kwargs", "use_uncertainty"),
    *("uncertainty_score_file", "use_labels", "label_wt", "default_pos_val", "max_dist", "pos_wt", "seed", "gpus"),
    *("normalize_pos_by_label_ct", "wt_max_dist_mult", "extra_feature_wt", "patient_wt", "phase_wt", "group_wt"),
    *("height_wt", "weight_wt", "slice_rel_pos_wt", "slice_mid_wt", "slice_pos_wt", "uncertainty_wt"),
    *("feature_model", "contrastive", "feature_model_params", "use_model_features", "patch_size"),
}
_GCN = {
    *("subset_size", "hidden_units", "dropout_rate", "lr_gcn", "wdecay", "lambda_loss", "num_epochs_gcn", "s_margin"),
    *("starting_sample", "use_random_start", "adj_sim_wt_metric"),
}
_VAAL = {
    *("dataset_type", "dataset_kwargs", "in_chns", "seed", "gpus", "latent_dim", "batch_size", "num_epochs"),
    *("patch_size", "vae_steps_per", "discriminator_steps_per", "beta", "adversary_param", "input_chann", "vae_beta"),
}
_TYPICAL = {
    *("dataset_type", "dataset_kwargs", "in_chns", "seed", "gpus", "min_cluster_size", "max_num_clusters", "k_nn"),
    *("knn_model", "patch_size", "feature_model", "contrastive", "feature_model_params"),
}


@dataclass(frozen=True)
class Group:
    """A group of the file: the key that names its type, the keys of each type, and what makes a type the default."""

    type_key: str
    types: Mapping[str, frozenset[str]]
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_needed: bool = False


_SGD = {"batch_size": 6, "base_lr": 0.01, "max_iterations": 60000, "patch_size": [256, 256]}

GROUPS: Mapping[str, Group] = {
    "model": Group(
        "model_type",
        {
            "dmpls": frozenset(_SCRIBBLE),
            "strong": frozenset(_SCRIBBLE),
            "db_dmpls": frozenset(_SCRIBBLE | {"T", "db_score_func"}),
            "db_strong": frozenset(_SCRIBBLE | {"T", "db_score_func"}),
            "lvm_med": frozenset(_LVM),
        },
        {
            "dmpls": {**_SGD, "dataset": "ACDC", "seg_model": "unet_cct"},
            "strong": {**_SGD, "dataset": "ACDC", "seg_model": "unet"},
            "db_dmpls": {**_SGD, "dataset": "ACDC", "seg_model": "unet_cct"},
            "db_strong": {**_SGD, "dataset": "ACDC", "seg_model": "unet"},
            "lvm_med": {
                **{"dataset": "ACDC", "batch_size": 8, "base_lr": 1e-4, "num_epochs": 50, "train_weight_decay": 0},
                "patch_size": [256, 256],
            },
        },
        is_needed=True,
    ),
    "policy": Group(
        "policy_type",
        {
            name: frozenset(
                {
                    *("rounds", "resume", "ensemble_kwargs", "uncertainty_kwargs", "geometry_kwargs", "tag", "seed"),
                    *("save_im_score_file", "pseudolabels", *more),
                }
            )
            for name, more in {"random": (), "ranked": ("rank_type",)}.items()
        },
        is_needed=True,
    ),
    "data_geometry": Group(
        "data_geometry_type",
        {
            "pass": frozenset(),
            "kcenter_greedy": frozenset(_CENTRE),
            "coregcn": frozenset(_CENTRE | _GCN),
            "vaal": frozenset(_VAAL),
            "typiclust": frozenset(_TYPICAL),
        },
        {"vaal": {"batch_size": 128, "num_epochs": 50}},
    ),
    "model_uncertainty": Group(
        "model_uncertainty_type",
        {
            "pass": frozenset(),
            "ensemble": frozenset({"score_func"}),
            "stochastic": frozenset({"score_func", "sbatch_size", "seed"}),
        },
    ),
}
"""The four groups."""

FEATURE_KEYS = frozenset(
    [
        *(key.rpartition(".")[2] for key in MEANINGLESS if key.startswith("data_geometry.feature_model_params.")),
        *("pos_loss1", "pos_loss2", "pos_loss3", "fuse_image_data", *ENCODER_DEFAULTS),
    ]
)
"""Keys of data_geometry.feature_model_params."""

DEAD: Mapping[str, str] = {"spml_mv": "a submodule that is no longer there", "spml_sm": "the same"}
"""Types that the published code itself can no longer build."""


@dataclass(frozen=True)
class Published:
    """A data set of the paper: what `frugalseg prepare` makes of it, and how it is cut."""

    data: str
    slices: int  # of the training pool, of which rounds are fractions
    side: tuple[int, int] = (256, 256)  # array rows and columns of the network's input
    extent: float | None = None  # mm of the square that the published script cuts out of a slice; None: all of it
    axis: int | None = 2  # slices lie across it; None for 2D images
    normalise: str = "none"  # of what `frugalseg prepare` leaves as it is
    split: Mapping[str, int] = field(default_factory=dict)  # where there is no list of it here


DATASETS: Mapping[str, Published] = {
    "ACDC": Published("folder=$FRUGALSEG_DATA/acdc,names=RV+myocardium+LV,split=$FRUGALSEG_DATA/acdc/split", 1454),
    "CHAOS": Published(
        "folder=$FRUGALSEG_DATA/chaos_ct,names=liver",
        2351,
        extent=189 * 1.89,
        split={"validation": 2, "test": 3, "seed": 10},
    ),
    "MSCMR": Published(
        "folder=$FRUGALSEG_DATA/mscmr,names=RV+myocardium+LV,split=$FRUGALSEG_DATA/mscmr/split",
        382,
        extent=212 * 1.367,
    ),
    "DAVIS": Published(
        "folder=$FRUGALSEG_DATA/davis,classes=1,names=object,unknown=255,volume=group,position=position,"
        "split=$FRUGALSEG_DATA/davis/split",
        2079,
        side=(144, 256),
        axis=None,
        normalise="percentile",
    ),
}
"""Data sets by their names without signs between letters and digits."""

OTHER_NAMES: Mapping[str, str] = {"CHAOSCT": "CHAOS", "CHAOSCTLIVER": "CHAOS"}
