"""One command, two processes."""

import os
import subprocess
import sys

import pytest
from running import frugalseg

from frugalseg.workspace import Workspace

NET = "network: unet\nwidths: [4, 8]\n"
WORDS = ["--method", "mean-teacher", "--device", "cpu", "--threads", "1"]
WORDS += ["--set", "fit.steps=4", "--set", "fit.tensorboard=false", "--set", "fit.checkpoint_every=2"]


@pytest.mark.slow
def test_two_processes_train_one_run(capsys, tmp_path):
    work = tmp_path / "work"
    assert frugalseg(capsys, "init", work, "--data", "phantom=anatomy,n=6,shape=20x20x16", "--test", "2")[0] == 0
    text = (work / "plan.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in text if not line.startswith(("widths", "strides", "kernels", "network"))]
    (work / "plan.yaml").write_text("\n".join(kept) + "\n" + NET)
    frugalseg(capsys, "select", work, "--units", "2")
    frugalseg(capsys, "annotate", work)
    command = [sys.executable, "-m", "frugalseg", "train", str(work), *WORDS, "--devices", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    (run,) = Workspace.open(work).runs()
    assert run.is_done
    assert run.metrics["dice"] >= 0
    assert done.stdout.count("model: ") == 1
