"""frugalseg: good segmentation models from very few annotations.

The names below are the public surface; everything else may change. They are loaded when they are first used, so
that ``import frugalseg`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frugalseg.annotator import Annotation, Oracle, annotate
    from frugalseg.data.case import Case
    from frugalseg.data.geometry import Geometry
    from frugalseg.data.image import Image
    from frugalseg.data.label import UNKNOWN, InstanceLabel, SemanticLabel
    from frugalseg.data.layouts import open_pool
    from frugalseg.data.phantoms import phantom_pool
    from frugalseg.data.pool import Pool, PoolView
    from frugalseg.data.unit import Unit
    from frugalseg.errors import FrugalsegError
    from frugalseg.evaluation import evaluate
    from frugalseg.generalists import generalist
    from frugalseg.generalists.masks import Masks
    from frugalseg.generalists.predictor import Predictor
    from frugalseg.generalists.prompts import Prompts
    from frugalseg.specialist.model import Model, Prediction
    from frugalseg.specialist.plan import Plan, make_plan
    from frugalseg.strategies import select
    from frugalseg.training import TrainSettings, train
    from frugalseg.workspace import Workspace

__version__ = "0.1.0"

_ROOMS = {
    "annotator": ["Annotation", "Oracle", "annotate"],
    "data.case": ["Case"],
    "data.geometry": ["Geometry"],
    "data.image": ["Image"],
    "data.label": ["UNKNOWN", "InstanceLabel", "SemanticLabel"],
    "data.layouts": ["open_pool"],
    "data.phantoms": ["phantom_pool"],
    "data.pool": ["Pool", "PoolView"],
    "data.unit": ["Unit"],
    "errors": ["FrugalsegError"],
    "evaluation": ["evaluate"],
    "generalists": ["generalist"],
    "generalists.masks": ["Masks"],
    "generalists.predictor": ["Predictor"],
    "generalists.prompts": ["Prompts"],
    "specialist.model": ["Model", "Prediction"],
    "specialist.plan": ["Plan", "make_plan"],
    "strategies": ["select"],
    "training": ["TrainSettings", "train"],
    "workspace": ["Workspace"],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "UNKNOWN",
    "Annotation",
    "Case",
    "FrugalsegError",
    "Geometry",
    "Image",
    "InstanceLabel",
    "Masks",
    "Model",
    "Oracle",
    "Plan",
    "Pool",
    "PoolView",
    "Prediction",
    "Predictor",
    "Prompts",
    "SemanticLabel",
    "TrainSettings",
    "Unit",
    "Workspace",
    "annotate",
    "evaluate",
    "generalist",
    "make_plan",
    "open_pool",
    "phantom_pool",
    "select",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'frugalseg' has no attribute '{name}'")
    return getattr(import_module(f"frugalseg.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
