"""The trained specialist: it predicts in an image's own geometry, and it is one file."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.errors import DataError, SettingsError
from frugalseg.files import atomic_path
from frugalseg.seeds import stream
from frugalseg.settings import parse
from frugalseg.specialist.architecture import SegmentationNetwork
from frugalseg.specialist.dropout import thinned
from frugalseg.specialist.plan import Plan, build_network
from frugalseg.specialist.predict import evaluating, predict_windows, with_flips
from frugalseg.specialist.prepare import prepare_image
from frugalseg.specialist.resample import resample_linear

FORMAT = 1
"""Of the model file; a reader refuses files of a later one."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says about one image, in the image's own geometry."""

    label: SemanticLabel
    probabilities: Float32[np.ndarray, " C *space"]
    geometry: Geometry

    def save(self, path: str | Path) -> None:
        """Writes the label as a file of the suffix's format, with the image's affine where the format has one."""
        from frugalseg.data.write import write_label

        write_label(Path(path), self.label, self.geometry)


@dataclass(eq=False)
class Model:
    """A network with its plan; `info` says how it came about (method, steps, seed). Works where the network is."""

    plan: Plan
    network: nn.Module
    info: Mapping[str, str] = field(default_factory=dict)

    def with_usual_windows(self) -> "Model":
        """The same with windows as dense as usual, whatever a protocol prescribes for measuring."""
        return replace(self, plan=self.plan.model_copy(update={"step": None}))

    def predict(self, x: str | Path | Image | np.ndarray | Case, *, flips: bool = False) -> Prediction:
        """Classes and probabilities of a file, an image, an array (channels last) or a case.

        `flips` averages over all mirrorings: 4 or 8 times the time. Raises `DataError` that names the file or case
        when its axes or channels are not the plan's.
        """
        image, name = self._read(x)
        try:
            p = self.probabilities(image, flips=flips)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        return Prediction(SemanticLabel(p.argmax(0).astype(np.uint8), self.plan.classes), p, image.geometry)

    def probabilities(self, image: Image, *, flips: bool = False) -> Float32[np.ndarray, " C *space"]:
        """Class probabilities at the image's own voxels."""
        return self._run(image, lambda x: cast(Tensor, self.network(x)).softmax(1), flips=flips)

    def samples(self, image: Image, *, n: int, seed: int = 0) -> Iterator[Float32[np.ndarray, " C *space"]]:
        """Class probabilities by n draws of the network's dropout, one after the other; the same draws for each image.

        All are equal where the network has no dropout.
        """
        for k in range(n):
            with thinned(self.network, stream(seed, "dropout", k)):
                p = self.probabilities(image)
            yield p

    def probabilities_and_features(self, image: Image) -> tuple[np.ndarray, np.ndarray]:
        """What `probabilities` and `features` give, (C, *space) and (F, *space), in one go."""
        network = cast(SegmentationNetwork, self.network)

        def both(x: Tensor) -> Tensor:
            logits, features = network.forward_features(x)
            return torch.cat([logits.softmax(1), features], 1)

        found = self._run(image, both, flips=False)
        return found[: len(self.plan.classes)], found[len(self.plan.classes) :]

    def features(self, image: Image) -> Float32[np.ndarray, " F *space"]:
        """The features before the head, at the image's own voxels."""
        network = cast(SegmentationNetwork, self.network)
        return self._run(image, lambda x: network.forward_features(x)[1], flips=False)

    def _run(self, image: Image, forward: Callable[[Tensor], Tensor], *, flips: bool) -> np.ndarray:
        x = prepare_image(image, self.plan)
        device = next(self.network.parameters()).device

        def predict(x: np.ndarray) -> np.ndarray:
            return predict_windows(forward, x, self.plan, device=device)

        with evaluating(self.network):
            result = with_flips(predict, x) if flips else predict(x)
            return resample_linear(result, image.geometry.shape)

    def _read(self, x: str | Path | Image | np.ndarray | Case) -> tuple[Image, str]:
        if isinstance(x, Image):
            return x, "image"
        if isinstance(x, Case):
            return x.image(), x.id
        if isinstance(x, np.ndarray):
            return Image(x, Geometry.plain(x.shape[: self.plan.space])), "array"
        from frugalseg.data.formats import read_image

        return read_image(Path(x)), str(x)

    def save(self, path: str | Path) -> None:
        """Writes one safetensors file, atomically: weights, and plan and info as JSON in its metadata."""
        about = {"format": FORMAT, "plan": self.plan.completed().model_dump(mode="json"), "info": dict(self.info)}
        weights = {name: t.detach().cpu().contiguous() for name, t in self.network.state_dict().items()}
        with atomic_path(Path(path)) as part:
            save_file(weights, part, metadata={"frugalseg": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path) -> "Model":
        """The model of a file, on the CPU. Raises `DataError` when there is none or it is not a whole model file."""
        if not Path(path).is_file():
            raise DataError(f"{path}: there is no such model file")
        about, weights = _read_file(Path(path))
        if about.get("format") != FORMAT:
            raise DataError(
                f"{path}: written in model format {about.get('format')}, this version reads {FORMAT}; update"
            )
        try:
            plan = parse(Plan, about["plan"], where=str(path))
            network = build_network(plan, seed=0)
            network.load_state_dict(weights)
        except (KeyError, TypeError, RuntimeError, SettingsError) as error:
            raise DataError(f"{path}: plan and weights do not fit together, the file is damaged: {error}") from error
        return cls(plan, network.eval(), about.get("info", {}))


def _read_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            about = json.loads(metadata["frugalseg"])
            return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a model of this program, or cut off; save it again ({error})") from error
