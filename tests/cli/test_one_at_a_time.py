"""Two commands on one workspace at the same time."""

from running import frugalseg

from frugalseg.files import held
from frugalseg.workspace import Workspace

WORDS = ["--method", "supervised", "--device", "cpu", "--threads", "1"]
WORDS += ["--set", "fit.steps=2", "--set", "fit.tensorboard=false"]


def test_a_run_that_another_process_trains_is_left_to_it(capsys, tmp_path):
    work = tmp_path / "work"
    assert frugalseg(capsys, "init", work, "--data", "phantom=anatomy,n=4,shape=20x20x16", "--test", "1")[0] == 0
    frugalseg(capsys, "select", work, "--units", "1")
    frugalseg(capsys, "annotate", work)
    with held(work / "runs" / "0001") as is_ours:
        assert is_ours
        code, said = frugalseg(capsys, "train", work, *WORDS)
    assert code == 2
    assert "0001: another process is training this very run" in said
    assert not Workspace.open(work).runs()[0].is_done
    assert frugalseg(capsys, "train", work, *WORDS)[0] == 0
    assert Workspace.open(work).runs()[0].is_done
