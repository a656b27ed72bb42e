"""How a specialist learns from few labels: one method a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from frugalseg.errors import lookup
from frugalseg.learn.method import MakeNetwork, Method
from frugalseg.methods.cps import Cps, CpsSettings
from frugalseg.methods.mean_teacher import MeanTeacher, MeanTeacherSettings
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


METHODS: Mapping[str, MethodEntry] = {
    "supervised": MethodEntry(SupervisedSettings, Supervised, "labels only", uses_unlabelled=False),
    "mean-teacher": MethodEntry(MeanTeacherSettings, MeanTeacher, "consistency with a slow average of the student"),
    "ua-mt": MethodEntry(UaMtSettings, UaMt, "mean teacher that counts only where the teacher is sure"),
    "cps": MethodEntry(CpsSettings, Cps, "two networks label for each other"),
}


def build_method(name: str, make_network: MakeNetwork, options: Mapping[str, Any]) -> Method:
    """The method with fresh networks; raises `SettingsError` for an unknown name or option."""
    entry = lookup(METHODS, name, "method")
    return entry.build(make_network, parse(entry.settings, options, where=f"options of method '{name}'"))
