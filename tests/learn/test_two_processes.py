import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from frugalseg.learn.log import read_log
from frugalseg.methods import METHODS

SCRIPT = Path(__file__).with_name("fit_in_a_process.py")


def train(folder: Path, devices: int) -> None:
    paths = os.pathsep.join([str(SCRIPT.parents[1]), *sys.path])
    command = [sys.executable, str(SCRIPT), str(folder), str(devices), *METHODS]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.slow
def test_two_processes_agree_with_one_at_equal_global_batch(tmp_path: Path) -> None:
    """20 steps of every method; one process gets the case of which a cross is drawn, the other the dense one."""
    for devices in (1, 2):
        train(tmp_path / str(devices), devices)
    for name in METHODS:
        one, two = (tmp_path / devices / name for devices in ("1", "2"))
        weights = torch.load(one / "weights.pt", weights_only=True)
        for key, x in torch.load(two / "weights.pt", weights_only=True).items():
            torch.testing.assert_close(x, weights[key], atol=1e-4, rtol=0, msg=f"{name}: {key}")
        for a, b in zip(read_log(one), read_log(two), strict=True):
            assert a["losses"] == pytest.approx(b["losses"], abs=1e-4)
