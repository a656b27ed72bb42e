import pytest
import torch

from frugalseg.errors import SettingsError
from frugalseg.learn.hardware import Hardware


def test_cpu_is_taken_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert Hardware().launch("32-true").device == torch.device("cpu")


def test_more_gpus_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SettingsError, match=r"1 GPU were asked for but torch sees 0 here; .* use device 'cpu'"):
        Hardware(device="gpu").launch("32-true")


def test_several_processes_from_an_interactive_session_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["-c"])
    with pytest.raises(SettingsError, match="devices = 2 starts the running command again"):
        Hardware(device="cpu", devices=2).launch("32-true")


def test_the_number_of_threads_is_set() -> None:
    before = torch.get_num_threads()
    try:
        Hardware(device="cpu", threads=1).launch("32-true")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
