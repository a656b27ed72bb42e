"""Sliding-window prediction of prepared images, a few windows at a time."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, combinations
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from frugalseg.specialist.plan import Plan

WINDOW_VOXELS = 400_000
"""Voxels that go through the network at once (at least one window); ours, for bounded memory."""

SLICES = 16
"""Slices of a volume whose results are gathered at once by a 2D plan; ours."""


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients inside the block; every module's own mode is back behind it."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def predict_windows(
    network: Callable[[Tensor], Tensor], x: np.ndarray, plan: Plan, *, device: torch.device
) -> np.ndarray:
    """The weighted mean of a network's outputs over all windows: (K, *space) -> (F, *space) float32.

    Windows are the plan's patch; an image that is smaller is padded with 0, as in training. The network sees its
    windows on `device`; the image and the result stay where NumPy is. A 2D plan goes through the slices of a volume.
    """
    if plan.axis is None:
        return np.asarray(_slide(network, x[None], plan, device)[0])
    slices = np.moveaxis(x, plan.axis + 1, 0)  # (slices, K, rows, columns)
    parts = [_slide(network, slices[i : i + SLICES], plan, device) for i in range(0, len(slices), SLICES)]
    return np.ascontiguousarray(np.moveaxis(np.concatenate(parts), 0, plan.axis + 1))


def _slide(network: Callable[[Tensor], Tensor], x: np.ndarray, plan: Plan, device: torch.device) -> np.ndarray:
    from monai.inferers.utils import sliding_window_inference

    images = torch.from_numpy(np.array(x, dtype=np.float32, order="C"))
    out = sliding_window_inference(
        images,
        plan.patch,
        max(1, WINDOW_VOXELS // math.prod(plan.patch)),
        network,
        overlap=_overlap(plan),
        mode={"gaussian": "gaussian", "uniform": "constant"}[plan.blend],
        padding_mode="constant",
        sw_device=device,
        device=images.device,
    )
    return np.asarray(cast(Tensor, out).numpy())


def _overlap(plan: Plan) -> tuple[float, ...]:
    """The share of the patch, axis by axis, that MONAI turns into the plan's steps.

    MONAI takes int(patch * (1 - overlap)), which for a share that is exact on paper may be one voxel too short:
    112 * (1 - 94 / 112) is 17.99...; half a voxel more is always cut off to the right one.
    """
    if plan.step is None:
        return (plan.overlap,) * plan.ndim
    return tuple(max(0.0, 1 - (step + 0.5) / n) for step, n in zip(plan.step, plan.patch, strict=True))


def with_flips(predict: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """The mean of a prediction over all mirrorings of the spatial axes, each mirrored back (4 in 2D, 8 in 3D)."""
    axes = range(1, x.ndim)
    choices = list(chain.from_iterable(combinations(axes, n) for n in range(x.ndim)))
    total = np.zeros(1, np.float32)
    for flipped in choices:
        total = total + np.flip(predict(np.flip(x, flipped)), flipped)
    return np.asarray(total / len(choices), np.float32)
