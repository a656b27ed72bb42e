from dataclasses import replace

import numpy as np
import pytest
import torch
from adversarial_worlds import SLICES, rare_looks, tiny_vaal
from embedding_worlds import SIDE, Held, label_of, view_of_volumes

from frugalseg.data.batch import Batch
from frugalseg.data.case import Case
from frugalseg.data.pool import PoolView
from frugalseg.data.unit import Unit
from frugalseg.errors import SettingsError
from frugalseg.settings import parse
from frugalseg.strategies.random import Random
from frugalseg.strategies.vaal import AdversarialAutoencoder, Vaal, VaalRun, VaalSettings


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(3))
def test_looks_that_nobody_has_labelled_come_first_while_random_misses_them(seed):
    view, rare = rare_looks(seed)
    by_chance = [sum(unit.case in rare for unit in Random().rank(view, 10, rng(k))) for k in range(20)]
    assert np.mean(by_chance) < 2
    assert sum(unit.case in rare for unit in tiny_vaal().rank(view, 10, rng())) >= 8


def gaussians(seed, n_bright):
    """Dim and bright pictures around two means; forty of the dim ones are labelled."""
    bright = np.arange(200) >= 200 - n_bright
    means = np.where(bright, 150, 90)[:, None, None, None]
    pixels = (means + 25 * rng(seed).normal(size=(200, 1, 16, 16))).clip(0, 255).astype(np.uint8)
    return pixels, np.arange(200) < 40, bright


@pytest.mark.parametrize("seed", range(3))
def test_the_discriminator_separates_two_gaussians(seed, tmp_path):
    pixels, is_labelled, bright = gaussians(seed, 60)
    strategy = tiny_vaal()
    logits = VaalRun(pixels, is_labelled, strategy.settings, tmp_path, seed, strategy.hardware).learnt()
    assert logits[bright].max() < np.quantile(logits[is_labelled], 0.1)
    dim = ~bright & ~is_labelled
    below = (logits[bright][:, None] < logits[dim]).mean()  # of others like the labelled ones, not seen as such
    assert below > 0.95


def test_only_the_discriminator_learns_to_tell_and_only_the_autoencoder_to_fool():
    network = AdversarialAutoencoder(1, tiny_vaal().settings)
    x = torch.rand(8, 1, 16, 16)
    losses = network.losses(Batch(x, torch.zeros(8, 16, 16, dtype=torch.uint8), 4, ("c",) * 8, (0,) * 8), 0)

    def learns(part, term):
        network.zero_grad()
        losses[term].backward(retain_graph=True)
        return any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())

    assert learns(network.encoder, "adversary")
    assert not learns(network.discriminator, "adversary")
    assert learns(network.discriminator, "discriminator")
    assert not learns(network.encoder, "discriminator")
    assert learns(network.decoder, "reconstruction")


def test_a_batch_begins_with_its_labelled_half():
    pixels, is_labelled, _ = gaussians(0, 60)
    run = VaalRun(pixels, is_labelled, tiny_vaal().settings, None)
    batch = run._batch(0)
    labelled = [bool(is_labelled[int(name)]) for name in batch.cases]
    assert labelled == [True] * 16 + [False] * 16
    assert batch.n_labelled == 16
    assert len(set(batch.cases)) == 32
    assert run._batch(0).cases == batch.cases != run._batch(1).cases


def test_where_nothing_is_labelled_the_choice_is_random(tmp_path):
    view = view_of_volumes([("p", 0), ("q", 1)], cache=tmp_path)
    assert tiny_vaal().rank(view, 4, rng(3)) == Random().rank(view, 4, rng(3))
    assert not list(tmp_path.iterdir())


def test_a_single_slice_with_a_stroke_is_enough(tmp_path):
    drawn = {"v00": label_of((SLICES, SIDE, SIDE), np.s_[1, 3:6, 7])}
    view = view_of_volumes([("p", 0)], SLICES, drawn=drawn, cache=tmp_path)
    units = tiny_vaal(**{"fit.steps": 2}).rank(view, 9, rng())
    assert {unit.index[0] for unit in units} == {0, 2, 3, 4}
    assert list(tmp_path.rglob("logits.npy"))


def test_one_slice_that_is_left_is_bought():
    drawn = {"v00": label_of((SLICES, SIDE, SIDE), 0, 1, 2, 4)}
    view = view_of_volumes([("p", 0)], SLICES, drawn=drawn)
    assert tiny_vaal(**{"fit.steps": 2}).rank(view, 3, rng()) == [Unit("v00", "slice", 0, (3,))]


@pytest.mark.parametrize("unit", ["planes", "image"])
def test_whole_volumes_are_chosen_by_all_their_slices(unit):
    drawn = {f"v0{k}": label_of((SLICES, SIDE, SIDE), np.s_[:]) for k in range(4)}
    looks = [("p", 0), ("q", 0), ("r", 1), ("s", 1), ("t", 0), ("u", 1), ("v", 6)]
    view = view_of_volumes(looks, SLICES, unit=unit, drawn=drawn)
    (first, *_) = tiny_vaal().rank(view, 3, rng())
    assert first.case == "v06"


def test_colour_images_are_units_too():
    cases = []
    for k in range(8):
        array = rng(k).normal(100 if k < 5 else 200, 20, (20, 24, 3)).clip(0, 255).astype(np.uint8)
        source = Held(array)
        source.geometry = replace(source.geometry, shape=(20, 24), spacing=(1.0, 1.0), affine=np.eye(3))
        cases.append(Case(f"c{k}", f"g{k}", source.geometry, source))
    view = PoolView(tuple(cases), {}.get, bought=frozenset({Unit("c0"), Unit("c1")}))
    assert len(set(tiny_vaal(**{"fit.steps": 2}).rank(view, 9, rng()))) == 6


def test_the_same_seed_gives_the_same_bits_with_and_without_a_cache(tmp_path):
    view, _ = rare_looks(0)
    short = tiny_vaal(**{"fit.steps": 5})
    ranked = [short.rank(replace(view, cache=c), 60, rng()) for c in (tmp_path / "a", tmp_path / "b", None)]
    assert ranked[0] == ranked[1] == ranked[2]
    files = [next((tmp_path / name).rglob("logits.npy")) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert short.rank(replace(view, seed=1), 60, rng()) != ranked[0]


def test_what_was_learnt_is_read_again_until_something_more_is_labelled(tmp_path, monkeypatch):
    short = tiny_vaal(**{"fit.steps": 2})
    view = replace(rare_looks(0)[0], cache=tmp_path)
    first = short.rank(view, 60, rng())
    assert not list(tmp_path.rglob("last.ckpt"))
    more = replace(view, bought=frozenset(first[:1]))
    short.rank(more, 60, rng())
    assert len(list(tmp_path.rglob("logits.npy"))) == 2
    monkeypatch.setattr(VaalRun, "learnt", None)
    assert short.rank(view, 60, rng()) == first
    assert first[0] not in short.rank(more, 60, rng())


def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path):
    pixels, is_labelled, _ = gaussians(0, 60)
    strategy = tiny_vaal(**{"fit.steps": 6, "fit.checkpoint_every": 2})

    def run(name):
        return VaalRun(pixels, is_labelled, strategy.settings, tmp_path / name, 0, strategy.hardware)

    stopped = run("stopped").steps()
    assert [next(stopped).index for _ in range(3)] == [0, 1, 2]
    stopped.close()
    assert np.array_equal(run("stopped").learnt(), run("whole").learnt())


def test_wrong_settings_are_explained():
    with pytest.raises(SettingsError, match="widths must be multiples of 8"):
        parse(VaalSettings, {"widths": [12]}, where="test")
    with pytest.raises(SettingsError, match="side must be a multiple of 8, for 3 widths"):
        parse(VaalSettings, {"side": 20}, where="test")
    assert Vaal().settings == VaalSettings()
