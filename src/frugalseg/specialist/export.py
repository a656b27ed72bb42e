"""The specialist for other programs."""

from pathlib import Path

import torch

from frugalseg.files import atomic_path
from frugalseg.specialist.model import Model
from frugalseg.specialist.predict import evaluating

OPSET = 17


def export_onnx(model: Model, path: str | Path) -> None:
    """Writes the network as ONNX, atomically: `image` (B, K, *patch) -> `logits` (B, C, *patch) with any B.

    Spacing, normalisation and windows are the plan's business and are not in the graph. By torch's TorchScript
    exporter, which warns that it is deprecated: its successor needs a package that is not required here.
    """
    x = torch.zeros(1, model.plan.channels, *model.plan.patch, device=next(model.network.parameters()).device)
    with evaluating(model.network), atomic_path(Path(path)) as part:
        torch.onnx.export(
            model.network,
            (x,),
            part,
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=OPSET,
        )
