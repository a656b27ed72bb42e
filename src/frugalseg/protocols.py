"""Published protocols: what a plan and the settings of training must be for numbers to be compared with a table.

LA is the protocol of the semi-supervised papers on the left atrium (100 MRI scans, 80 to train and 20 to test, as
preprocessed by UA-MT), in the form that GM-ABS trains with. Sources: [1] UA-MT (Yu et al. 2019), `train_LA_*.py` and
`test_util.py`; [2] GM-ABS (TMI 2025), `train_final_GMABS_LA_public.py`. Its scores are in `frugalseg.metrics.la`.

We differ, on purpose:

- [1] and [2] turn a patch by k * 90 degrees and then always mirror it along one of two axes, so that only four of
  eight orientations are seen, all mirrored, and never the one that is tested. Here all eight are, equally often.
- [2] keeps the checkpoint that is best on the test scans; here the last one is the result.
- Patches begin at every corner equally often; in [1] and [2] the last corner of each axis is never drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from frugalseg.errors import lookup
from frugalseg.metrics.la import la_label_scores
from frugalseg.metrics.semantic import Scores
from frugalseg.settings import Settings, override

LA_PATCH = (112, 112, 80)
"""Voxels of a patch, in training and in prediction [1, 2]."""

LA_STEP = (18, 18, 4)
"""Voxels from one window to the next in prediction: about 56 windows a scan [1, 2]."""

LA_STEPS = 10_000
"""Iterations [2]; [1] takes 6,000."""

LA_LEARNING_RATE = 0.01
"""Of SGD with momentum 0.9, not Nesterov's, and weight decay 1e-4 [1, 2]."""

LA_DROPS = (5_000, 5_000, 7_500)
"""Iterations from which the learning rate is a tenth: 0.1^(t // 2500), which [2] applies from 5,000 on, so two tenths
at once; [1] applies it from 2,500 on."""

LA_BATCH = (2, 2)
"""Labelled and unlabelled patches of an iteration [1, 2]."""


@dataclass(frozen=True)
class Protocol:
    """Changes to the fields of a `Plan`, and to `TrainSettings`, with keys like ``fit.steps`` for `settings.override`.

    What they do not name (method, classes, channels) is not part of the protocol. `scores` are those of its tables,
    reported beside the usual ones.
    """

    plan: Mapping[str, Any]
    train: Mapping[str, Any]
    scores: Scores


def la_protocol() -> Protocol:
    """The LA protocol: V-Net, scans as they are in the file, windows averaged equally, SGD, quarter turns and flips."""
    labelled, unlabelled = LA_BATCH
    return Protocol(
        plan={
            "ndim": 3,
            "axis": None,
            "spacing": None,  # 0.625 mm in all scans, which the files do not say
            "normalise": "none",  # UA-MT's files hold z-scores of the whole scan, from before they were cropped
            "patch": LA_PATCH,
            "step": LA_STEP,
            "blend": "uniform",
            "network": "vnet",
            "dropout": 0.5,
        },
        train={
            "labelled": labelled,
            "unlabelled": unlabelled,
            "known_fraction": 0.0,
            "uniform_corners": True,
            "augment": {
                "flip": (0, 1),
                "quarter_turns": (0, 1),
                "turn_probability": 0.0,
                "intensity": {f"{name}_probability": 0.0 for name in ("gamma", "contrast", "bias", "blur", "noise")},
            },
            "fit.steps": LA_STEPS,
            "fit.optimizer": "sgd",
            "fit.lr": LA_LEARNING_RATE,
            "fit.momentum": 0.9,
            "fit.nesterov": False,
            "fit.weight_decay": 1e-4,
            "fit.schedule": "constant",
            "fit.drops": LA_DROPS,
            "fit.warmup": 0,
            "fit.clip_norm": None,
            "fit.precision": "32-true",
        },
        scores=la_label_scores,
    )


PROTOCOLS: Mapping[str, Callable[[], Protocol]] = {"la": la_protocol}
"""Every protocol by its name."""


def protocol_changes(name: str | None) -> dict[str, Any]:
    """What a protocol says, with keys like ``plan.patch`` and ``train.fit.steps``; nothing without a name.

    Raises `SettingsError` for an unknown name.
    """
    if name is None:
        return {}
    found = lookup(PROTOCOLS, name, "protocol")()
    return {f"plan.{k}": v for k, v in found.plan.items()} | {f"train.{k}": v for k, v in found.train.items()}


def protocol_scores(name: str | None) -> Scores | None:
    """How a protocol measures; None without a name. Raises `SettingsError` for an unknown one."""
    return None if name is None else lookup(PROTOCOLS, name, "protocol")().scores


def under_protocol(said: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with ``protocol``, ``plan`` and ``train`` in which the protocol fills in what was not said."""
    return _beneath(said, override({}, protocol_changes(said.get("protocol"))))


def _beneath(said: Mapping[str, Any], filling: Mapping[str, Any]) -> dict[str, Any]:
    """Both together; what was said wins, mapping by mapping."""
    result = {**filling, **said}
    for key, lower in filling.items():
        upper = said.get(key)
        upper = upper.model_dump(exclude_unset=True) if isinstance(upper, Settings) else upper
        if isinstance(lower, Mapping) and isinstance(upper, Mapping):
            result[key] = _beneath(upper, lower)
    return result
