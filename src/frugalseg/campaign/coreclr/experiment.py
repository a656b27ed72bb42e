"""An experiment file whose keys are all known, and what it says about data, rounds and strategy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from frugalseg.campaign.coreclr.keys import (
    DATASETS,
    DEAD,
    DISTANCE_DEFAULTS,
    ENCODER_DEFAULTS,
    FEATURE_KEYS,
    GROUPS,
    OTHER_NAMES,
    Published,
)
from frugalseg.campaign.coreclr.rounds import Budget, budget_of
from frugalseg.errors import SettingsError, lookup, nearest
from frugalseg.settings import read_yaml

_FUSED = ("use_labels", "use_uncertainty")
_COMPANIONS = {"use_slice_pos": "slices", "use_phase": "volumes", "use_patient": "patients"}
_SCORES = {
    "entropy_w_label_probs": "entropy",
    "entropy_w_label_counts": "entropy",
    "ensemble_variance_ratio": "variance-ratio",
}
DROPOUT_SCORES = {"bald_score": "bald", "entropy_score": "entropy"}
"""What dropout passes are scored by -> strategy."""


@dataclass(frozen=True)
class Experiment:
    """An experiment file whose keys are all known."""

    file: Path
    data: Mapping[str, Any]
    given: str = ""  # data of the campaign where it is not that of the paper
    slices: int = 0  # of the training pool, where it is not that of the paper

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``group.key``, or the published default of the group's type."""
        group, _, name = key.partition(".")
        value = (self.data.get(group) or {}).get(name)
        return self._defaults(group).get(name, default) if value is None else value

    def feature(self, key: str) -> Any:
        """The value of a key of the feature model, or its published default; None where it has none."""
        value = self._features.get(key)
        return ENCODER_DEFAULTS.get(key) if value is None else value

    def type(self, group: str) -> str:
        """The type of a group, ``pass`` where there is no such group."""
        return str((self.data.get(group) or {}).get(GROUPS[group].type_key, "pass"))

    @cached_property
    def published(self) -> Published:
        """The data set. Raises `SettingsError` for one of which nothing is known."""
        name = "".join(c for c in str(self.get("model.dataset")).upper() if c.isalnum())
        found = DATASETS.get(OTHER_NAMES.get(name, name))
        if found is not None:
            return found
        if not (self.given and self.slices):
            raise SettingsError(
                f"{self.file}: of the data set '{self.get('model.dataset')}' nothing is known here, only of "
                f"{', '.join(DATASETS)}; give --data and --slices"
            )
        return Published(self.given, self.slices)

    @cached_property
    def budget(self) -> Budget:
        """What the rounds buy."""
        return budget_of(self.get("policy.rounds", []), self.slices or self.published.slices, where=str(self.file))

    @cached_property
    def strategy(self) -> str:
        """The rule by which units are chosen. Raises `SettingsError` for what there is no rule for."""
        if self.type("policy") == "random":
            return "random"
        if self.type("data_geometry") != "pass":
            return self._by_geometry()
        if self.type("model_uncertainty") == "stochastic":
            return "stochastic-batches"
        if self.type("model_uncertainty") == "ensemble":
            return self._by_uncertainty()
        raise SettingsError(
            f"{self.file}: the policy is 'ranked', but neither data_geometry nor model_uncertainty gives a rank"
        )

    @property
    def has_encoder(self) -> bool:
        """Whether units are compared in features that are learnt by contrast."""
        learns = self.strategy in ("coreclr-paper", "coreclr-mfc", "typiclust")
        return learns and bool(self.get("data_geometry.feature_model")) and bool(self.get("data_geometry.contrastive"))

    @property
    def is_multi(self) -> bool:
        """Whether a k-centre on features adds other terms to their distance."""
        found = self.data.get("data_geometry") or {}
        weights = [v for k, v in found.items() if k.endswith("_wt") and k not in _OTHER_WEIGHTS]
        on_features = found.get("feature_model") and not found.get("use_model_features")
        has_more = self.feature("fuse_image_data") or any(weights) or any(found.get(key) for key in _FUSED)
        return self.type("data_geometry") == "kcenter_greedy" and bool(on_features and has_more)

    @property
    def companions(self) -> tuple[str, ...]:
        """Who stands behind the anchor in a group, as the terms of the encoder are named, in the published order."""
        return tuple(term for flag, term in _COMPANIONS.items() if self.feature(flag))

    def term(self, number: int) -> str | None:
        """The term of the encoder that pos_loss1, 2 or 3 is: that of the farthest relatives it keeps; None: it is off.

        Its mask drops places of the group; the anchor has place 0.
        """
        mask = self.feature(f"pos_loss{number}_mask") or ()
        dropped = mask if isinstance(mask, list | tuple) else [mask]
        kept = [term for place, term in enumerate(self.companions, 1) if place not in dropped]
        return kept[-1] if kept and self.feature(f"pos_loss{number}") else None

    @property
    def term_weights(self) -> dict[str, float]:
        """The weight of each group term of the encoder."""
        terms = [(self.term(k), self.feature(f"pos_loss{k}_wt")) for k in (1, 2, 3)]
        return {name: sum(float(weight) for term, weight in terms if term == name) for name in _COMPANIONS.values()}

    @property
    def asks_members(self) -> bool:
        """Whether what several networks predict has a say in the choice."""
        uncertain = self.is_multi and self.get("data_geometry.use_uncertainty")
        return self.decides == "model_uncertainty" or (self.decides == "data_geometry" and bool(uncertain))

    @property
    def by_dropout(self) -> bool:
        """Whether draws of a network's dropout are compared with each other."""
        return self.decides == "model_uncertainty" and self.strategy == "bald"

    @property
    def chooses_in(self) -> tuple[str, ...]:
        """Which purchases are chosen by the strategy."""
        return ("then",) if self.budget.starts_at_random else ("start", "then")

    def entries(self) -> Iterator[tuple[str, Any]]:
        """Every key of the file with its group, in the order of the file."""
        for group, found in self.data.items():
            if group not in GROUPS:
                yield group, found
                continue
            for key, value in (found or {}).items():
                if key == "feature_model_params" and value:
                    yield from ((f"{group}.{key}.{name}", v) for name, v in value.items())
                else:
                    yield f"{group}.{key}", value

    def defaults(self) -> Iterator[tuple[str, Any]]:
        """The published defaults that the file leaves as they are."""
        for group in self.data:
            for key, value in (self._defaults(group) if group in GROUPS else {}).items():
                if key not in self.data[group]:
                    yield f"{group}.{key}", value
        for key, value in ENCODER_DEFAULTS.items() if self.has_encoder else ():
            if key not in self._features and not key.startswith("pos_loss"):
                yield f"data_geometry.feature_model_params.{key}", value

    @property
    def decides(self) -> str:
        """The group that chooses the units."""
        if self.type("policy") == "random":
            return "policy"
        return "data_geometry" if self.type("data_geometry") != "pass" else "model_uncertainty"

    @property
    def _features(self) -> Mapping[str, Any]:
        return (self.data.get("data_geometry") or {}).get("feature_model_params") or {}

    def _by_geometry(self) -> str:
        if self.type("data_geometry") != "kcenter_greedy":
            return self.type("data_geometry")
        if self.get("data_geometry.use_model_features"):
            return "coreset"
        if not self.get("data_geometry.feature_model"):
            return "coreset-pixels"
        if not self.get("data_geometry.contrastive"):
            return "coreclr-frozen"
        return "coreclr-mfc" if self.is_multi else "coreclr-paper"

    def _defaults(self, group: str) -> Mapping[str, Any]:
        """The published defaults of a group that matter here."""
        found = GROUPS[group].defaults.get(self.type(group), {})
        return {**found, **DISTANCE_DEFAULTS} if group == "data_geometry" and self.is_multi else found

    def _by_uncertainty(self) -> str:
        score = self.get("model_uncertainty.score_func", "entropy_w_label_counts")
        if score == "mean_score":
            return lookup(DROPOUT_SCORES, str(self.get("model.db_score_func")), "db_score_func")
        return lookup(_SCORES, str(score), "score_func")


_OTHER_WEIGHTS = ("label_wt", "pos_wt", "extra_feature_wt")
"""Weights of `data_geometry` that are not those of a term of their own."""


def read_experiment(file: Path, *, data: str = "", slices: int = 0) -> Experiment:
    """The experiment in a file. Raises `SettingsError` for an unknown key or type, naming it."""
    content = read_yaml(file)
    _check(content, file)
    return Experiment(file, content, data, slices)


def _check(content: Mapping[str, Any], file: Path) -> None:
    """Raises `SettingsError` for an unknown key, an unknown type, and a group that is missing or no mapping."""
    for key in content:
        if key not in GROUPS and key != "exp_dir":
            raise SettingsError(f"{file}: unknown key '{key}'{nearest(str(key), [*GROUPS, 'exp_dir'])}")
    for name, group in GROUPS.items():
        found = content.get(name)
        if found is None and not group.is_needed:
            continue
        if not isinstance(found, dict):
            raise SettingsError(f"{file}: the group '{name}' must be there and hold 'key: value' lines")
        kind = str(found.get(group.type_key))
        if kind in DEAD:
            raise SettingsError(f"{file}: the published code of '{kind}' needs {DEAD[kind]}; choose another model type")
        if kind not in group.types:
            kinds = ", ".join(group.types)
            raise SettingsError(f"{file}: '{name}.{group.type_key}' = {kind!r}: there are {kinds}")
        _check_keys(found, {group.type_key, *group.types[kind]}, f"{file}: unknown key '{name}")
        params = found.get("feature_model_params") or {}
        if not isinstance(params, dict):
            raise SettingsError(f"{file}: '{name}.feature_model_params' must hold 'key: value' lines")
        _check_keys(params, FEATURE_KEYS, f"{file}: unknown key '{name}.feature_model_params")


def _check_keys(found: Mapping[Any, Any], known: frozenset[str] | set[str], begin: str) -> None:
    for key in found:
        if key not in known:
            raise SettingsError(f"{begin}.{key}'{nearest(str(key), sorted(known))}")
