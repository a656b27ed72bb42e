import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_worlds import SHAPE, numbers, view_of_points

from choosing_worlds import choose_units
from frugalseg.errors import SettingsError
from frugalseg.strategies.clasp_pe import class_entropies, power
from frugalseg.strategies.members import mutual_information, variance_ratio
from frugalseg.strategies.placement import entropy
from frugalseg.strategies.scores import entropy_map, score_by_members, score_units
from frugalseg.strategies.uncertainty_percentage import threshold

SEEDS = st.integers(0, 10**6)
few = settings(max_examples=20, deadline=None)


def simplex(seed, *shape, classes=3):
    """Random probabilities (classes, *shape)."""
    return np.moveaxis(np.random.default_rng(seed).dirichlet(np.ones(classes), shape), -1, 0).astype(np.float32)


def view_with(predict, n=6, **more):
    return view_of_points(np.zeros((n, 2)), probabilities=predict, **more)


def of_number(*arrays):
    """A model that says arrays[i] of case i."""
    return lambda case: arrays[int(case[1:])]


@few
@given(SEEDS, st.integers(1, 5))
def test_copies_of_one_model_are_as_unsure_as_the_model_and_agree(seed, copies):
    p = simplex(seed, 4, 5)
    assert np.abs(mutual_information(iter([p] * copies))).max() < 1e-6
    mean = np.mean([p] * copies, axis=0)
    np.testing.assert_allclose(entropy_map(mean), entropy_map(p), atol=1e-6)
    assert (variance_ratio(iter([p] * copies)) == 0).all()


@few
@given(SEEDS)
def test_bald_is_the_entropy_of_the_mean_less_the_mean_entropy(seed):
    members = [simplex(seed + i, 4, 5) for i in range(4)]
    expected = entropy_map(np.mean(members, axis=0)) - np.mean([entropy_map(p) for p in members], axis=0)
    found = mutual_information(iter(members))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.min() > -1e-7


def test_variance_ratio_counts_votes():
    votes = np.array([[0, 0, 0, 2], [0, 0, 1, 1], [0, 1, 2, 1], [0, 1, 0, 1]])
    members = [np.eye(3)[v].T for v in votes]
    assert variance_ratio(iter(members)).tolist() == [0, 0.5, 0.5, 0.25]


def test_members_are_scored_unit_by_unit():
    one, two = simplex(1, *SHAPE), simplex(2, *SHAPE)
    view = view_with(of_number(*[one] * 3), n=3, members=lambda case: iter([one, two if case == "p0001" else one]))
    scores = score_by_members(view, view.units(), mutual_information)
    assert scores.tolist() == pytest.approx([0, mutual_information(iter([one, two])).mean(), 0], abs=1e-6)
    assert numbers(choose_units(view, "bald", 1)) == numbers(choose_units(view, "variance-ratio", 1)) == [1]


@pytest.mark.parametrize("strategy", ["bald", "variance-ratio"])
def test_one_opinion_cannot_be_compared(strategy):
    with pytest.raises(SettingsError, match=f"'{strategy}' compares several predictions.*plan.dropout"):
        choose_units(view_with(of_number(*[simplex(0, *SHAPE)] * 6)), strategy, 2)


def certain(p):
    return np.stack([np.full(SHAPE, p), np.full(SHAPE, 1 - p)]).astype(np.float32)


def test_least_confidence_looks_at_the_least_sure_quarter():
    everywhere, in_one = certain(0.8), certain(1.0)
    in_one[:, 0, 0] = 0.5  # of 6 pixels the least sure quarter are 2: mean 0.25, above 0.2
    view = view_with(of_number(everywhere, in_one), n=2)
    assert numbers(choose_units(view, "least-confidence", 2)) == [1, 0]
    assert numbers(choose_units(view, "entropy", 2)) == [0, 1]


@pytest.mark.parametrize(("round_number", "h"), [(1, 0.3536), (2, 0.354), (7, 0.360), (47, 0.6), (90, 0.6)])
def test_the_threshold_is_that_of_gm_abs_and_rises(round_number, h):
    assert threshold(round_number) == pytest.approx(h, abs=6e-4)


def test_uncertainty_percentage_counts_voxels_above_the_threshold():
    slightly, strongly = certain(0.95), certain(1.0)  # entropies 0.29 everywhere, 1 in one pixel
    strongly[:, 0, 0] = 0.5
    view = view_with(of_number(slightly, strongly), n=2)
    assert numbers(choose_units(view, "uncertainty-percentage", 2, round_number=1)) == [1, 0]
    assert numbers(choose_units(view, "uncertainty", 2, round_number=1)) == [0, 1]


def test_stochastic_batches_are_more_uncertain_than_chance_and_less_than_the_top():
    arrays = [certain(p) for p in np.linspace(0.5, 1, 40)]
    view = view_with(of_number(*arrays), n=40)
    chosen = [numbers(choose_units(view, "stochastic-batches", 8, seed=s)) for s in range(5)]
    assert all(3.5 < np.mean(c) < 16 for c in chosen)  # the top 8 have the mean 3.5, the pool 19.5
    assert all(c == sorted(c) for c in chosen)
    assert len({*map(tuple, chosen)}) == 5


def three_classes(n=60):
    """Units mostly of class 0 and unsure there; every tenth has a voxel of class 1, another tenth of class 2."""
    arrays = []
    for i in range(n):
        p = np.broadcast_to(np.array([0.6, 0.2, 0.2])[:, None, None], (3, *SHAPE)).copy()
        if i % 10 in (1, 2):
            p[:] = np.array([0.98, 0.01, 0.01])[:, None, None]
            p[:, 0, 0] = np.roll([0.9, 0.05, 0.05], i % 10)
        arrays.append(p.astype(np.float32))
    return view_with(of_number(*arrays), n=n)


def test_clasp_pe_buys_two_thirds_class_by_class():
    view = three_classes()
    chosen = np.array(numbers(choose_units(view, "clasp-pe", 12, round_number=6)))
    first = chosen[:8] % 10
    assert {(first == 1).sum(), (first == 2).sum()} <= {2, 3}
    assert not set(np.array(numbers(choose_units(view, "entropy", 12))) % 10) & {1, 2}
    assert not set(chosen[8:] % 10) & {1, 2}


def test_the_parts_of_the_classes_sum_to_the_entropy():
    view = view_with(of_number(*[simplex(i, *SHAPE) for i in range(6)]))
    parts = class_entropies(view, view.units())
    np.testing.assert_allclose(parts.sum(1), score_units(view, view.units(), entropy_map), atol=1e-6)


def test_the_noise_of_clasp_pe_dies_down_over_the_rounds():
    assert [round(power(n), 1) for n in (1, 2, 3, 5)] == [1, 3.2, 10, 100]
    view = view_with(of_number(*[certain(p) for p in np.linspace(0.5, 0.999, 60)]), n=60)

    def mean_rank(number):
        return np.mean([numbers(choose_units(view, "clasp-pe", 12, seed=s, round_number=number)) for s in range(8)])

    assert mean_rank(1) > mean_rank(3) + 2
    assert mean_rank(9) < 6.5  # the top 12 have the mean 5.5


def test_entropy_placement_goes_where_the_model_is_least_sure():
    shape = (5, 6, 7)
    p = np.stack([np.ones(shape), np.zeros(shape)])
    p[:, 2, 3, 4] = 0.5
    view = view_with(lambda case: p)
    rng = np.random.default_rng(0)
    assert entropy(shape, view, "p0000", rng) == [2, 3, 4]
    p[:, 2, 3, 4] = [1, 0]
    equal = [entropy(shape, view, "p0000", rng) for _ in range(20)]
    assert all(n // 3 <= i < n - n // 3 for place in equal for i, n in zip(place, shape, strict=True))


def test_without_a_model_placements_fall_back_to_the_middle_third():
    assert 2 <= entropy((9, 9, 9), view_of_points([[0]]), "p0000", np.random.default_rng(0))[0] < 7
