import pytest
import torch

from frugalseg.learn.processes import is_first, rank, total, world


@pytest.fixture(autouse=True)
def _nothing_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_alone_the_sum_is_the_tensor_itself() -> None:
    x = torch.ones(3, requires_grad=True)
    assert total(x) is x
    assert (world(), rank(), is_first()) == (1, 0, True)


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK"])
def test_a_launched_process_knows_its_number_before_it_has_joined(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert (rank(), is_first()) == (1, False)
