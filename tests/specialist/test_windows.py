import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from specialist_world import image_of, tiny_plan

from frugalseg.specialist.predict import predict_windows
from frugalseg.specialist.prepare import prepare_image

CPU = torch.device("cpu")


def windows(shape, patch, step):
    """Where windows begin along all axes, the last one moved inside."""
    axes = [
        [min(s * i, n - p) for i in range(-(-(n - p) // s) + 1)] for n, p, s in zip(shape, patch, step, strict=True)
    ]
    return list(itertools.product(*axes))


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(8, 130))
def test_steps_are_exact_for_every_patch(data, size):
    step = data.draw(st.integers(1, size))
    n = size + data.draw(st.integers(0, 5)) * step - data.draw(st.integers(0, step - 1))
    shape, starts = (max(n, size), 8), []

    def network(x):
        starts.extend((int(w[0, 0, 0]), 0) for w in x)
        return x

    rows = np.broadcast_to(np.arange(shape[0], dtype=np.float32)[None, :, None], (1, *shape))
    predict_windows(network, rows, tiny_plan(2, patch=(size, 8), step=(step, 8)), device=CPU)
    assert starts == windows(shape, (size, 8), (step, 8))


def test_uniform_blending_is_the_plain_mean_over_the_windows_of_a_voxel():
    patch, step, x = (8, 6), (3, 4), np.random.default_rng(0).normal(size=(1, 19, 15)).astype(np.float32)
    ramp = np.arange(48, dtype=np.float32).reshape(patch)
    total, count = np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
    for r, c in windows(x.shape[1:], patch, step):
        total[r : r + 8, c : c + 6] += x[0, r : r + 8, c : c + 6] * ramp
        count[r : r + 8, c : c + 6] += 1
    plan = tiny_plan(2, patch=patch, step=step, blend="uniform")
    found = predict_windows(lambda w: w * torch.from_numpy(ramp), x, plan, device=CPU)
    np.testing.assert_allclose(found[0], total / count, rtol=1e-4, atol=1e-4)


def test_windows_count_less_at_their_borders_unless_told_otherwise():
    x = np.zeros((1, 24, 16), np.float32)

    def corner(w):
        return torch.ones_like(w) * (torch.arange(16) < 4)[:, None]  # each window says 1 in its first four rows

    both = [
        predict_windows(corner, x, tiny_plan(2, step=(8, 8), blend=blend), device=CPU)[0, 8, 8]
        for blend in ("gaussian", "uniform")
    ]
    assert both[0] < both[1] == pytest.approx(0.5)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_normalisation_an_image_is_what_it_was(channels):
    image = image_of((20, 21), channels=channels)
    x = prepare_image(image, tiny_plan(2, channels=channels, normalise="none"))
    np.testing.assert_array_equal(x, image.channels_first())
