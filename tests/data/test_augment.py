import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from frugalseg.data.augment import AugmentSettings, Placement, augment, draw_placement, place
from frugalseg.data.augment_intensity import (
    IntensitySettings,
    bias_field,
    blur,
    change_intensity,
    draw_intensity,
    gamma,
)
from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import SettingsError

SHAPES = [(10, 12), (8, 10, 12)]
EVERYTHING = AugmentSettings(
    flip=(0, 1),
    turn_probability=1,
    intensity=IntensitySettings(
        gamma_probability=1, contrast_probability=1, bias_probability=1, blur_probability=1, noise_probability=1
    ),
)


def batch_of(shape, n=3):
    rng = torch.Generator().manual_seed(1)
    label = torch.randint(0, 4, (n, *shape), generator=rng).to(torch.uint8)
    label[label == 3] = UNKNOWN
    image = torch.randn(n, 1, *shape, generator=rng)
    return Batch(image, label, n, tuple("abc"[:n]), tuple(range(n)))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sample_is_changed_the_same_way_alone_and_in_a_batch(shape):
    batch = batch_of(shape)
    one = Batch(batch.image[1:2], batch.label[1:2], 1, ("b",), (1,))
    whole, alone = augment(batch, EVERYTHING), augment(one, EVERYTHING)
    assert torch.equal(whole.image[1], alone.image[0])
    assert torch.equal(whole.label[1], alone.label[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_happens_in_place(shape):
    batch = batch_of(shape)
    image, label = batch.image.clone(), batch.label.clone()
    changed = augment(batch, EVERYTHING)
    assert torch.equal(batch.image, image)
    assert torch.equal(batch.label, label)
    assert not torch.equal(changed.image, image)


def test_without_any_probability_everything_stays():
    quiet = IntensitySettings(**{f"{n}_probability": 0 for n in ("gamma", "contrast", "bias", "blur", "noise")})
    batch = batch_of((8, 10, 12))
    same = augment(batch, AugmentSettings(turn_probability=0, intensity=quiet))
    assert torch.equal(same.image, batch.image)
    assert torch.equal(same.label, batch.label)


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_keep_their_values(shape):
    values = augment(batch_of(shape), EVERYTHING).label.unique().tolist()
    assert set(values) <= {0, 1, 2, UNKNOWN}


@pytest.mark.parametrize("shape", [(9, 9), (8, 8, 8)])
def test_a_quarter_turn_is_that_of_numpy(shape):
    batch = batch_of(shape, n=1)
    turn = torch.eye(len(shape), len(shape) + 1)
    turn[:2, :2] = torch.tensor([[0.0, -1], [1, 0]])
    image, (label,) = place(batch.image[0], batch.label[:1], Placement((), turn))
    assert np.array_equal(label.numpy(), np.rot90(batch.label[0].numpy(), axes=(1, 0)))
    assert np.allclose(image[0].numpy(), np.rot90(batch.image[0, 0].numpy(), axes=(1, 0)), atol=1e-4)


def test_a_rotation_does_not_shear_patches_of_unequal_sides():
    yy, xx = torch.meshgrid(torch.arange(40.0), torch.arange(80.0), indexing="ij")
    disc = ((yy - 19.5) ** 2 + (xx - 39.5) ** 2 < 144).to(torch.uint8)
    c, s = math.cos(0.6), math.sin(0.6)
    turned = place(torch.zeros(1, 40, 80), disc[None], Placement((), torch.tensor([[c, -s, 0], [s, c, 0]])))[1]
    assert ((turned == 1) != (disc == 1)).sum() < 30  # of 450: only voxels on the rim


def test_what_comes_from_outside_is_unknown():
    shift = torch.tensor([[1.0, 0, 1.0], [0, 1, 0]])
    label = place(torch.zeros(1, 8, 8), torch.ones(1, 8, 8, dtype=torch.uint8), Placement((), shift))[1][0]
    assert label[:4].eq(1).all()
    assert label[4:].eq(UNKNOWN).all()


def test_flips_are_exact():
    batch = batch_of((6, 7), n=1)
    image, (label,) = place(batch.image[0], batch.label[:1], Placement((1,), None))
    assert torch.equal(image, batch.image[0].flip(2))
    assert torch.equal(label, batch.label[0].flip(1))


def test_scaling_lies_within_its_limits():
    settings = AugmentSettings(turn_probability=1, angle=0, scale=0.2, shift=0)
    factors = [float(draw_placement(settings, 3, torch.Generator().manual_seed(i)).affine[0, 0]) for i in range(100)]
    assert 1 / 1.2 <= min(factors) < 0.9 < 1.1 < max(factors) <= 1 / 0.8


def test_gamma_keeps_the_range_and_the_order():
    x = torch.randn(2, 9, 9)
    y = gamma(x, 1.7)
    assert torch.allclose(y.flatten(1).amin(1), x.flatten(1).amin(1), atol=1e-5)
    assert torch.allclose(y.flatten(1).amax(1), x.flatten(1).amax(1), atol=1e-5)
    assert torch.equal(y[0].flatten().argsort(), x[0].flatten().argsort())


def test_gamma_leaves_a_constant_image():
    assert torch.allclose(gamma(torch.full((1, 4, 4), 2.0), 0.7), torch.full((1, 4, 4), 2.0))


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_is_that_of_scipy(shape):
    x = torch.randn(1, *shape)
    expected = ndimage.gaussian_filter(x[0].numpy().astype(np.float64), 0.8, mode="nearest", radius=2)
    assert np.allclose(blur(x, 0.8)[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bias_field_is_smooth_and_bounded(shape):
    x = torch.full((1, *shape), 1.0)
    x[0].view(-1)[0] = 0  # the minimum, from which distances are counted
    coarse = 2 * torch.rand(1, 1, *[3] * len(shape), generator=torch.Generator().manual_seed(0)) - 1
    field = bias_field(x, 0.3, coarse)[0]
    inner = field.flatten()[1:]
    assert inner.min() >= math.exp(-0.3)
    assert inner.max() <= math.exp(0.3)
    assert field[1:].diff(dim=0).abs().max() < 0.2


def test_noise_changes_the_image_by_no_more_than_asked():
    only = IntensitySettings(
        gamma_probability=0, contrast_probability=0, bias_probability=0, blur_probability=0, noise_probability=1
    )
    changes = [draw_intensity(only, 2, torch.Generator().manual_seed(i)) for i in range(30)]
    deviations = [float(change_intensity(torch.zeros(1, 50, 50), change).std()) for change in changes]
    assert 0.03 < max(deviations) < 0.105


@pytest.mark.parametrize("shape", SHAPES)
def test_a_record_may_be_applied_again(shape):
    change = draw_intensity(EVERYTHING.intensity, len(shape), torch.Generator().manual_seed(3))
    x = torch.randn(1, *shape)
    assert torch.equal(change_intensity(x, change), change_intensity(x, change))


@pytest.mark.parametrize("shape", SHAPES)
def test_everything_happens_where_the_batch_is(shape):
    batch = batch_of(shape)
    changed = augment(batch.to(torch.device("meta")), EVERYTHING)
    assert (changed.image.device.type, changed.image.shape) == ("meta", batch.image.shape)
    assert (changed.label.device.type, changed.label.dtype) == ("meta", torch.uint8)


QUIET = {
    "turn_probability": 0,
    "intensity": {f"{n}_probability": 0 for n in ("gamma", "contrast", "bias", "blur", "noise")},
}


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("axes", [(0, 1), (1, 2)])
def test_quarter_turns_are_exact_and_those_of_numpy(turns, axes):
    batch = batch_of((8, 8, 8), n=1)
    image, (label,) = place(batch.image[0], batch.label[:1], Placement((), None, (turns, axes)))
    assert np.array_equal(label.numpy(), np.rot90(batch.label[0].numpy(), turns, axes))
    assert np.array_equal(image[0].numpy(), np.rot90(batch.image[0, 0].numpy(), turns, axes))


def test_quarter_turns_and_flips_show_all_eight_orientations_equally_often():
    batch = batch_of((4, 4, 3), n=1)
    settings = AugmentSettings.model_validate({"flip": (0, 1), "quarter_turns": (0, 1), **QUIET})
    counts = {}
    for seed in range(400):
        one = Batch(batch.image, batch.label, 1, ("a",), (seed,))
        key = augment(one, settings).image.numpy().tobytes()
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 8
    assert 25 < min(counts.values()) <= max(counts.values()) < 80


def test_without_quarter_turns_nothing_else_is_drawn_than_before():
    rng, other = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    assert draw_placement(AugmentSettings(turn_probability=0), 2, rng).turns is None
    torch.rand((), generator=other)
    assert torch.equal(rng.get_state(), other.get_state())


def test_a_quarter_turn_of_unequal_sides_is_explained():
    settings = AugmentSettings.model_validate({"quarter_turns": (0, 1), **QUIET})
    with pytest.raises(SettingsError, match=r"quarter_turns \(0, 1\): a patch of \(6, 8, 8\)"):
        augment(batch_of((6, 8, 8)), settings)


@pytest.mark.parametrize("axes", [(0,), (1, 1), (0, 1, 2), (-1, 0)])
def test_quarter_turns_need_a_plane(axes):
    with pytest.raises(ValueError, match="two different axes"):
        AugmentSettings(quarter_turns=axes)
