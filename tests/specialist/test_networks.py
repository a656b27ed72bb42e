import pytest
import torch
from specialist_world import tiny_plan
from torch import nn
from torch.nn import functional as F

from frugalseg.errors import SettingsError
from frugalseg.specialist import NETWORKS
from frugalseg.specialist.architecture import fitted_levels
from frugalseg.specialist.plan import Plan, build_network

CLASSES = ("background", "a", "b")
SLIM = {"unet": (8, 8, 16, 16, 16, 16), "vnet": (4, 8, 8, 8, 8)}
SIZES = {2: [(32, 32), (33, 17), (7, 40), (1, 1)], 3: [(32, 16, 16), (17, 21, 9), (5, 1, 30)]}

every = pytest.mark.parametrize("name", sorted(NETWORKS))
both = pytest.mark.parametrize("ndim", [2, 3])


def network(name: str, ndim: int, *, seed: int = 0, **changes: object) -> nn.Module:
    widths = SLIM.get(name, (8, 8, 16, 16))
    plan = tiny_plan(ndim, network=name, channels=2, classes=CLASSES, patch=(32,) * ndim, widths=widths)
    return build_network(Plan.model_validate(plan.model_dump() | changes), seed=seed)


def image(ndim: int, *, batch: int = 2, seed: int = 0) -> torch.Tensor:
    size = {2: (33, 40), 3: (17, 24, 32)}[ndim]
    return torch.randn(batch, 2, *size, generator=torch.Generator().manual_seed(seed))


@every
@both
def test_logits_and_features_have_the_size_of_the_image(name, ndim):
    net = network(name, ndim).eval()
    for size in SIZES[ndim]:
        logits, features = net.forward_features(torch.zeros(1, 2, *size))
        assert logits.shape == (1, 3, *size)
        assert features.shape[2:] == size


@every
@both
def test_logits_are_the_head_of_the_features(name, ndim):
    net = network(name, ndim).eval()
    logits, features = net.forward_features(image(ndim))
    torch.testing.assert_close(net.head(features), logits)
    torch.testing.assert_close(net(image(ndim)), logits)


@every
@both
def test_gradient_reaches_every_parameter_and_every_skipped_channel_from_a_batch_of_one(name, ndim):
    net = network(name, ndim, dropout=0.0)
    x, y = image(ndim, batch=1), torch.randint(3, (1, *image(ndim).shape[2:]))
    F.cross_entropy(net(x), y).backward()
    for key, p in net.named_parameters():
        assert p.grad is not None, key
        assert p.grad.isfinite().all(), key
        assert p.ndim == 1 or p.grad.transpose(0, 1).flatten(1).any(1).all(), key


@every
def test_weights_depend_on_the_seed_only_and_building_draws_nothing_else(name):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, same, other = (network(name, 2, seed=s) for s in (5, 5, 6))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


@every
@both
def test_same_input_gives_the_same_bits(name, ndim):
    net = network(name, ndim).eval()
    assert torch.equal(net(image(ndim)), net(image(ndim)))


@every
@both
def test_input_stays_as_it_is(name, ndim):
    x = image(ndim)
    network(name, ndim)(x)
    assert torch.equal(x, image(ndim))


@pytest.mark.parametrize("name", ["unet", "unet-small", "unet-tiny"])
@both
def test_unets_see_each_sample_alone_even_in_training(name, ndim):
    net, x = network(name, ndim).train(), image(ndim, batch=3)
    alone = torch.cat([net(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(net(x), alone, rtol=1e-4, atol=1e-4)


@every
def test_dropout_acts_in_training_only(name):
    net, x = network(name, 2, dropout=0.5), image(2)
    assert torch.equal(net.eval()(x), net(x))
    assert not torch.equal(net.train()(x), net(x))


@every
@both
def test_dropout_takes_whole_channels_of_the_features(name, ndim):
    torch.manual_seed(0)
    _, features = network(name, ndim, dropout=0.5).train().forward_features(image(ndim, batch=8))
    alive = features.flatten(2).any(-1)
    assert 0.2 < alive.float().mean() < 0.8


@every
def test_without_dropout_training_is_not_random(name):
    net, x = network(name, 2, dropout=0.0).train(), image(2)
    assert torch.equal(net(x), net(x))


@every
@both
def test_a_constant_image_gives_finite_logits_and_gradients(name, ndim):
    net = network(name, ndim)
    net(torch.zeros_like(image(ndim))).square().mean().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


@every
@both
def test_memory_format_does_not_change_the_result(name, ndim):
    net, x = network(name, ndim).eval(), image(ndim)
    expected = net(x)
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[ndim]
    torch.testing.assert_close(net.to(memory_format=layout)(x), expected, rtol=1e-4, atol=1e-4)


def test_vnet_has_the_published_number_of_parameters():
    plan = Plan(ndim=3, classes=("background", "atrium"), patch=(112, 112, 80), network="vnet")
    net = build_network(plan, seed=0)
    assert sum(p.numel() for p in net.parameters()) == 9_448_866


def test_vnet_features_are_not_negative_and_it_drops_half_of_its_channels_by_default():
    net = network("vnet", 3)
    assert net.forward_features(image(3))[1].min() >= 0
    assert net.dropout.p == 0.5


def test_vnet_with_another_number_of_levels_is_refused():
    with pytest.raises(SettingsError, match="5 widths, not 2"):
        network("vnet", 3, widths=(8, 16))


def test_isotropic_levels_halve_every_axis_until_it_is_short():
    strides, kernels = fitted_levels((32, 16, 64), (1.0, 1.0, 1.0), n_levels=6, stem=False)
    assert strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 1, 2), (1, 1, 2))
    assert set(kernels) == {(3, 3, 3)}


def test_thick_slices_are_neither_halved_nor_mixed_until_voxels_are_about_cubes():
    strides, kernels = fitted_levels((16, 128, 128), (5.0, 1.0, 1.0), n_levels=5, stem=False)
    assert strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert kernels == ((1, 3, 3), (1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3))


def test_a_single_slice_keeps_flat_kernels():
    strides, kernels = fitted_levels((1, 64, 64), (1.0, 1.0, 1.0), n_levels=4, stem=True)
    assert all(s[0] == 1 for s in strides)
    assert all(k[0] == 1 for k in kernels)


@pytest.mark.parametrize("name", ["unet", "unet-small"])
def test_hugely_anisotropic_volumes_go_through(name):
    net = network(name, 3, spacing=(40.0, 0.5, 0.5), patch=(3, 64, 64), widths=(4, 4, 8, 8)).eval()
    assert net(torch.zeros(1, 2, 3, 70, 51)).shape == (1, 3, 3, 70, 51)


def test_sizes_grow_from_tiny_to_the_paper():
    def count(name: str) -> int:
        return sum(p.numel() for p in build_network(tiny_plan(3, patch=(64,) * 3, network=name), seed=0).parameters())

    assert count("unet-tiny") < count("unet-small") < count("unet")
