import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from frugalseg.learn.log import read_log

SCRIPT = Path(__file__).with_name("killed_runs.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks, which this system cannot")
def test_a_run_killed_again_and_again_ends_bit_equal(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(SCRIPT.parents[1]), *sys.path])
    command = [sys.executable, "-W", "error", str(SCRIPT), str(tmp_path), "0"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths})
    whole, killed = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "killed"))
    assert killed["done"] == whole["done"] == 24
    for name, x in whole["method"].items():
        assert torch.equal(killed["method"][name], x), name
    for number, memory in whole["optimizer"]["state"].items():
        assert all(torch.equal(killed["optimizer"]["state"][number][name], x) for name, x in memory.items())
    without_time = [[{**r, "seconds": 0} for r in read_log(tmp_path / name)] for name in ("whole", "killed")]
    assert without_time[0] == without_time[1]
    assert sorted(p.name for p in (tmp_path / "killed").iterdir()) == ["last.ckpt", "log.jsonl"]
