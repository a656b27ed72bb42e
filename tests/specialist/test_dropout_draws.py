import numpy as np
import pytest
from specialist_world import image_of, tiny_plan
from torch import nn

from frugalseg.specialist.dropout import has_dropout, thinned
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import build_network


def model_of(ndim=3, **changes):
    plan = tiny_plan(ndim, **changes)
    return Model(plan, build_network(plan, seed=0))


@pytest.mark.parametrize("network", ["unet-tiny", "vnet"])
def test_draws_differ_and_come_again(network):
    model, image = model_of(2, network=network, dropout=0.3), image_of((20, 24))
    one, two = ([*model.samples(image, n=3)] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert all(np.abs(one[i] - one[j]).max() > 1e-3 for i, j in ((0, 1), (0, 2), (1, 2)))
    assert np.abs(next(model.samples(image, n=1, seed=7)) - one[0]).max() > 1e-3


def test_without_dropout_every_draw_is_the_prediction():
    model, image = model_of(2), image_of((20, 24))
    assert not has_dropout(model.network)
    for p in model.samples(image, n=2):
        np.testing.assert_array_equal(p, model.probabilities(image))


def test_behind_a_draw_the_network_is_as_before():
    model, image = model_of(2, dropout=0.5), image_of((20, 24))
    before = model.probabilities(image)
    model.network.train()
    assert len([*model.samples(image, n=2)]) == 2
    assert model.network.training
    np.testing.assert_array_equal(model.probabilities(image), before)


class Channels(nn.Module):
    """Looks at single pixels only, so that windows can only differ in what their dropout took."""

    def __init__(self):
        super().__init__()
        self.spread, self.dropout, self.head = nn.Conv2d(1, 64, 1), nn.Dropout2d(0.5), nn.Conv2d(64, 2, 1)

    def forward(self, x):
        return self.head(self.dropout(self.spread(x)))


def test_a_draw_is_one_network_for_all_windows_of_an_image():
    network, image = Channels(), image_of((40, 37))
    windows = Model(tiny_plan(2, patch=(16, 16), overlap=0.25), network)
    whole = Model(tiny_plan(2, patch=(40, 40)), network)
    for p, q in zip(windows.samples(image, n=3), whole.samples(image, n=3), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5)


def test_the_kept_channels_are_scaled_up_so_that_the_mean_stays():
    import torch

    layer, x = nn.Dropout2d(0.25).eval(), torch.ones(1, 4000, 2, 2)
    with thinned(layer, np.random.default_rng(0)):
        y, again = layer(x), layer(x)
    assert torch.equal(y, again)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert y.mean() == pytest.approx(1, abs=0.03)
