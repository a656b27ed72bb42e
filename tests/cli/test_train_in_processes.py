"""One command, two processes."""

import itertools
import os
import subprocess
import sys

import pytest
from running import frugalseg

from frugalseg.generalist_labels import read_record, refreshes_in
from frugalseg.training import GENERALIST_LABELS
from frugalseg.workspace import Workspace

NET = "network: unet\nwidths: [4, 8]\n"
WORDS = ["--device", "cpu", "--threads", "1"]
WORDS += ["--set", "fit.steps=4", "--set", "fit.tensorboard=false", "--set", "fit.checkpoint_every=2"]


METHODS = {"mean-teacher": [], "gmabs": ["--set", "options.generalist=classic"]}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_train_one_run(capsys, tmp_path, method):
    """With `gmabs` each labels its share of the cases."""
    work = tmp_path / "work"
    assert frugalseg(capsys, "init", work, "--data", "phantom=anatomy,n=6,shape=20x20x16", "--test", "2")[0] == 0
    text = (work / "plan.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in text if not line.startswith(("widths", "strides", "kernels", "network"))]
    (work / "plan.yaml").write_text("\n".join(kept) + "\n" + NET)
    frugalseg(capsys, "select", work, "--units", "2")
    frugalseg(capsys, "annotate", work)
    words = ["--method", method, *METHODS[method], *WORDS, "--devices", "2"]
    command = [sys.executable, "-m", "frugalseg", "train", str(work), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    workspace = Workspace.open(work)
    (run,) = workspace.runs()
    assert run.is_done
    assert run.metrics["dice"] >= 0
    assert done.stdout.count("model: ") == 1
    if method == "gmabs":
        folder = workspace.run_folder(run) / GENERALIST_LABELS
        assert refreshes_in(folder) == [2, 3]
        assert "the generalist's labels before step 2 weigh: head" in done.stdout
        for step, case in itertools.product((2, 3), workspace.split.train):
            record = read_record(folder, case, step)
            assert record.said.shape == record.predicted.shape == workspace.pool[case].geometry.shape
