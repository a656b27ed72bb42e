"""Trains in the tiny world as a script: ``FOLDER DEVICES METHOD...``. Started by the test of two processes.

The methods are trained one after the other, with a parameter more that no loss uses.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from frugalseg.learn.engine import FitSettings, Hardware, fit
from frugalseg.learn.processes import is_first
from frugalseg.methods import build_method
from tiny_world import network_maker, world


def train(name: str, folder: Path, devices: int) -> dict[str, torch.Tensor]:
    """Weights of the method after 20 steps."""
    method = build_method(name, network_maker(), {})
    assert isinstance(method, nn.Module)
    method.register_parameter("idle", nn.Parameter(torch.ones(1)))
    settings = FitSettings(steps=20, lr=0.01, tensorboard=False)
    hardware = Hardware(device="cpu", devices=devices, threads=1)
    for _ in fit(method, world(), settings, folder=folder, hardware=hardware, seed=0):
        pass
    return method.state_dict()


if __name__ == "__main__":
    for name in sys.argv[3:]:
        folder = Path(sys.argv[1]) / name
        weights = train(name, folder, int(sys.argv[2]))
        if is_first():
            torch.save(weights, folder / "weights.pt")
