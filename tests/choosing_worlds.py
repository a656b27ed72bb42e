"""What strategies choose; and CoreCLR without anything to learn: units differ as their places and patients do."""

from dataclasses import replace

import numpy as np

from frugalseg.strategies import STRATEGIES, choices


def choose_units(*given, **more):
    """The units of `choices`, without the reasons."""
    return [choice.unit for choice in choices(*given, **more)]


class ByPlace:
    """An embedder that looks at no pixel."""

    def embed(self, view, pictures, folder):
        groups = sorted({picture.group for picture in pictures})
        angles = np.array([groups.index(picture.group) * 2.0 / len(groups) for picture in pictures])
        return np.stack([np.cos(angles), np.sin(angles), [p.position for p in pictures]], axis=1)


def choose_by_place(monkeypatch):
    """Has `coreclr` choose by place in this test."""
    entry = STRATEGIES["coreclr"]
    by_place = replace(entry, build=lambda settings: replace(entry.build(settings), embedder=ByPlace()))
    monkeypatch.setitem(STRATEGIES, "coreclr", by_place)
