"""How a specialist learns from few labels: one method a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from frugalseg.errors import lookup
from frugalseg.learn.method import MakeNetwork, Method
from frugalseg.methods.cps import Cps, CpsSettings
from frugalseg.methods.gmabs import GmAbs, GmAbsSettings
from frugalseg.methods.mean_teacher import MeanTeacher, MeanTeacherSettings
from frugalseg.methods.scribble import Scribble, ScribbleMethodSettings
from frugalseg.methods.supervised import Supervised, SupervisedSettings
from frugalseg.methods.ua_mt import UaMt, UaMtSettings
from frugalseg.settings import Settings, parse


@dataclass(frozen=True)
class MethodEntry:
    """One line of the registry. `build(make_network, settings)` takes settings of the entry's own type."""

    settings: type[Settings]
    build: Callable[[MakeNetwork, Any], Method]
    summary: str
    uses_unlabelled: bool = True
    knows_steps: bool = False  # has an option `steps`, which is the length of the whole training


METHODS: Mapping[str, MethodEntry] = {
    "supervised": MethodEntry(SupervisedSettings, Supervised, "labels only", uses_unlabelled=False),
    "mean-teacher": MethodEntry(MeanTeacherSettings, MeanTeacher, "consistency with a slow average of the student"),
    "ua-mt": MethodEntry(UaMtSettings, UaMt, "mean teacher that counts only where the teacher is sure"),
    "cps": MethodEntry(CpsSettings, Cps, "two networks label for each other"),
    "gmabs": MethodEntry(
        GmAbsSettings, GmAbs, "mean teacher, and labels by a generalist that it prompts", knows_steps=True
    ),
    "scribble": MethodEntry(ScribbleMethodSettings, Scribble, "strokes: two decoders whose mix is the pseudo-label"),
}


def method_settings(name: str, options: Mapping[str, Any]) -> Settings:
    """All options of a method, these and the defaults of the others; raises `SettingsError` for an unknown one."""
    return parse(lookup(METHODS, name, "method").settings, options, where=f"options of method '{name}'")


def build_method(name: str, make_network: MakeNetwork, options: Mapping[str, Any]) -> Method:
    """The method with fresh networks; raises `SettingsError` for an unknown name or option."""
    return lookup(METHODS, name, "method").build(make_network, method_settings(name, options))
