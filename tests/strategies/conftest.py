"""Strategies that learn a network of pictures learn a tiny one here; everything else about them is the real thing."""

from dataclasses import replace

import pytest
from adversarial_worlds import tiny_vaal
from embedding_worlds import tiny_contrast

from frugalseg.strategies import STRATEGIES
from frugalseg.strategies.probcover import ProbCover
from frugalseg.strategies.typiclust import TypiClust


@pytest.fixture(autouse=True)
def tiny_networks(monkeypatch):
    """Replaces the networks of the registry's strategies."""
    monkeypatch.setitem(STRATEGIES, "vaal", tiny_vaal(**{"fit.steps": 2}))
    for name, strategy in {"typiclust": TypiClust(), "probcover": ProbCover()}.items():  # on the features of the view
        monkeypatch.setitem(STRATEGIES, name, strategy)
    for name, strategy in STRATEGIES.items():
        if name.startswith("coreclr"):
            monkeypatch.setitem(STRATEGIES, name, replace(strategy, embedder=tiny_contrast()))
