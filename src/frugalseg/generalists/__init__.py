"""Frozen promptable models behind one contract; prompts as data; weights; the embedding cache."""

from pathlib import Path

from frugalseg.generalists.generalist import Side
from frugalseg.generalists.predictor import Predictor, Zoom

__all__ = ["generalist"]


def generalist(
    name: str = "lite-medsam-clicks",
    *,
    weights: str | Path | None = None,
    input_size: Side = "auto",
    zoom: Zoom = "auto",
    device: str = "cpu",
) -> Predictor:
    """A promptable model that takes one picture at a time, as users of SAM know it.

    `weights` is a local file or transformers folder; without it those that ``frugalseg models get`` has fetched.
    `input_size` is for LiteMedSAM: 64, 128, 256 pixels, or what the picture needs. With `zoom` "auto" small objects are
    looked at through a window. `device` is torch's word for where the networks compute.
    Raises `SettingsError` for an unknown name, `WeightsError` for absent weights.
    """
    import torch

    from frugalseg.generalists.registry import build_generalist

    path = Path(weights) if weights else None
    found = build_generalist(name, weights=path, input_size=input_size, device=torch.device(device))
    return Predictor(found, zoom=zoom)
