"""What `--device` says."""

import torch

from frugalseg.learn.hardware import Hardware
from frugalseg.settings import parse


def device_named(name: str) -> torch.device:
    """The device of auto, cpu or gpu. Raises `SettingsError` for another name, and where there is no GPU."""
    return parse(Hardware, {"device": name}, where="options").own_device()
