"""CoreGCN: core-set in the features of a graph network that has learnt to tell labelled units from unlabelled ones.

All units are the nodes of a graph whose edges join neighbours in the features of the current model. A graph network of
two layers learns which nodes are labelled; in its hidden features, which message passing has made alike among
neighbours, greedy k-centre then picks the units farthest from everything labelled. Source: "Sequential Graph
Convolutional Network for Active Learning" (Caramalau et al., CVPR 2021) and its code.

| paper | here |
|---|---|
| adjacency A | `graph.propagation` of `graph.neighbour_graph` |
| lambda | `GcnSettings.unlabelled` |
| features of the first layer, with the node's score | `GraphNetwork.hidden` |

We differ: (a) the graph has the nearest neighbours of each unit only, so that it grows with N and not with N^2;
(b) it is normalised from both sides, not by columns; (c) features are standardised over the pool before their cosine
is taken, for pooled maps of a network all point the same way; (d) the result is indices of the pool itself: CoreCLR's
code for it takes places in a shuffled array for such indices, so that its picks are random ones.

Where nothing is labelled there is nothing to learn: k-centre then looks at the features after one step of message
passing, and begins with the most typical unit. It wants features of a model: behind a few labels, thumbnails led it to
unlabelled clusters of a planted pool no more often than random. Not done: UncertainGCN, the paper's other choice from
the same network.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional as F

from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.settings import Settings
from frugalseg.strategies.embedding.embedder import standardised
from frugalseg.strategies.features import Describe, Described, features
from frugalseg.strategies.graph import neighbour_graph, propagation
from frugalseg.strategies.k_centre import k_centre

DIGITS = 5
"""Decimals of hidden features that are more than rounding."""


class GcnSettings(Settings):
    """The graph and the network on it; the numbers are those of the paper's code but for `neighbours`."""

    neighbours: int = Field(10, ge=1)  # of each unit; ours, all in the paper
    hidden: int = Field(128, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    unlabelled: float = Field(1.2, gt=0)  # weight of the unlabelled nodes beside the labelled ones
    steps: int = Field(200, ge=1)  # each over the whole graph
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(5e-4, ge=0)


class CoreGcn:
    """K-centre on what a graph network makes of the units' features; `describe` as in `Coreset`.

    Nothing is kept between rounds: 2,000 units take seconds.
    """

    def __init__(self, describe: Describe = features, settings: GcnSettings | None = None) -> None:
        self.describe = describe
        self.settings = settings or GcnSettings()

    def rank(self, view: PoolView, budget: int, rng: np.random.Generator) -> list[Unit]:
        """At most `budget` units in the order of the greedy choice: each prefix is the choice of that size."""
        pool = Described.of(view, self.describe)
        if not len(pool.free):
            return []
        nodes = standardised(pool.features)
        spread = propagation(neighbour_graph(nodes, self.settings.neighbours))
        first = int((nodes @ nodes.mean(0)).argmax())
        points = np.asarray(spread @ nodes, np.float32)
        if len(pool.labelled):
            network = learn(points, spread, ~pool.is_free, settings=self.settings, seed=int(rng.integers(2**63)))
            points = network.hidden(points, spread)
        return pool.named(k_centre(points, budget, labelled=pool.labelled, first=first).order)


class GraphNetwork(nn.Module):
    """Two graph convolutions: nodes that have heard their neighbours (N, d) -> the logit of being labelled (N)."""

    def __init__(self, d: int, settings: GcnSettings) -> None:
        super().__init__()
        self.first = nn.Linear(d, settings.hidden)
        self.dropout = nn.Dropout(settings.dropout)
        self.second = nn.Linear(settings.hidden, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, heard: Float[Tensor, "N d"], spread: Tensor) -> tuple[Float[Tensor, "N h"], Float[Tensor, "N 1"]]:
        """The features of the first layer and the logits; `spread` is the sparse operator (N, N) of message passing.

        The first step of message passing is the same whatever the weights, so that it is done once, in `heard`.
        """
        h = self.dropout(torch.relu(self.first(heard)))
        return h, _Spread.apply(spread, self.second(h)) + self.bias  # type: ignore[no-untyped-call]

    def hidden(self, heard: Float[np.ndarray, "N d"], spread: csr_array) -> Float[np.ndarray, "N h+1"]:
        """The features of each node beside its logit, without dropout; rounded, so that equal nodes are equal."""
        with torch.no_grad():
            h, z = self.eval()(torch.from_numpy(heard), _sparse(spread))
        return np.asarray(torch.cat([h, z], 1).numpy().round(DIGITS))


def learn(
    heard: Float[np.ndarray, "N d"],
    spread: csr_array,
    is_labelled: Bool[np.ndarray, " N"],
    *,
    settings: GcnSettings,
    seed: int,
) -> GraphNetwork:
    """A graph network that has learnt which nodes are labelled; the seed decides about weights and dropout."""
    nodes, operator = torch.from_numpy(heard), _sparse(spread)
    labelled = torch.from_numpy(is_labelled)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = GraphNetwork(heard.shape[1], settings).train()
        optimizer = torch.optim.Adam(network.parameters(), settings.lr, weight_decay=settings.weight_decay)
        for _ in range(settings.steps):
            logits = network(nodes, operator)[1][:, 0]
            optimizer.zero_grad()
            torch.autograd.backward(told_apart(logits, labelled, settings.unlabelled))
            optimizer.step()
    return network


def told_apart(logits: Float[Tensor, " N"], labelled: Bool[Tensor, " N"], weight: float) -> Float[Tensor, ""]:
    """-mean log s of the labelled nodes - weight * mean log(1 - s) of the others (paper, equation 3)."""
    return F.softplus(-logits[labelled]).mean() + weight * F.softplus(logits[~labelled]).mean()


def _sparse(matrix: csr_array) -> Tensor:
    entries = matrix.tocoo()
    where = torch.from_numpy(np.stack(entries.coords).astype(np.int64))
    return torch.sparse_coo_tensor(
        where, torch.from_numpy(entries.data), matrix.shape, check_invariants=True
    ).coalesce()


class _Spread(torch.autograd.Function):
    """S y for a symmetric sparse S without gradient: the gradient of y is S times that of the result."""

    @staticmethod
    def forward(ctx: Any, spread: Tensor, y: Tensor) -> Tensor:
        ctx.spread = spread
        spread_y: Tensor = torch.sparse.mm(spread, y)
        return spread_y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, torch.sparse.mm(ctx.spread, gradients[0])
