import pytest
import torch
from torch import nn

from frugalseg.data.label import UNKNOWN
from frugalseg.learn.ramps import ramp_up
from frugalseg.methods.cps import Cps, CpsSettings, pseudo_label
from tiny_world import network_maker, world


def grads(net: nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in net.parameters() if p.grad is not None)


def test_the_two_networks_start_apart() -> None:
    method = Cps(network_maker(), CpsSettings())
    assert not torch.equal(next(method.first.parameters()), next(method.second.parameters()))


@pytest.mark.parametrize(
    ("term", "learns", "teaches"), [("cross_1", "first", "second"), ("cross_2", "second", "first")]
)
def test_no_gradient_flows_through_pseudo_labels(term: str, learns: str, teaches: str) -> None:
    method = Cps(network_maker(), CpsSettings())
    method.losses(world()(0), 500)[term].backward()
    assert grads(method.get_submodule(learns)) > 0
    assert grads(method.get_submodule(teaches)) == 0


def test_the_cross_term_is_cross_entropy_with_the_others_classes_where_nobody_looked() -> None:
    method, batch = Cps(network_maker(), CpsSettings()), world()(0)
    with torch.no_grad():
        z1, y2 = method.first(batch.image), method.second(batch.image).argmax(1)
    unknown = batch.label == UNKNOWN
    expected = nn.functional.cross_entropy(z1.movedim(1, -1)[unknown], y2[unknown])
    torch.testing.assert_close(method.losses(batch, 100)["cross_1"].detach(), 0.1 * ramp_up(100, 200) * expected)


def test_pseudo_labels_stay_away_from_what_was_drawn_and_break_ties_to_the_lowest_class() -> None:
    z = torch.tensor([[1.0, 0, 0], [1, 3, 0], [0, 0, 2]])[None]  # 1 sample, 3 classes, 3 voxels
    labels = torch.tensor([[UNKNOWN, 2, UNKNOWN]], dtype=torch.uint8)
    assert pseudo_label(z, labels).tolist() == [[0, UNKNOWN, 2]]


def test_the_first_network_predicts() -> None:
    method = Cps(network_maker(), CpsSettings())
    assert method.predictor is method.first
