"""Every setting of a strategy can be given by name, and a wrong one is explained."""

import json

import numpy as np
import pytest
from pool_worlds import numbers, planted, view_of_points

from choosing_worlds import choose_units
from frugalseg.errors import SettingsError
from frugalseg.settings import Settings
from frugalseg.strategies import STRATEGIES, build_strategy
from frugalseg.strategies.embedding.contrastive import PRESETS


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.usefixtures("shipped")
def test_a_strategy_is_built_of_its_settings_as_they_stand_in_a_file(name):
    assert build_strategy(name, STRATEGIES[name].settings.model_dump(mode="json")).rank
    assert build_strategy(name).rank


@pytest.mark.usefixtures("shipped")
def test_what_is_not_said_stays_as_the_name_says():
    paper = build_strategy("coreclr-paper", {"encoder": {"temperature": 0.2, "fit": {"lr": 0.1}}})
    expected = json.loads(PRESETS["paper"].model_dump_json())
    expected["temperature"] = 0.2
    expected["fit"]["lr"] = 0.1
    assert json.loads(paper.embedder.settings.model_dump_json()) == expected
    assert paper.cover == "centre"


@pytest.mark.usefixtures("shipped")
def test_options_reach_what_they_name():
    assert build_strategy("coreclr-mfc", {"distance": {"patient": 0}}).multi.patient == 0
    assert build_strategy("coreclr", {"distance": {}}).multi.pixel == 0.25
    assert build_strategy("coreclr-frozen", {"cover": "centre", "input_size": "auto"}).embedder.input_size == "auto"
    assert build_strategy("coregcn", {"steps": 7}).settings.steps == 7
    assert build_strategy("vaal", {"fit": {"steps": 7}}).settings.fit.schedule == "constant"
    assert build_strategy("typiclust", {"encoder": {"epochs": 3}}).settings.encoder.epochs == 3


def test_options_change_the_choice():
    points, cluster = planted(0)
    view = view_of_points(points)
    few = numbers(choose_units(view, "typiclust", 10, options={"most_clusters": 2}))
    assert few != numbers(choose_units(view, "typiclust", 10))
    assert len(set(cluster[few])) < 10
    points = np.repeat([[0.0], [50.0]], [8, 3], axis=0) + np.random.default_rng(0).normal(size=(11, 1))
    small = choose_units(view_of_points(points), "typiclust", 2, options={"smallest": 2})
    assert {i // 8 for i in numbers(small)} == {0, 1}


def test_a_cap_keeps_a_cover_from_odd_units():
    points = np.random.default_rng(0).normal(size=(60, 2))
    points[40] = 100.0
    view = view_of_points(points, bought=[0])
    assert numbers(choose_units(view, "coreset", 1)) == [40]
    assert numbers(choose_units(view, "coreset", 1, options={"cap": 0.9})) != [40]
    assert build_strategy("coreclr-k-centre", {"cap": 0.9}).cap == 0.9
    with pytest.raises(SettingsError, match="cap needs 'cover: centre'"):
        build_strategy("coreclr", {"cap": 0.9})


def test_the_balls_of_probcover_shrink_with_purity():
    points, _ = planted(1)
    chosen = [numbers(choose_units(view_of_points(points), "probcover", 8, options={"purity": p})) for p in (0.2, 1.0)]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "coreclr",
            {"encodr": {}},
            r"^options of strategy 'coreclr': unknown key 'encodr' \(did you mean 'encoder'\?\)",
        ),
        ("coreclr", {"encodr": {}}, "there are: cover, cap, encoder, distance$"),
        ("coreclr-mfc", {"distance": {"pixels": 1}}, r"unknown key 'distance\.pixels'.*there are: feature, pixel, "),
        ("vaal", {"latent": 0}, r"'latent' = 0: .*greater than or equal to 1"),
        ("coregcn", {"encoder": {}}, "unknown key 'encoder'.*there are: neighbours, hidden"),
        ("random", {"seed": 3}, "^options of strategy 'random': unknown key 'seed'; there is nothing to set$"),
        ("typiclust", {"encoder": 3}, r"'encoder' = 3"),
        ("nobody", {}, "unknown strategy 'nobody'"),
    ],
)
def test_what_cannot_be_set_is_explained(name, options, message):
    with pytest.raises(SettingsError, match=message):
        build_strategy(name, options)


def test_what_has_no_settings_of_its_own_has_none():
    plain = {name for name, entry in STRATEGIES.items() if type(entry.settings) is Settings}
    assert {"random", "entropy", "bald", "round-robin"} <= plain
    assert not plain & {"coreclr", "coreclr-mfc", "coreclr-frozen", "vaal", "coregcn", "typiclust", "probcover"}
