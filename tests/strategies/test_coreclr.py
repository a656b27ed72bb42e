import json
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import embedding_worlds
import numpy as np
import pytest
from embedding_worlds import REDUNDANT, SIDE, SIX_STEPS, Given, Held, label_of, tiny_contrast, view_of_volumes
from numpy.testing import assert_allclose

from choosing_worlds import choose_units
from frugalseg.data.case import Case
from frugalseg.data.pool import PoolView
from frugalseg.errors import DataError, SettingsError
from frugalseg.settings import parse
from frugalseg.strategies.coreclr import CoreClr
from frugalseg.strategies.embedding.contrastive import PRESETS, ContrastSettings, GroupContrastive
from frugalseg.strategies.embedding.embedder import unit_length
from frugalseg.strategies.embedding.pictures import pictures_of, read_pixels
from frugalseg.strategies.embedding.retrieval import retrieval
from frugalseg.strategies.features import described_by
from frugalseg.strategies.multi_feature import MultiFeatureSettings
from frugalseg.strategies.random import Random
from frugalseg.strategies.typiclust import TypiClust

RNG = np.random.default_rng(0)


def looks_found(units):
    return {REDUNDANT[int(unit.case[1:])][1] for unit in units}


@pytest.mark.parametrize("cover", ["median", "centre"])
@pytest.mark.parametrize("multi", [None, MultiFeatureSettings(side=16)])
def test_redundant_patients_are_not_bought_again_and_again(tmp_path, multi, cover):
    view = view_of_volumes(REDUNDANT, n=3, cache=tmp_path)
    strategy = CoreClr(tiny_contrast(), multi=multi, cover=cover)
    chosen = len(looks_found(strategy.rank(view, 7, RNG)))
    by_chance = [len(looks_found(Random().rank(view, 7, np.random.default_rng(k)))) for k in range(50)]
    assert chosen >= (7 if cover == "centre" else 5) > np.mean(by_chance) + 1


def test_as_published_each_patient_gives_one_before_any_gives_a_second():
    vectors = np.eye(12)[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]  # five slices of p, all far apart, five of q
    view = view_of_volumes([("p", 0), ("q", 0)])
    first, second, third, *_ = CoreClr(Given(vectors), cover="centre").rank(view, 4, RNG)
    assert {first.case, second.case} == {"v00", "v01"}
    assert third not in (first, second)


@pytest.mark.parametrize(("cover", "typical"), [("median", 1), ("centre", 2)])  # the medoid, or nearest to the mean
def test_the_first_unit_of_an_empty_pool_is_the_most_typical(cover, typical):
    vectors = [[1, 0], [1, 0.1], [1, 0.2], [0, 1], [-1, 0]]
    (unit,) = CoreClr(Given(vectors), cover=cover).rank(view_of_volumes([("p", 0)]), 1, RNG)
    assert unit.index == (typical,)


def test_what_stands_for_many_comes_before_what_is_odd():
    vectors = np.eye(5)[[0, 0, 0, 1, 1, 1, 2, 3, 3, 4]]
    vectors[9] = -vectors[0]
    drawn = {"v00": label_of((5, SIDE, SIDE), 0)}
    view = view_of_volumes([("p", 0), ("p", 0)], drawn=drawn)
    looks = {}
    for cover in ("median", "centre"):
        two = CoreClr(Given(vectors), cover=cover).rank(view, 2, RNG)
        looks[cover] = [5 * int(u.case[1:]) + u.index[0] for u in two]
    assert looks["median"] == [3, 7]  # of the three and of the two that look alike
    assert looks["centre"][0] == 9
    capped = CoreClr(Given(vectors), cover="centre", cap=0.8).rank(view, 1, RNG)
    assert [5 * int(u.case[1:]) + u.index[0] for u in capped] == [3]


@pytest.mark.parametrize("cover", ["median", "centre"])
def test_later_units_are_far_from_what_was_drawn(cover):
    vectors = np.repeat(np.eye(5), 2, 0)
    drawn = {"v00": label_of((5, SIDE, SIDE), 0, 2, 4)}
    view = view_of_volumes([("p", 0), ("p", 0)], drawn=drawn)
    two = CoreClr(Given(vectors), cover=cover).rank(view, 2, RNG)
    assert {u.case for u in two} == {"v01"}
    assert {(5 + u.index[0]) // 2 for u in two} == {3, 4}


def test_volumes_drawn_in_part_come_last():
    vectors = np.repeat(np.eye(3), SIDE, 0)  # one row for each slice across the axis a person pages along
    drawn = {"v01": label_of((5, SIDE, SIDE), np.s_[1, 3:6, 7])}
    view = view_of_volumes([("p", 0), ("q", 0), ("r", 0)], unit="image", drawn=drawn)
    assert [u.case for u in CoreClr(Given(vectors)).rank(view, 5, RNG)] == ["v00", "v02", "v01"]


def test_what_the_model_is_unsure_of_comes_first():
    def unsure_in_the_fourth(case):
        p = np.full((2, 5, SIDE, SIDE), 0.02, np.float32)
        p[0] = 0.98
        p[:, 3] = 0.5
        return p

    drawn = {"v00": label_of((5, SIDE, SIDE), 0)}
    view = view_of_volumes([("p", 0)], drawn=drawn, probabilities=unsure_in_the_fourth)
    multi = MultiFeatureSettings(pixel=0, position=0, uncertainty=1)
    assert CoreClr(Given(np.eye(5)), multi).rank(view, 1, RNG)[0].index == (3,)
    assert CoreClr(Given(np.eye(5))).rank(view, 1, RNG)[0].index == (1,)


@pytest.mark.parametrize("unit", ["planes", "image"])
def test_whole_volumes_are_chosen_by_the_mean_of_their_slices(unit):
    vectors = np.concatenate([np.tile(v, (SIDE, 1)) for v in ([1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 0, 1])])
    view = view_of_volumes([("p", 0), ("p", 0), ("q", 0), ("r", 0)], unit=unit)
    three = CoreClr(Given(vectors)).rank(view, 3, RNG)
    assert {u.case for u in three} >= {"v02", "v03"}
    assert {u.kind for u in three} == {unit}


def flat_view(n=6, channels=3, **rest):
    cases = []
    for k in range(n):
        array = np.random.default_rng(k).random((20, 30, channels)).astype(np.float32)
        source = Held(array)
        source.geometry = replace(source.geometry, shape=(20, 30), spacing=(1.0, 1.0))
        cases.append(Case(f"c{k}", f"g{k}", source.geometry, source))
    return PoolView(tuple(cases), {}.get, **rest)


def test_colour_images_are_units_too():
    units = CoreClr(tiny_contrast(), MultiFeatureSettings(side=8)).rank(flat_view(), 3, RNG)
    assert {u.kind for u in units} == {"image"}
    assert len(set(units)) == 3


def test_images_of_different_channels_are_refused():
    view = flat_view()
    grey = replace(view, cases=(*view.cases[:3], *flat_view(channels=1).cases[3:]))
    with pytest.raises(DataError, match="c3 has 1 channels and c0 has 3"):
        CoreClr(tiny_contrast()).rank(grey, 1, RNG)


def test_the_same_seed_chooses_the_same_with_and_without_a_cache(tmp_path):
    ranked = [CoreClr(tiny_contrast()).rank(view_of_volumes(REDUNDANT[10:], cache=c), 6, RNG) for c in (tmp_path, None)]
    again = CoreClr(tiny_contrast()).rank(view_of_volumes(REDUNDANT[10:], cache=tmp_path), 6, RNG)
    assert ranked[0] == ranked[1] == again


def test_the_encoder_is_learnt_once_for_all_rounds_and_again_for_another_seed(tmp_path):
    def features():
        return sorted(p.parent.name for p in tmp_path.rglob("features.npy"))

    view = view_of_volumes(REDUNDANT[10:], cache=tmp_path)
    units = choose_units(view, "coreclr", 2)
    (name,) = features()
    drawn = {u.case: label_of((5, SIDE, SIDE), u.index[0]) for u in units}
    choose_units(view_of_volumes(REDUNDANT[10:], cache=tmp_path, drawn=drawn), "coreclr", 2, round_number=1)
    assert features() == [name]
    choose_units(view, "coreclr", 2, seed=1)
    assert len(features()) == 2


def test_a_stopped_training_goes_on_to_the_same_choice(tmp_path):
    embedder = tiny_contrast(**SIX_STEPS)
    views = [view_of_volumes(REDUNDANT[8:], cache=tmp_path / name) for name in ("whole", "stopped")]
    run = embedder.run(views[1], pictures_of(views[1]), tmp_path / "stopped" / "embeddings")
    steps = run.steps()
    assert [s.index for s in islice(steps, 3)] == [0, 1, 2]
    steps.close()
    whole, stopped = (CoreClr(embedder).rank(view, 8, RNG) for view in views)
    assert whole == stopped
    vectors = [np.load(next((tmp_path / name).rglob("features.npy"))) for name in ("whole", "stopped")]
    assert np.array_equal(*vectors)


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["0", "3", "5", "embedded"])
def test_a_choice_that_was_killed_anywhere_is_made_again_with_the_same_bits(tmp_path, stop):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, embedding_worlds.__file__, str(killed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == stop:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    assert process.returncode == -signal.SIGKILL
    embedder = tiny_contrast(**SIX_STEPS)
    again, once = (CoreClr(embedder).rank(view_of_volumes(REDUNDANT[8:], cache=f), 8, RNG) for f in (killed, whole))
    assert again == once
    assert np.array_equal(*(np.load(next(f.rglob("features.npy"))) for f in (killed, whole)))


def test_the_embedding_comes_with_what_its_neighbours_are_worth(tmp_path):
    CoreClr(tiny_contrast()).rank(view_of_volumes(REDUNDANT, cache=tmp_path), 1, RNG)
    record = json.loads(next(tmp_path.rglob("retrieval.json")).read_text(encoding="utf-8"))
    assert set(record) == {"before", "after"}
    assert 0 <= record["after"]["volume"] <= 1


def test_learning_makes_neighbours_of_relatives(tmp_path):
    view = view_of_volumes([(f"p{k // 2}", k // 2) for k in range(12)], n=6)
    embedder = tiny_contrast(**{"fit.steps": 40, "fit.lr": 3e-3, "side": 24})
    embedder.embed(view, pictures_of(view), tmp_path)
    record = json.loads(next(tmp_path.rglob("retrieval.json")).read_text(encoding="utf-8"))
    assert record["after"]["patient"] > record["before"]["patient"] + 0.1


def test_retrieval_of_perfect_and_of_useless_features():
    pictures = pictures_of(view_of_volumes([(f"p{k // 2}", 0) for k in range(8)], n=8))
    patient = np.repeat(np.eye(4), 16, 0) + 0.1 * np.tile(np.repeat(np.eye(4)[:2], 8, 0), (4, 1))
    perfect = retrieval(unit_length(patient), pictures)
    chance = retrieval(unit_length(np.random.default_rng(0).normal(size=(64, 40))), pictures)
    assert perfect.patient == perfect.volume == 1
    assert chance.patient == pytest.approx(chance.patient_chance, abs=0.1)
    assert chance.position == pytest.approx(chance.position_chance, abs=0.1)
    assert retrieval(np.eye(6), pictures_of(flat_view(6))).volume is None


def test_the_embedding_serves_other_strategies_as_features():
    view = view_of_volumes(REDUNDANT[11:], n=3)
    units = TypiClust(described_by(tiny_contrast())).rank(view, 5, np.random.default_rng(0))
    assert len(set(units)) == 5


def test_pictures_are_squares_of_each_case_between_its_percentiles(tmp_path):
    view = view_of_volumes([("p", 0), ("q", 1)])
    pixels = read_pixels(view, pictures_of(view), 16, tmp_path / "x.npy")
    assert pixels.shape == (10, 1, 16, 16)
    assert pixels.dtype == np.uint8
    assert pixels[:5].min() < 30 < 225 < pixels[:5].max()
    assert np.array_equal(read_pixels(view, pictures_of(view), 16, tmp_path / "x.npy"), pixels)


def test_a_constant_image_is_black(tmp_path):
    source = Held(np.full((3, 20, 20), 7, np.int16))
    view = PoolView((Case("a", "a", source.geometry, source),), {}.get, "slice")
    assert not read_pixels(view, pictures_of(view), 16, tmp_path / "x.npy").any()


def test_presets_and_wrong_settings():
    assert PRESETS["paper"].schedule(1454).steps == 2272
    assert PRESETS["quick"].schedule(1454).steps == PRESETS["quick"].fit.steps
    with pytest.raises(SettingsError, match="widths must be multiples of 8"):
        parse(ContrastSettings, {"widths": [12]}, where="test")
    assert GroupContrastive().settings == PRESETS["quick"]


def test_a_frozen_generalist_gives_features_without_training(tmp_path, monkeypatch):
    from frugalseg.generalists.classic import Classic
    from frugalseg.strategies.embedding import frozen

    monkeypatch.setattr("frugalseg.generalists.registry.build_generalist", lambda *_, **__: Classic())
    view = view_of_volumes(REDUNDANT[12:], n=2)
    embedder = frozen.FrozenGeneralist("classic", "auto")
    one, two = (embedder.embed(view, pictures_of(view), tmp_path) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape[0] == 12
    assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-5)
