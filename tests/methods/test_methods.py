"""What holds for every method of the registry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.errors import SettingsError
from frugalseg.learn.engine import FitSettings, Hardware, fit
from frugalseg.learn.method import Method
from frugalseg.methods import METHODS, build_method
from tiny_world import dice, network_maker, world

CPU = Hardware(device="cpu")
EAGER: dict[str, dict[str, Any]] = {"scribble": {"confidence": 0}}
"""Options with which a method believes even an untrained network."""
each_method = pytest.mark.parametrize("name", METHODS)


def trained(
    name: str,
    folder: Path,
    *,
    steps: int,
    batches: Callable[[int], Batch] | None = None,
    dropout: float = 0.1,
    **options: Any,
) -> Method:
    method = build_method(name, network_maker(dropout=dropout), options)
    settings = FitSettings(steps=steps, lr=0.02, tensorboard=False)
    for _ in fit(method, batches or world(), settings, folder=folder, hardware=CPU, seed=0):
        pass
    return method


def total(method: Method, batch: Batch, step: int = 50) -> Tensor:
    return torch.stack([*method.losses(batch, step).values()]).sum()


def weights(method: Any) -> dict[str, Tensor]:
    return {name: x.clone() for name, x in method.state_dict().items()}


@each_method
def test_it_learns_the_tiny_world_from_a_few_drawn_lines(name: str, tmp_path: Path) -> None:
    before = dice(build_method(name, network_maker(), {}).predictor)
    after = dice(
        trained(name, tmp_path, steps=80, batches=world(known=("cross", "cross", "nothing", "nothing"))).predictor
    )
    assert before < 0.4
    assert after > 0.7


@each_method
def test_the_same_seed_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    first, second = (weights(trained(name, tmp_path / run, steps=3)) for run in "ab")
    assert all(torch.equal(x, second[key]) for key, x in first.items())


@pytest.mark.parametrize("name", ["mean-teacher", "ua-mt", "cps"])
def test_without_weight_on_the_unlabelled_voxels_it_is_supervised_learning(name: str, tmp_path: Path) -> None:
    plain = trained("supervised", tmp_path / "plain", steps=5, dropout=0).predictor
    other = trained(name, tmp_path / "other", steps=5, dropout=0, weight=0).predictor
    torch.testing.assert_close(dict(other.state_dict()), dict(plain.state_dict()), atol=1e-4, rtol=1e-4)


@each_method
@pytest.mark.parametrize("known", [("nothing", "nothing"), ("all", "all"), ("cross",)])
def test_any_amount_of_labels_gives_finite_losses_and_gradients(name: str, known: tuple[str, ...]) -> None:
    method = build_method(name, network_maker(), {})
    total(method, world(known=known, n_labelled=1)(0)).backward()
    grads = [p.grad for p in method.parameters() if p.requires_grad]  # type: ignore[attr-defined]
    assert all(g is not None and bool(g.isfinite().all()) for g in grads)


@each_method
def test_losses_change_neither_batch_nor_weights(name: str) -> None:
    method = build_method(name, network_maker(), {})
    batch, before = world()(0), weights(method)
    image, label = batch.image.clone(), batch.label.clone()
    total(method, batch).backward()
    assert torch.equal(batch.image, image)
    assert torch.equal(batch.label, label)
    assert all(torch.equal(x, before[key]) for key, x in weights(method).items())


@each_method
def test_volumes_work_as_planes_do(name: str) -> None:
    flat = world()(0)
    batch = Batch(
        image=flat.image[..., None].repeat(1, 1, 1, 1, 4),
        label=flat.label[..., None].repeat(1, 1, 1, 4),
        n_labelled=2,
        cases=flat.cases,
        seeds=flat.seeds,
    )
    assert total(build_method(name, network_maker(ndim=3), {}), batch).isfinite()


@each_method
def test_the_predictor_is_one_network_of_the_kind_that_was_asked_for(name: str) -> None:
    predictor = build_method(name, network_maker(), {}).predictor
    assert list(predictor.state_dict()) == list(network_maker()().state_dict())


@each_method
def test_only_methods_that_say_so_use_the_unlabelled_samples(name: str) -> None:
    batch = world(known=("all", "nothing"), n_labelled=1)(0)
    other = Batch(
        image=torch.cat([batch.image[:1], torch.zeros_like(batch.image[1:])]),
        label=batch.label,
        n_labelled=1,
        cases=batch.cases,
        seeds=batch.seeds,
    )
    method = build_method(name, network_maker(), EAGER.get(name, {}))
    first, second = ([t.item() for t in method.losses(b, 500).values()] for b in (batch, other))
    assert (first != second) == METHODS[name].uses_unlabelled


def test_an_unknown_method_is_answered_with_the_list() -> None:
    with pytest.raises(
        SettingsError, match=r"unknown method 'mean-teecher' \(did you mean 'mean-teacher'\?\).*cps.*ua-mt"
    ):
        build_method("mean-teecher", network_maker(), {})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decai": 0.9}, r"unknown key 'decai' \(did you mean 'decay'\?\)"),
        ({"decay": 1.0}, "'decay' = 1.0: .* less than 1"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=f"options of method 'mean-teacher': {words}"):
        build_method("mean-teacher", network_maker(), options)


@each_method
def test_every_option_can_be_given_and_every_default_is_valid(name: str) -> None:
    defaults = METHODS[name].settings().model_dump()
    method = build_method(name, network_maker(), defaults)
    assert isinstance(method, nn.Module)
    assert method.settings == METHODS[name].settings()
