import tracemalloc

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pool_worlds import numbers, planted, view_of_points

from choosing_worlds import choose_units
from frugalseg.strategies.coregcn import CoreGcn, GcnSettings, GraphNetwork, _sparse, learn, told_apart
from frugalseg.strategies.embedding.embedder import unit_length
from frugalseg.strategies.graph import neighbour_graph, propagation

CORNER = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0, 1]], np.float32)
"""Cosines: 0.8 from the first to the second, 0.6 from there to the third; the fourth has nobody."""

CLIQUES = np.eye(3)[[0, 0, 0, 0, 1, 1, 1, 2]]
"""Four equal units, three equal units and one alone: no cosine between them is above 0 once the mean is off."""


def rng(seed=0):
    return np.random.default_rng(seed)


def brute_graph(x, k):
    """The same graph, dense and by sorting."""
    cosine = np.round((x @ x.T).astype(float), 6)
    np.fill_diagonal(cosine, -np.inf)
    a = np.zeros((len(x), len(x)))
    for i, row in enumerate(cosine):
        for j in np.argsort(-row, kind="stable")[:k]:
            a[i, j] = max(row[j], 0)
    return np.maximum(a, a.T)


@pytest.mark.parametrize("k", [1, 3, 10, 400])
def test_the_graph_is_that_of_brute_force(k):
    x = unit_length(rng(k).normal(size=(300, 5)))
    x[40:60] = x[7]  # equals: the first count
    x[5] = 0
    assert_allclose(neighbour_graph(x, k).toarray(), brute_graph(x, k), atol=2e-6)


@pytest.mark.parametrize("n", [1, 2])
def test_a_pool_of_one_or_two_units_is_a_graph(n):
    a = neighbour_graph(unit_length(np.ones((n, 3))), 10)
    assert a.shape == (n, n)
    assert a.nnz == 2 * (n - 1)


def test_messages_on_a_toy_graph_are_those_worked_out_by_hand():
    s = propagation(neighbour_graph(CORNER, 1)).toarray()
    expected = np.eye(4)  # degrees 0.8, 1.4, 0.6 and 0
    expected[0, 1] = expected[1, 0] = 0.8 / np.sqrt(0.8 * 1.4)
    expected[1, 2] = expected[2, 1] = 0.6 / np.sqrt(1.4 * 0.6)
    assert_allclose(s, expected, atol=1e-6)


def test_a_network_on_the_toy_graph_computes_what_its_equations_say():
    spread = propagation(neighbour_graph(CORNER, 1))
    s = spread.toarray()
    network = GraphNetwork(3, GcnSettings(hidden=2))
    w1, b1, w2, b2 = np.array([[1, -1, 2], [0.5, 0, -1]]), np.array([0.1, 0.2]), np.array([[1.5, -2]]), np.array([0.3])
    for p, value in zip(
        (network.first.weight, network.first.bias, network.second.weight, network.bias), (w1, b1, w2, b2), strict=True
    ):
        p.data = torch.tensor(value, dtype=torch.float32)
    h = np.maximum(s @ CORNER @ w1.T + b1, 0)
    found = network.hidden((spread @ CORNER).astype(np.float32), spread)
    assert_allclose(found, np.hstack([h, s @ h @ w2.T + b2]), atol=1e-5)


def test_the_gradient_passes_through_the_graph():
    spread = propagation(neighbour_graph(unit_length(rng().normal(size=(12, 3))), 3))
    network = GraphNetwork(3, GcnSettings(hidden=4, dropout=0))
    x, labelled = torch.from_numpy(rng(1).normal(size=(12, 3)).astype(np.float32)), torch.arange(12) < 4
    told_apart(network(x, _sparse(spread))[1][:, 0], labelled, 1.2).backward()
    found = network.first.weight.grad.clone()
    network.zero_grad()
    h = torch.relu(network.first(x))
    z = torch.from_numpy(spread.toarray()) @ network.second(h) + network.bias
    told_apart(z[:, 0], labelled, 1.2).backward()
    assert_allclose(found, network.first.weight.grad, rtol=1e-4, atol=1e-6)


def test_the_loss_is_that_of_the_paper():
    s = torch.tensor([0.9, 0.6, 0.2, 0.5, 0.1], dtype=torch.float64)
    labelled = torch.tensor([True, True, False, False, False])
    expected = -np.log([0.9, 0.6]).mean() - 1.2 * np.log([0.8, 0.5, 0.9]).mean()
    assert float(told_apart(torch.logit(s), labelled, 1.2)) == pytest.approx(expected)


def test_the_picks_on_a_toy_graph_are_those_worked_out_by_hand():
    view = view_of_points(CLIQUES, bought=[0])
    chosen = numbers(CoreGcn().rank(view, 7, rng()))
    assert set(chosen[:2]) == {4, 7}  # the first of the other clique, and the one alone
    assert chosen[2:] == [1, 2, 3, 5, 6]  # all of them now equal a labelled one: by their order


def test_labelled_nodes_look_labelled_and_their_neighbours_more_than_others():
    nodes = unit_length(CLIQUES - CLIQUES.mean(0))
    spread = propagation(neighbour_graph(nodes, 10))
    heard = (spread @ nodes).astype(np.float32)
    is_labelled = np.arange(8) < 2
    logit = learn(heard, spread, is_labelled, settings=GcnSettings(), seed=0).hidden(heard, spread)[:, -1]
    assert_allclose(logit[:4], logit[0], rtol=1e-4)
    assert logit[0] > logit[4:].max() + 1


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_back_are_unlabelled_units_of_the_pool_itself(seed):
    points, cluster = planted(seed)
    bought = [int(i) for c in range(6) for i in np.flatnonzero(cluster == c)[:2]]
    view = view_of_points(points, bought=bought)
    units = choose_units(view, "coregcn", 8, seed=seed)
    assert set(units) <= set(view.units())
    assert set(cluster[numbers(units)[:6]]) >= {6, 7, 8, 9}


def test_the_order_of_the_pool_does_not_matter():
    points, cluster = planted(3)
    bought = [int(np.flatnonzero(cluster == c)[0]) for c in range(6)]
    mixed = rng(1).permutation(len(points))
    where = np.argsort(mixed)
    one = set(cluster[numbers(choose_units(view_of_points(points, bought=bought), "coregcn", 5))])
    two = numbers(choose_units(view_of_points(points[mixed], bought=where[bought]), "coregcn", 5))
    assert one >= {6, 7, 8, 9} <= set(cluster[mixed][two])


def test_where_nothing_is_labelled_the_most_typical_is_first_and_clusters_are_found():
    view = view_of_points(CLIQUES)
    assert numbers(CoreGcn().rank(view, 3, rng()))[0] == 0
    assert set(numbers(CoreGcn().rank(view, 3, rng(1)))) == {0, 4, 7}


def test_the_same_stream_gives_the_same_bits_and_each_prefix_is_a_choice():
    points, _ = planted(5)
    view = view_of_points(points, bought=range(0, 300, 30))
    one, two, three = (CoreGcn().rank(view, n, rng(2)) for n in (40, 40, 11))
    assert one == two
    assert one[:11] == three


def test_dropout_and_weights_come_from_the_seed_alone():
    x = unit_length(rng().normal(size=(40, 4)))
    spread = propagation(neighbour_graph(x, 3))

    def hidden(seed):
        torch.rand(7)
        network = learn(x, spread, np.arange(40) < 5, settings=GcnSettings(steps=5), seed=seed)
        return network.hidden(x, spread)

    assert np.array_equal(hidden(1), hidden(1))
    assert not np.array_equal(hidden(1), hidden(2))


def test_units_that_all_look_the_same_are_bought_in_their_order():
    view = view_of_points(np.zeros((6, 4)), bought=[2])
    assert numbers(CoreGcn().rank(view, 3, rng())) == [0, 1, 3]


def test_the_graph_is_never_dense():
    x = unit_length(rng().normal(size=(4000, 8)))
    tracemalloc.start()
    graph = neighbour_graph(x, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert graph.nnz <= 2 * 10 * 4000
    assert peak < 4000**2 * 4
