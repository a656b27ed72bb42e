import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from choosing_worlds import choose_units
from frugalseg.data.case import Case
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.label import SemanticLabel
from frugalseg.data.pool import Pool, PoolView, Truth
from frugalseg.data.unit import Unit
from frugalseg.errors import SettingsError
from frugalseg.strategies import STRATEGIES
from frugalseg.strategies.placement import PLACEMENTS

SHAPE = (9, 12, 15)
CLASSES = ("background", "organ")


class Nothing:
    def read(self):
        return Image(np.zeros(SHAPE), Geometry.plain(SHAPE))

    def fingerprint(self):
        return "0" * 16


def view_of(n=6, unit="slice", drawn=None, probabilities=None, groups=1):
    cases = tuple(Case(f"c{i}", f"g{i // groups}", Geometry.plain(SHAPE), Nothing()) for i in range(n))
    return PoolView(cases, (drawn or {}).get, unit, 0, probabilities, probabilities, probabilities and two_members)


def two_members(case):
    """Two opinions that differ in the plane of which `blob` is unsure."""
    for sure in (0.2, 0.8):
        p = blob(case)
        p[:, int(case[1:])] = np.array([sure, 1 - sure])[:, None, None]
        yield p


def blob(case):
    """Foreground in the planes 3..5 of each case; unsure in the plane of the case's own number."""
    p = np.zeros((2, *SHAPE), np.float32)
    p[0] = 1
    p[:, 3:6, 4:8, 6:9] = np.array([0.1, 0.9])[:, None, None, None]
    p[:, int(case[1:])] = 0.5
    return p


def drawn_planes(*indices):
    label = SemanticLabel.empty(SHAPE, CLASSES)
    array = label.array.copy()
    array[list(indices)] = 0
    return SemanticLabel(array, CLASSES)


def strokes(*indices):
    label = SemanticLabel.empty(SHAPE, CLASSES)
    array = label.array.copy()
    array[list(indices), 3:6, 7] = 1
    return SemanticLabel(array, CLASSES)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("unit", ["slice", "planes", "image"])
@pytest.mark.parametrize("model", [None, blob])
class TestContract:
    def test_the_budget_is_spent_exactly_on_different_units(self, name, unit, model):
        units = choose_units(view_of(unit=unit, probabilities=model), name, 5)
        assert len(set(units)) == len(units) == 5
        assert all(u.kind == unit and u.is_placed for u in units)

    def test_a_small_pool_is_bought_whole(self, name, unit, model):
        view = view_of(n=2, unit=unit, probabilities=model)
        assert len(choose_units(view, name, 1000)) == len(view.units())

    def test_nothing_is_bought_where_everything_is_drawn(self, name, unit, model):
        drawn = {f"c{i}": drawn_planes(*range(SHAPE[0])) for i in range(6)}
        assert choose_units(view_of(unit=unit, drawn=drawn, probabilities=model), name, 5) == []

    def test_the_same_round_asks_for_the_same_units(self, name, unit, model):
        views = [view_of(unit=unit, probabilities=model) for _ in range(2)]
        one, two = (choose_units(view, name, 4, seed=3, round_number=2) for view in views)
        assert one == two

    def test_what_was_drawn_is_not_bought_again(self, name, unit, model):
        drawn = {"c0": drawn_planes(*range(SHAPE[0])), "c1": drawn_planes(0, 1)}
        units = choose_units(view_of(unit=unit, drawn=drawn, probabilities=model), name, 1000)
        assert "c0" not in {u.case for u in units}
        assert ("c1", (0,)) not in {(u.case, u.index) for u in units}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("model", [None, blob])
def test_strokes_that_came_with_the_data_count_as_those_that_were_bought(name, model):
    drawn = {"c0": strokes(1, 4), "c3": strokes(*range(SHAPE[0]))}
    with_strokes = {Unit("c0", "slice", 0, (k,)) for k in (1, 4)} | {Unit("c3", "slice", 0, (k,)) for k in range(9)}
    came = view_of(n=4, drawn=drawn, probabilities=model)
    bought = replace(came, bought=frozenset(with_strokes))
    assert choose_units(came, name, 6) == choose_units(bought, name, 6)
    units = choose_units(came, name, 1000)
    assert len(units) == 4 * 9 - 11
    assert not with_strokes & set(units)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("unit", ["slice", "planes", "image"])
def test_a_label_in_which_nothing_is_known_changes_nothing(name, unit):
    views = [view_of(unit=unit, drawn=drawn, probabilities=blob) for drawn in ({}, {"c1": drawn_planes()})]
    with_label, without = ([choose_units(view, name, n) for n in (3, 1000)] for view in views)
    assert with_label == without


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_was_bought_is_not_offered_again_although_nothing_is_known_of_it(name):
    bought = frozenset([Unit("c1", "planes", index=(3, 4, 5))])
    view = replace(view_of(unit="planes", drawn={"c1": drawn_planes()}, probabilities=blob), bought=bought)
    assert {u.case for u in choose_units(view, name, 1000)} == {"c0", "c2", "c3", "c4", "c5"}


def indices_of(units, case):
    return [u.index[0] for u in units if u.case == case]


def test_strided_slices_are_evenly_spaced_in_each_case():
    units = choose_units(view_of(), "strided", 18, seed=1)
    assert all(set(np.diff(indices_of(units, f"c{i}"))) == {3} for i in range(6))


def test_strided_cases_show_different_slices():
    units = choose_units(view_of(), "strided", 6, seed=1)
    assert len({u.case for u in units}) == 6
    assert len({u.index for u in units}) >= 5


def test_strided_cases_are_evenly_spaced_when_there_are_more_than_units():
    numbers = [int(u.case[1:]) for u in choose_units(view_of(n=9), "strided", 3)]
    assert set(np.diff(numbers)) == {3}


def test_strided_begins_with_the_cases_of_which_least_was_drawn():
    drawn = {"c0": drawn_planes(1, 7), "c1": drawn_planes(4)}
    cases = Counter(u.case for u in choose_units(view_of(n=3, drawn=drawn), "strided", 3))
    assert cases == {"c1": 1, "c2": 2}


def test_strided_keeps_away_from_what_was_drawn():
    drawn = {"c0": drawn_planes(4)}
    assert indices_of(choose_units(view_of(n=1, drawn=drawn), "strided", 2), "c0") == [1, 7]


def test_round_robin_takes_one_of_each_case_before_a_second():
    cases = [u.case for u in choose_units(view_of(), "round-robin", 12)]
    assert len(set(cases[:6])) == len(set(cases[6:])) == 6


def test_round_robin_asks_other_groups_before_the_same_group_again():
    view = view_of(n=6, groups=3)
    group = {c.id: c.group for c in view.cases}
    assert len({group[u.case] for u in choose_units(view, "round-robin", 2)}) == 2


def test_round_robin_begins_with_untouched_cases():
    drawn = {f"c{i}": drawn_planes(i) for i in range(3)}
    first = choose_units(view_of(drawn=drawn), "round-robin", 3)
    assert {u.case for u in first} == {"c3", "c4", "c5"}


def test_round_robin_counts_what_was_drawn():
    drawn = {"c0": drawn_planes(0, 1, 2), "c1": drawn_planes(0)}
    cases = [u.case for u in choose_units(view_of(n=3, drawn=drawn), "round-robin", 7)]
    assert cases[0] == "c2"
    assert set(cases[1:3]) == set(cases[3:5]) == {"c1", "c2"}
    assert set(cases[5:]) < {"c0", "c1", "c2"}


def test_foreground_random_buys_slices_with_predicted_foreground_first():
    def sure(case):
        p = blob(case)
        p[:, int(case[1:])] = np.array([1, 0])[:, None, None]
        return p

    view = view_of(probabilities=sure)
    rich = sum(3 - (3 <= i < 6) for i in range(6))
    units = choose_units(view, "foreground-random", rich + 2)
    assert all(3 <= u.index[0] < 6 for u in units[:rich])
    assert not any(3 <= u.index[0] < 6 and u.index[0] != int(u.case[1:]) for u in units[rich:])


def test_entropy_buys_the_least_sure_slice_of_each_case():
    units = choose_units(view_of(probabilities=blob), "entropy", 6)
    assert {(u.case, u.index[0]) for u in units} == {(f"c{i}", i) for i in range(6)}


class Forbidden:
    """A complete label that nobody may read."""

    def read(self):
        raise AssertionError("a strategy has read the hidden truth")

    def geometry(self):
        raise AssertionError("a strategy has looked at the hidden truth")


class Scrambled:
    def __init__(self, seed):
        self.seed = seed

    def read(self):
        array = np.random.default_rng(self.seed).integers(0, 2, SHAPE).astype(np.uint8)
        return SemanticLabel(array, CLASSES)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("unit", ["slice", "planes", "image"])
def test_the_hidden_truth_does_not_change_the_ranking(name, unit):
    ranked = []
    for source in (Scrambled(0), Scrambled(1), Forbidden()):
        cases = view_of().cases
        pool = Pool(cases, CLASSES, truth=Truth({case.id: {"expert": source} for case in cases}))
        pool.labels.put("c1", "oracle", drawn_planes(2, 3))
        view = PoolView(pool.cases, pool.label, unit, 0, blob, blob, two_members)
        ranked.append(choose_units(view, name, 40, placement="predicted"))
    assert ranked[0] == ranked[1] == ranked[2]


@pytest.mark.parametrize("name", ["entropy", "foreground-random", "clasp-pe", "bald", "coreset", "uncerper_div"])
def test_memory_does_not_grow_with_the_pool(name):
    def predict(case):
        return np.full((4, *SHAPE), 0.25, np.float32)  # 26 kB, so 52 MB when all were kept

    view = view_of(n=2000, unit="planes", probabilities=predict)
    view = replace(view, members=lambda case: iter([predict(case), predict(case)]))
    tracemalloc.start()
    choose_units(view, name, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


class Flat(Nothing):
    def read(self):
        return Image(np.zeros((8, 9)), Geometry.plain((8, 9)))


def test_flat_images_are_bought_whole():
    cases = tuple(Case(f"p{i}", "g", Geometry.plain((8, 9)), Flat()) for i in range(5))
    half = np.full((2, 8, 9), 0.5, np.float32)
    view = PoolView(cases, {}.get, "slice", 2, lambda _: half, lambda _: half, lambda _: iter([half, half]))
    for name in STRATEGIES:
        assert {(u.kind, u.index) for u in choose_units(view, name, 3)} == {("image", ())}


def test_each_case_is_predicted_once():
    asked = []

    def counting(case):
        asked.append(case)
        return blob(case)

    choose_units(view_of(probabilities=counting), "entropy", 3)
    assert asked == [f"c{i}" for i in range(6)]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_planes_lie_inside_of_the_image(placement):
    view = view_of(unit="planes", probabilities=blob)
    for unit in choose_units(view, "random", 6, placement=placement):
        assert unit.mask(SHAPE).sum() > 0


def test_predicted_planes_go_where_most_foreground_is_predicted():
    def cube(_):
        p = np.zeros((2, *SHAPE))
        p[0] = 1
        p[:, 6:8, 2:5, 9:12] = np.array([0, 1])[:, None, None, None]
        return p

    (unit,) = choose_units(view_of(n=1, unit="planes", probabilities=cube), "random", 1, placement="predicted")
    assert (6 <= unit.index[0] < 8, 2 <= unit.index[1] < 5, 9 <= unit.index[2] < 12) == (True, True, True)


def test_planes_of_the_middle_third_vary_between_cases():
    units = choose_units(view_of(n=20, unit="planes"), "random", 20)
    assert len({u.index for u in units}) > 10
    assert all(n // 3 <= i < n - n // 3 for u in units for i, n in zip(u.index, SHAPE, strict=True))


def test_unknown_names_are_explained():
    with pytest.raises(SettingsError, match=r"unknown strategy 'entrophy'.*did you mean 'entropy'"):
        choose_units(view_of(), "entrophy", 3)
    with pytest.raises(SettingsError, match="unknown placement"):
        choose_units(view_of(unit="planes"), "random", 3, placement="truth")
    with pytest.raises(SettingsError, match="budget of 0"):
        choose_units(view_of(), "random", 0)
    with pytest.raises(SettingsError, match="axis=7: slices of a volume lie across axis 0, 1 or 2"):
        PoolView(view_of().cases, lambda case: None, "slice", 7).units()
