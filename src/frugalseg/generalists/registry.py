"""The generalists by name. A new one is a file with a builder, a line here, and a line among the weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frugalseg.errors import SettingsError, lookup
from frugalseg.generalists.classic import Classic
from frugalseg.generalists.clicks import ADAPTER, ClickGeneralist, with_adapter
from frugalseg.generalists.generalist import Generalist, GeneralistInfo, Side
from frugalseg.generalists.pyramid import PyramidGeneralist
from frugalseg.generalists.sam import CPU, SamGeneralist
from frugalseg.generalists.weights import WEIGHTS, find_weights, read_state, weights_fingerprint

State = Mapping[str, Tensor]
Config = Mapping[str, Any] | None
Network = SamGeneralist | PyramidGeneralist
Build = Callable[[State, GeneralistInfo, Config], Network]

LITE = "lite-medsam"
CLICKS = "lite-medsam-clicks"
CLASSIC = "classic"


def _mobile_sam(state: State, info: GeneralistInfo, config: Config) -> Network:
    from frugalseg.generalists.tiny_sam import mobile_sam

    return mobile_sam(state, info)


def _sam_vit(state: State, info: GeneralistInfo, config: Config) -> Network:
    from frugalseg.generalists.sam_vit import sam_vit

    return sam_vit(state, info, config=config)


def _medsam(state: State, info: GeneralistInfo, config: Config) -> Network:
    from frugalseg.generalists.sam_vit import medsam

    return medsam(state, info, config=config)


def _sam_hq(state: State, info: GeneralistInfo, config: Config) -> Network:
    from frugalseg.generalists.sam_hq import sam_hq

    return sam_hq(state, info, config=config)


def _sam2(state: State, info: GeneralistInfo, config: Config) -> Network:
    from frugalseg.generalists.sam2 import sam2

    return sam2(state, info, config=config)


BACKENDS: Mapping[str, Build] = {
    "medsam": _medsam,
    "mobile-sam": _mobile_sam,
    **dict.fromkeys(("sam-vit-b", "sam-vit-l", "sam-vit-h"), _sam_vit),
    **dict.fromkeys(("sam-hq-vit-b", "sam-hq-vit-l", "sam-hq-vit-h"), _sam_hq),
    **dict.fromkeys(("sam2.1-hiera-t", "sam2.1-hiera-s", "sam2.1-hiera-b+", "sam2.1-hiera-l"), _sam2),
}
"""Those with one input size; the modules are imported when they are needed, transformers takes seconds."""

NAMES = (CLASSIC, LITE, CLICKS, *BACKENDS)


def build_generalist(
    name: str,
    *,
    weights: Path | None = None,
    input_size: Side = "auto",
    adapter: Path | None = None,
    device: torch.device = CPU,
) -> Generalist:
    """The generalist of that name with the weights of this machine, or of a file or transformers folder.

    `input_size` is for LiteMedSAM (64, 128, 256 or "auto"), `adapter` a click adapter other than the shipped one; on
    `device` its networks compute.
    Raises `SettingsError` for unknown names and options that mean nothing there, `WeightsError` for absent weights.
    """
    lookup(dict.fromkeys(NAMES), name, "generalist")
    if name not in (LITE, CLICKS) and input_size != "auto":
        raise SettingsError(f"input_size is for {LITE} and {CLICKS}; {name} has one size")
    if name != CLICKS and adapter is not None:
        raise SettingsError(f"an adapter is for {CLICKS}, not for {name}")
    if name == CLASSIC:
        return Classic()
    found: Network | ClickGeneralist
    if name == LITE:
        found = build_lite_medsam(weights, input_size=input_size)
    elif name == CLICKS:
        found = build_clicks(weights, input_size=input_size, adapter=adapter)
    else:
        path = find_weights(name, path=weights)
        config, state = _content(path)
        found = BACKENDS[name](state, _info(name, path, ""), config)
    found.to(device)
    return found


def build_lite_medsam(weights: Path | None = None, *, input_size: Side = "auto") -> SamGeneralist:
    """LiteMedSAM, whose prompts are boxes."""
    from frugalseg.generalists.tiny_sam import lite_medsam

    path = find_weights(LITE, path=weights)
    return lite_medsam(_content(path)[1], _info(LITE, path, f"input={input_size}"), input_size=input_size)


def build_clicks(
    weights: Path | None = None, *, input_size: Side = "auto", adapter: Path | None = None
) -> ClickGeneralist:
    """LiteMedSAM with a click adapter, the shipped one by default."""
    return with_adapter(build_lite_medsam(weights, input_size=input_size), adapter or ADAPTER)


def _info(name: str, path: Path, settings: str) -> GeneralistInfo:
    entry = WEIGHTS[name]
    return GeneralistInfo(name, entry.licence, weights_fingerprint(path), entry.prompts, settings)


def _content(path: Path) -> tuple[Config, State]:
    """Configuration, where there is one, and tensors of a file or of a folder as transformers writes it."""
    from frugalseg.generalists.checkpoint import read_folder

    if path.is_dir():
        return read_folder(path)
    return None, read_state(path)
