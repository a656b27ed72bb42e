"""The four terms of CoreCLR's loss, against loops over who is what to whom."""

import numpy as np
import pytest
import torch
from embedding_worlds import TINY

from frugalseg.data.batch import Batch
from frugalseg.settings import override, parse
from frugalseg.strategies.embedding.contrastive import ContrastSettings, GroupContrast
from frugalseg.strategies.embedding.groups import families_of
from frugalseg.strategies.embedding.pictures import Picture

PICTURES = [
    Picture(case, patient, "", 0, k, n)
    for case, patient, n in (("a0", "a", 4), ("a1", "a", 2), ("b0", "b", 3), ("c0", "c", 1))
    for k in range(n)
]
"""Three patients, the first of two volumes, the last of one slice."""

ROWS = [0, 1, 3, 4, 6, 7, 9, 0, 1, 3, 4, 6, 7, 9]
"""Two views of each of these pictures."""


def met(**changes):
    """The method, the terms of one batch, and the cosine similarity of its views."""
    settings = parse(ContrastSettings, override(ContrastSettings().model_dump(), {**TINY, **changes}), where="test")
    method = GroupContrast(1, families_of(PICTURES), settings)
    images = torch.rand(len(ROWS), 1, 16, 16, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros(len(ROWS), 16, 16, dtype=torch.uint8)
    batch = Batch(images, nothing, 0, tuple(str(row) for row in ROWS), tuple(range(len(ROWS))))
    z = method.head(method.encoder(images)).detach().numpy().astype(np.float64)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    return settings, {name: x.item() for name, x in method.losses(batch, 0).items()}, unit @ unit.T


def by_loops(similarity, temperature, is_positive, is_negative):
    """The mean over the views that have a positive of the mean over their positives."""
    shown = [PICTURES[row] for row in ROWS]
    means = []
    for i, one in enumerate(shown):
        others = [(k, other) for k, other in enumerate(shown) if k != i]
        against = sum(np.exp(similarity[i, k] / temperature) for k, other in others if is_negative(one, other))
        own = [np.exp(similarity[i, k] / temperature) for k, other in others if is_positive(one, other)]
        if own:
            means.append(np.mean([-np.log(x / (x + against)) for x in own]))
    return np.mean(means)


def is_volume(a, b):
    return a.at.volume == b.at.volume


def is_patient(a, b):
    return a.group == b.group


def is_beside(a, b):
    return is_volume(a, b) and abs(a.at.index - b.at.index) <= 1


def is_stranger(a, b):
    return not is_patient(a, b)


@pytest.mark.parametrize("mates_repel", [False, True])
def test_each_term_pulls_its_own_relatives_and_pushes_whom_it_should(mates_repel):
    s, found, similarity = met(mates_repel=mates_repel)
    rivals = (lambda a, b: a != b) if mates_repel else is_stranger
    pulled = {
        "twin": (s.twin, lambda a, b: a == b, rivals),
        "slices": (s.slices, is_beside, is_stranger),
        "volumes": (s.volumes, is_volume, is_stranger),
        "patients": (s.patients, is_patient, is_stranger),
    }
    assert found.keys() == pulled.keys()
    for name, (weight, positive, negative) in pulled.items():
        expected = weight * by_loops(similarity, s.temperature, positive, negative)
        assert found[name] == pytest.approx(expected, rel=1e-4), name
    assert len({round(value, 6) for value in found.values()}) == 4


def test_a_term_without_weight_is_left_out():
    _, found, _ = met(slices=0, patients=0)
    assert found.keys() == {"twin", "volumes"}
