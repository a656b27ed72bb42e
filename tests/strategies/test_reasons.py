"""Why units were chosen, as strategies that can say it do."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from embedding_worlds import SIDE, Given, label_of, view_of_volumes
from numpy.testing import assert_allclose

from choosing_worlds import choose_units
from frugalseg.data.unit import Unit
from frugalseg.strategies import STRATEGIES, choices
from frugalseg.strategies.coreclr import CoreClr
from frugalseg.strategies.embedding.embedder import unit_length
from frugalseg.strategies.multi_feature import MultiFeatureSettings
from frugalseg.strategies.reasons import Choice, Reason

RNG = np.random.default_rng(0)
VECTORS = [[1, 0, 0], [1, 0.2, 0], [0, 1, 0], [0, 1, 0.3], [0, 0, 1]]


def slices(*indices):
    return [Unit("v00", "slice", 0, (k,)) for k in indices]


def one_volume(**more):
    return view_of_volumes([("p", 0)], **more)


def test_reasons_name_the_nearest_of_what_was_known_before():
    view = one_volume(drawn={"v00": label_of((5, SIDE, SIDE), 0)})
    told = CoreClr(Given(VECTORS)).explained(view, 3, RNG)
    why = [choice.reason for choice in told]
    assert [choice.unit for choice in told] == CoreClr(Given(VECTORS)).rank(view, 3, RNG)
    assert (why[0].nearest, why[0].nearest_is_drawn) == (*slices(0), True)
    assert why[0].distance == pytest.approx(np.sqrt(2), rel=1e-5)
    assert why[0].position == told[0].unit.index[0] / 4
    assert why[2].nearest == told[0].unit or why[2].nearest_is_drawn
    assert_allclose([r.radius for r in why[:-1]], [r.distance for r in why[1:]], rtol=1e-5)


@pytest.mark.parametrize("cover", ["median", "centre"])
def test_distances_are_those_of_a_slow_search(cover):
    view = view_of_volumes([("p", 0), ("q", 3), ("r", 5)], n=3, drawn={"v01": label_of((3, SIDE, SIDE), 1)})
    vectors = unit_length(np.random.default_rng(1).normal(size=(9, 4)))
    units, known = [unit for unit, _ in view.all_units()], [4]
    far = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    for choice in CoreClr(Given(vectors), cover=cover).explained(view, 5, RNG):
        here, why = units.index(choice.unit), choice.reason
        nearest = min(known, key=lambda k, here=here: far[here, k])
        assert (why.nearest, why.nearest_is_drawn) == (units[nearest], nearest == 4)
        known.append(here)
        assert_allclose((why.distance, why.radius), (far[here, nearest], far[:, known].min(1).max()), rtol=1e-4)


def test_the_multi_feature_distance_is_what_its_reasons_tell():
    view = view_of_volumes([("p", 0), ("q", 0)], n=2)
    plain, multi = (CoreClr(Given(np.ones((4, 2))), m).explained(view, 2, RNG) for m in (None, MultiFeatureSettings()))
    assert plain[1].reason.distance == 0
    assert multi[1].reason.distance > 0  # another patient, and another place


def test_the_first_of_an_empty_pool_has_nothing_near():
    (choice,) = CoreClr(Given(np.ones((SIDE, 2)))).explained(one_volume(unit="planes"), 1, RNG)
    why = choice.reason
    assert (why.nearest, why.distance, why.position, why.radius) == (None, None, None, 0)
    assert "nothing was drawn or chosen before it" in why.words


def test_a_volume_drawn_in_part_is_not_near_to_itself():
    drawn = {"v00": label_of((5, SIDE, SIDE), (0, 3, slice(4, 9)))}
    view = view_of_volumes([("p", 0), ("q", 0)], unit="image", drawn=drawn)
    told = CoreClr(Given(np.repeat(np.eye(2), SIDE, 0))).explained(view, 5, RNG)
    assert [c.unit for c in told] == [Unit("v01"), Unit("v00")]  # nothing else was left
    assert [(c.reason.nearest, c.reason.nearest_is_drawn) for c in told] == [(Unit("v00"), True), (Unit("v01"), False)]


def test_features_are_computed_once_for_choice_and_reasons():
    embedder = Given(VECTORS)
    CoreClr(embedder).explained(one_volume(), 3, RNG)
    assert embedder.asked == 1


def test_who_stops_early_has_read_the_same_reasons():
    long, short = (CoreClr(Given(VECTORS)).explained(one_volume(), n, RNG) for n in (5, 2))
    assert long[:2] == short


def test_words_say_neighbour_distance_and_place():
    near = Reason(*slices(3), 0.4142, True, 0.25, 1.0)
    assert (
        near.words == "nearest drawn: v00: slice axis 0 3, distance 0.414; position 0.25; then none is farther than 1"
    )
    chosen = Reason(Unit("v01", "planes"), 0.5, False, None, 0.1)
    assert chosen.words == "nearest chosen: v01: planes, distance 0.5; then none is farther than 0.1"


@pytest.mark.parametrize("nearest", [None, Unit("a"), *slices(2), Unit("b", "planes", index=(1, 2, 3))])
def test_reasons_survive_json(nearest):
    reason = Reason(nearest, None if nearest is None else 0.25, False, 0.5, 0.125)
    assert Reason.read(json.loads(json.dumps(asdict(reason)))) == reason


def test_placed_planes_keep_the_reason_of_their_case(monkeypatch):
    given = replace(STRATEGIES["coreclr"], build=lambda _: CoreClr(Given(np.ones((2 * SIDE, 2)))))
    monkeypatch.setitem(STRATEGIES, "coreclr", given)
    view = view_of_volumes([("p", 0), ("q", 1)], unit="planes")
    found = choices(view, "coreclr", 2, placement="parallel")
    assert [c.unit.kind for c in found] == ["slice"] * 6
    assert {c.reason.nearest for c in found[3:]} == {Unit("v00", "planes")}
    assert [c.unit for c in choices(view, "coreclr", 2)] == choose_units(view, "coreclr", 2)


def test_strategies_that_cannot_say_why_give_no_reason():
    view = view_of_volumes([("p", 0)])
    assert choices(view, "random", 3) == [Choice(unit) for unit in choose_units(view, "random", 3)]
