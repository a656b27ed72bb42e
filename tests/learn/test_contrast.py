import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.learn.contrast import Kin, contrast, nt_xent

TAU = 0.5


def kin(sample, index, volume, patient):
    return Kin(*(torch.tensor(x) for x in (sample, index, volume, patient)))


def nine(views=1):
    """Three groups of three: anchor, a slice of its volume (far off), a slice of another volume of its patient."""
    sample = list(range(9)) * views
    index = [4, 8, 4] * 3 * views
    volume = [0, 0, 1, 2, 2, 3, 4, 4, 5] * views
    patient = [0, 0, 0, 1, 1, 1, 2, 2, 2] * views
    return kin(sample, index, volume, patient)


def slow(z, positives, negatives, tau):
    """The formula, written as loops."""
    unit = [v / np.linalg.norm(v) for v in z.numpy().astype(float)]
    e = [[math.exp(float(a @ b) / tau) for b in unit] for a in unit]
    losses = []
    for i in range(len(unit)):
        friends = [j for j in range(len(unit)) if positives[i, j]]
        foes = sum(e[i][k] for k in range(len(unit)) if negatives[i, k])
        if friends:
            losses.append(np.mean([-math.log(e[i][j] / (e[i][j] + foes)) for j in friends]))
    return float(np.mean(losses)) if losses else 0.0


def members(mask, i):
    return mask[i].nonzero().flatten().tolist()


def test_the_groups_of_nine_samples_are_those_written_by_hand():
    k = nine(views=2)
    assert members(k.twins(), 0) == [9]
    assert members(k.slice_mates(), 0) == [9]
    assert members(k.volume_mates(), 0) == [1, 9, 10]
    assert members(k.volume_mates(), 2) == [11]
    assert members(k.patient_mates(), 0) == [1, 2, 9, 10, 11]
    assert members(k.strangers(), 0) == [3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17]
    assert members(k.others(), 0) == [i for i in range(18) if i not in (0, 9)]


def test_slice_mates_are_beside_each_other_in_the_same_volume():
    k = kin([0, 1, 2, 3], [4, 5, 6, 5], [0, 0, 0, 1], [0, 0, 0, 0])
    assert members(k.slice_mates(), 0) == [1]
    assert members(k.slice_mates(), 1) == [0, 2]
    assert members(k.slice_mates(), 3) == []


def test_three_orthogonal_groups_have_the_value_of_the_closed_form():
    z = torch.eye(3).repeat_interleave(3, 0)
    k = nine()
    loss = contrast(z, k.patient_mates(), k.strangers(), temperature=TAU)
    assert loss.item() == pytest.approx(math.log(1 + 6 * math.exp(-1 / TAU)), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.1, 0.5, 2.0]))
def test_the_loss_equals_a_slow_loop(seed, tau):
    rng = np.random.default_rng(seed)
    z = torch.from_numpy(rng.normal(size=(10, 4)))
    positives, negatives = (torch.from_numpy(rng.random((10, 10)) < 0.3) for _ in range(2))
    loss = contrast(z, positives, negatives, temperature=tau)
    assert loss.item() == pytest.approx(slow(z, positives, negatives, tau), rel=1e-4, abs=1e-6)


def test_nt_xent_is_cross_entropy_over_all_others():
    z = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    k = kin([*range(6)] * 2, [0] * 12, [*range(6)] * 2, [*range(6)] * 2)
    unit = torch.nn.functional.normalize(z, dim=1)
    logits = (unit @ unit.T / TAU).fill_diagonal_(-torch.inf)
    expected = torch.nn.functional.cross_entropy(logits, (torch.arange(12) + 6) % 12)
    assert nt_xent(z, k, temperature=TAU).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_mask_of_positives_changes_the_loss():
    z = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    k = nine()
    by_volume, by_patient = (
        contrast(z, p, k.strangers(), temperature=TAU) for p in (k.volume_mates(), k.patient_mates())
    )
    assert abs(by_volume.item() - by_patient.item()) > 0.01


def test_aligning_mates_lowers_the_loss_and_aligning_strangers_raises_it():
    z = torch.randn(9, 6, generator=torch.Generator().manual_seed(2))
    k = nine()

    def loss(x):
        return contrast(x, k.patient_mates(), k.strangers(), temperature=TAU).item()

    mates, strangers = z.clone(), z.clone()
    mates[1] = z[0]
    strangers[3] = z[0]
    assert loss(mates) < loss(z) < loss(strangers)


def test_descending_brings_mates_together():
    z = torch.randn(9, 6, generator=torch.Generator().manual_seed(3), requires_grad=True)
    k = nine()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(contrast(z, k.patient_mates(), k.strangers(), temperature=TAU), z)
        z.data -= gradient
    unit = torch.nn.functional.normalize(z.detach(), dim=1)
    s = unit @ unit.T
    assert s[k.patient_mates()].min() > 0.95 > 0 > s[k.strangers()].max()


def test_who_has_no_positive_does_not_count_and_who_has_no_negative_costs_nothing():
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(4), requires_grad=True)
    nobody, pair = torch.zeros(4, 4, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool)
    pair[0, 1] = True
    assert contrast(z, nobody, ~nobody, temperature=0.1).item() == 0
    loss = contrast(z, pair, nobody, temperature=0.1)
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_small_temperatures_stay_finite():
    z = torch.eye(3).repeat_interleave(3, 0).requires_grad_()
    k = nine()
    loss = contrast(z, k.strangers(), k.patient_mates(), temperature=1e-3)
    loss.backward()
    assert loss.item() == pytest.approx(1000 + math.log(2), rel=1e-4)
    assert torch.isfinite(z.grad).all()
