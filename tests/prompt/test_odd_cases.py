"""Pseudo-labels of cases that no textbook shows: two voxels thick, constant, empty, full, with classes nobody has."""

import itertools

import numpy as np
import pytest

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import UNKNOWN
from frugalseg.prompt.prototypes import believe
from frugalseg.prompt.pseudo_labels import PUBLISHED, PseudoLabels, PseudoLabelSettings
from frugalseg.prompt.slices import PromptSettings
from view_worlds import BrightInBox, probabilities

SHAPES = [(24, 26, 2), (2, 24, 26), (24, 1, 26), (1, 1, 1), (24, 26, 5), (30, 22)]
KINDS = ["normal", "constant", "empty", "full"]
POINTS = PseudoLabelSettings(prompts=PromptSettings(add_point=2, rough_mask=True, smallest=1))


def odd_case(shape, kind):
    """Image, truth with classes 2 and 3 nowhere, and features that are dead where the truth is 0."""
    truth = np.zeros(shape, np.uint8)
    if kind != "empty":
        truth[tuple(slice(n // 4, max(n // 4 + 1, 3 * n // 4)) for n in shape)] = 1
    if kind == "full":
        truth[:] = 1
    rng = np.random.default_rng(0)
    image = np.ones(shape) if kind == "constant" else truth + rng.normal(0, 0.1, shape)
    return image, truth, np.stack([truth, truth * 0.5, truth * 0]).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [PseudoLabelSettings(), POINTS, PUBLISHED], ids=["default", "points", "published"])
def test_odd_cases_get_a_label_that_the_expert_overrules(tmp_path, kind, settings):
    generalist = BrightInBox(frozenset({"boxes", "points", "masks"}))
    for shape, thickness in itertools.product(SHAPES, (1.0, 8.0)):
        if settings is PUBLISHED and len(shape) == 2:
            continue
        image, truth, features = odd_case(shape, kind)
        geometry = Geometry.plain(shape, (1.0, 1.0, thickness)[-len(shape) :])
        expert = np.full(shape, UNKNOWN, np.uint8)
        expert[0] = truth[0]
        belief = believe(probabilities(truth, n_classes=4), features, expert=expert)
        assert np.isfinite(belief.similarity).all()
        store = PseudoLabels(tmp_path / f"{shape}-{thickness}", generalist, settings)
        store.refresh("a", Image(image, geometry), belief, expert=expert)
        found = store.load("a")
        assert (found.label[0] == truth[0]).all()
        assert set(np.unique(found.label)) <= {0, 1, UNKNOWN}
        assert ((found.weight > 0) == (found.label != UNKNOWN)).all()
