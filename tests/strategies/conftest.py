"""Strategies that learn a network of pictures learn a tiny one here; everything else about them is the real thing."""

from dataclasses import replace

import pytest
from adversarial_worlds import tiny_vaal
from embedding_worlds import tiny_contrast

from frugalseg.strategies import STRATEGIES
from frugalseg.strategies.probcover import ProbCover
from frugalseg.strategies.typiclust import TypiClust

SHIPPED = dict(STRATEGIES)


def tiny_encoder(build):
    return lambda settings: replace(build(settings), embedder=tiny_contrast())


@pytest.fixture(autouse=True)
def tiny_networks(monkeypatch):
    """Replaces the networks of the registry's strategies."""
    builds = {"vaal": lambda _: tiny_vaal(**{"fit.steps": 2})}
    for name, kind in {"typiclust": TypiClust, "probcover": ProbCover}.items():  # on the features of the view
        builds[name] = lambda settings, kind=kind: kind(settings=settings)
    coreclr = [name for name in STRATEGIES if name.startswith("coreclr")]
    builds |= {name: tiny_encoder(STRATEGIES[name].build) for name in coreclr}
    for name, build in builds.items():
        monkeypatch.setitem(STRATEGIES, name, replace(STRATEGIES[name], build=build))


@pytest.fixture
def shipped(tiny_networks, monkeypatch):
    """The registry as it is, for the tests that ask for it."""
    for name, entry in SHIPPED.items():
        monkeypatch.setitem(STRATEGIES, name, entry)
