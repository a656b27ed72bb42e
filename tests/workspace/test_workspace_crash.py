"""Two processes at once, and processes that are killed."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from workspace_worlds import SHAPE, draw, make_label, make_pool

from frugalseg.data.unit import Unit
from frugalseg.workspace import Workspace
from frugalseg.workspace import labels as workspace_labels

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from workspace_worlds import *
workspace = Workspace.open({folder!r}, pool=make_pool())
"""


def start(workspace: Workspace, code: str) -> subprocess.Popen:
    head = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(workspace.folder))
    return subprocess.Popen([sys.executable, "-c", head + code], stdout=subprocess.PIPE, text=True)


def test_two_processes_that_draw_on_one_case_lose_nothing(workspace):
    code = """
for k in range({start}, 10, 2):
    axis, index = divmod(k, 4) if k < 8 else (2, k - 8)
    workspace.record_annotation(draw(Unit("v0", "slice", axis, (index,)), seconds=2.0 ** k, seed=1))
    workspace.record_annotation(draw(Unit("v1", "slice", axis, (index,)), "rater{start}", seconds=0))
"""
    processes = [start(workspace, code.format(start=k)) for k in (0, 1)]
    assert [(p.communicate(timeout=60), p.returncode)[1] for p in processes] == [0, 0]
    label = workspace.labels.get("v0", "ada")
    truth = draw(Unit("v0"), seed=1).label.array
    assert label.known[:4].all()
    np.testing.assert_array_equal(label.array[label.known], truth[label.known])
    assert workspace.seconds_spent() == 2.0**10 - 1
    assert workspace.labels.raters("v1") == ("rater0", "rater1")


@pytest.mark.parametrize("after", [3, 11])
def test_a_killed_process_leaves_every_finished_label_whole_and_no_half_file(workspace, after):
    code = """
import itertools
for n in itertools.count():
    case = f"v{n % 4}"
    workspace.labels.put(case, "ada", make_label(seed=n))
    print(n, flush=True)
"""
    process = start(workspace, code)
    finished = [int(process.stdout.readline()) for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    finished += [int(line) for line in process.communicate()[0].split()]
    again = Workspace.open(workspace.folder, pool=make_pool())
    assert not [p for p in (workspace.folder / "labels").rglob(".part-*")]
    for case in {n % 4 for n in finished}:
        last = max(n for n in finished if n % 4 == case)
        found = again.labels.get(f"v{case}", "ada").array
        assert any(np.array_equal(found, make_label(seed=n).array) for n in (last, last + 4))


def test_a_crash_between_file_and_row_keeps_the_label_and_the_unit_pending(workspace, monkeypatch):
    unit = Unit("v0", "slice", 0, (2,))
    workspace.select(0, [unit], "random")

    def die(path: Path) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workspace_labels, "fingerprint_file", die)
        with pytest.raises(KeyboardInterrupt):
            workspace.record_annotation(draw(unit))
    again = Workspace.open(workspace.folder, pool=make_pool())
    np.testing.assert_array_equal(again.labels.get("v0", "ada").known, unit.mask(SHAPE))
    assert again.pending(0) == [unit]
    again.record_annotation(draw(unit))
    assert again.seconds_spent() == 30
    np.testing.assert_array_equal(again.labels.get("v0", "ada").array, draw(unit).label.array)


def test_a_file_that_was_not_written_to_its_end_is_removed_at_opening(workspace):
    workspace.labels.put("v0", "ada", make_label())
    half = workspace.folder / "labels" / "ada" / ".part-abc-v1.nii.gz"
    half.write_bytes(b"half")
    assert "was removed" in Workspace.open(workspace.folder).repairs[0]
    assert not half.exists()
