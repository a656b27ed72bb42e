from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from frugalseg.errors import DataError, SettingsError
from frugalseg.learn import checkpoint

IDENTITY = {"fit": {"lr": 0.01, "steps": 5}, "seed": 0, "about": {"patch": (4, 8)}}


def trained(width: int = 3, seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A layer with an optimiser that has a memory."""
    torch.manual_seed(seed)
    net = nn.Linear(2, width)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return net, optimizer


@pytest.fixture(autouse=True)
def _own_random_numbers():
    with torch.random.fork_rng():
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    saved = tmp_path / "run" / "last.ckpt"
    checkpoint.save(saved, *trained(), done=5, identity=IDENTITY)
    return saved


def test_everything_comes_back(path: Path) -> None:
    net, optimizer = trained(seed=1)
    assert checkpoint.restore(path, net, optimizer, identity=IDENTITY) == 5
    other, other_optimizer = trained()
    assert torch.equal(net.weight, other.weight)
    assert str(optimizer.state_dict()) == str(other_optimizer.state_dict())


def test_no_file_means_nothing_was_done(tmp_path: Path) -> None:
    assert checkpoint.restore(tmp_path / "last.ckpt", *trained(), identity=IDENTITY) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fit": {"lr": 0.1, "steps": 5}}, r"fit.lr = 0.01 there, 0.1 here"),
        ({"seed": 7}, r"seed = 0 there, 7 here"),
        ({"about": {}}, r"about.patch = \[4, 8\] there, None here"),
    ],
)
def test_another_run_is_refused_by_what_differs(path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=rf"last.ckpt belongs to another run \({words}\).*another folder"):
        checkpoint.restore(path, *trained(), identity={**IDENTITY, **change})


def test_other_networks_are_refused_and_nothing_is_loaded(path: Path) -> None:
    net, optimizer = trained(width=4)
    before = net.weight.detach().clone()
    with pytest.raises(SettingsError, match=r"2 tensors differ, e.g. bias: \(3,\) there, \(4,\) here"):
        checkpoint.restore(path, net, optimizer, identity=IDENTITY)
    assert torch.equal(net.weight, before)


@pytest.mark.parametrize("content", [b"", b"half a file", None])
def test_a_broken_file_is_named(path: Path, content: bytes | None) -> None:
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(DataError, match=r"last.ckpt is not a readable checkpoint .* remove it to start again"):
        checkpoint.restore(path, *trained(), identity=IDENTITY)


def test_a_pickle_that_runs_code_is_not_opened(path: Path) -> None:
    torch.save({"done": print}, path)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        checkpoint.restore(path, *trained(), identity=IDENTITY)


def test_a_file_of_something_else_is_named(path: Path) -> None:
    torch.save({"weights": torch.ones(1)}, path)
    with pytest.raises(DataError, match="not a checkpoint of a training run"):
        checkpoint.restore(path, *trained(), identity=IDENTITY)


def test_leftovers_of_killed_runs_are_removed_and_nothing_else(path: Path) -> None:
    for name in (".part-x1-last.ckpt", ".part-x2-other.json", "log.jsonl"):
        (path.parent / name).write_text("")
    checkpoint.clear_leftovers(path)
    assert sorted(p.name for p in path.parent.iterdir()) == [".part-x2-other.json", "last.ckpt", "log.jsonl"]
