"""No hidden label can be reached from what a strategy is given, whichever way one goes through its objects."""

import gc
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType, SimpleNamespace

import numpy as np
import pytest
from torch import nn

from frugalseg.data.label import SemanticLabel
from frugalseg.data.layouts import open_pool
from frugalseg.data.phantoms import phantom_pool
from frugalseg.data.pool import LabelsInMemory, Pool, PoolView, Truth
from frugalseg.data.splits import Split
from frugalseg.data.write import write_image, write_label
from frugalseg.strategies.viewing import view_of
from frugalseg.workspace import Workspace

SHAPE = (16, 16)


class Hidden:
    """The source of a label that only an oracle may read."""

    def geometry(self):
        return None

    def read(self):
        raise AssertionError("a hidden label was read")


def pool_with_truth():
    """Two phantoms: something is drawn on one; both have hidden labels, and strokes to be handed out piece by piece."""
    cases = phantom_pool("shapes", n=2, shape=SHAPE).cases
    strokes = LabelsInMemory({(cases[1].id, "by hand"): label()})
    pool = Pool(cases, label().classes, truth=Truth({case.id: {"expert": Hidden()} for case in cases}, strokes))
    pool.labels.put(cases[0].id, "oracle", label())
    return pool


def label():
    return SemanticLabel(np.ones(SHAPE, np.uint8), ("background", "object"))


def reachable(root):
    """Every object that can be reached from one, without going through modules, classes and global names."""
    found, left = {}, [root]
    while left:
        one = left.pop()
        if id(one) in found or isinstance(one, ModuleType | type | CodeType):
            continue
        found[id(one)] = one
        if isinstance(one, FunctionType):
            left += [one.__closure__, one.__defaults__, one.__kwdefaults__, one.__dict__]
        elif isinstance(one, BuiltinFunctionType):
            left.append(one.__self__)
        else:
            left += gc.get_referents(one)
    return found


def leaks(view, truth):
    """What of a hidden truth can be reached from a view: the truth itself, a source or a stroke of it."""
    hidden = [truth, truth.strokes, *(s for of_case in truth.sources.values() for s in of_case.values())]
    hidden += list(truth.strokes.drawn.values()) if isinstance(truth.strokes, LabelsInMemory) else []
    found = reachable(view)
    return [one for one in hidden if id(one) in found]


def model(network):
    found = SimpleNamespace(network=network, probabilities=None, features=None, samples=None)
    found.with_usual_windows = lambda: found
    return found


@pytest.mark.parametrize("networks", [[], [nn.Identity()], [nn.Dropout()], [nn.Identity(), nn.Identity()]], ids=str)
def test_nothing_hidden_can_be_reached_from_a_view(networks):
    pool = pool_with_truth()
    view = view_of(pool, [model(network) for network in networks], unit="image")
    assert leaks(view, pool.truth) == []
    assert view.drawn(pool.cases[0].id) is pool.labels.get(pool.cases[0].id, "oracle")
    assert view.drawn(pool.cases[1].id) is None


@pytest.mark.parametrize("kind", ["method", "closure", "default", "partial", "dict"])
def test_a_planted_way_to_a_hidden_label_is_found(kind):
    pool = pool_with_truth()
    ways = {
        "method": pool.label,
        "closure": lambda case: pool.label(case),
        "default": lambda case, source=pool: source.label(case),
        "partial": partial(Pool.label, pool),
        "dict": {"deep": [pool.truth]}.get,
    }
    assert len(leaks(PoolView(pool.cases, ways[kind]), pool.truth)) == 5


def test_nothing_hidden_can_be_reached_from_the_view_of_files(tmp_path):
    made = phantom_pool("anatomy", n=2, shape=(16, 16, 16))
    for case in made.cases:
        write_image(tmp_path / "images" / f"{case.id}.nii.gz", case.image())
        write_label(tmp_path / "labels" / f"{case.id}.nii.gz", made.truth.semantic(case.id), case.geometry)
    pool = open_pool(tmp_path, labels_are="truth")
    assert leaks(view_of(pool.subset([pool.cases[0].id]), [], unit="slice"), pool.truth) == []
    assert len(leaks(PoolView(pool.cases, pool.label), pool.truth)) == 4


def test_nothing_hidden_can_be_reached_from_the_view_of_a_workspace(tmp_path):
    pool = pool_with_truth()
    split = Split(train=(pool.cases[0].id,), test=(pool.cases[1].id,))
    workspace = Workspace.create(tmp_path / "w", pool, data="folder=scans", split=split, settings={})
    view = view_of(workspace.pool.subset(split.train), [], unit="image", cache=workspace.cache)
    assert leaks(view, pool.truth) == []
    assert leaks(PoolView(pool.cases, workspace.pool.label), pool.truth) != []
