from collections import Counter

import numpy as np
import pytest
import torch
from embedding_worlds import tiny_contrast, view_of_volumes
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.strategies.embedding.contrastive import PRESETS, ContrastSettings
from frugalseg.strategies.embedding.groups import GroupSampler, families_of
from frugalseg.strategies.embedding.pictures import Picture, pictures_of
from frugalseg.strategies.embedding.views import ViewSettings, make_views


def pictures(*volumes):
    """Volumes as (case, group, slices)."""
    return [Picture(case, group, "", 0, k, n) for case, group, n in volumes for k in range(n)]


def sampler(*volumes, batch=64, seed=0, **more):
    return GroupSampler(families_of(pictures(*volumes)), batch, seed=seed, **more)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 12)), min_size=1, max_size=8), st.integers(2, 70))
def test_any_pool_gives_full_batches_of_different_pictures(volumes, batch):
    named = [(f"v{k}", f"p{patient}", n) for k, (patient, n) in enumerate(volumes)]
    total = sum(n for *_, n in named)
    for step in range(3):
        rows = sampler(*named, batch=batch).rows(step)
        assert len(rows) == len(set(rows)) == min(batch, total)
        assert set(rows) <= set(range(total))


def test_a_batch_of_64_holds_16_patients():
    s = sampler(*[(f"v{p}{k}", f"p{p}", 10) for p in range(20) for k in range(2)])
    patients = s.families.patient[s.rows(0)]
    assert set(Counter(patients.tolist()).values()) == {4}
    assert len(set(patients)) == 16


def test_a_group_is_anchor_neighbour_volume_mate_and_patient_mate():
    s = sampler(*[(f"v{p}{k}", f"p{p}", 10) for p in range(20) for k in range(2)])
    for step in range(5):
        for anchor, beside, same_volume, same_patient in np.array(s.rows(step)).reshape(-1, 4):
            f = s.families
            assert abs(f.index[anchor] - f.index[beside]) == 1
            assert f.volume[anchor] == f.volume[beside] == f.volume[same_volume]
            assert f.patient[anchor] == f.patient[same_patient]


def test_as_published_a_batch_of_nine_is_three_groups_of_anchor_volume_mate_and_patient_mate():
    published = PRESETS["paper"].companions
    s = sampler(*[(f"v{p}{k}", f"p{p}", 9) for p in range(80) for k in range(2)], batch=9, companions=published)
    for step in range(5):
        anchor, same_volume, same_patient = np.array(s.rows(step)).reshape(3, 3).T
        f = s.families
        assert len(set(f.patient[anchor])) == 3
        assert (f.volume[anchor] == f.volume[same_volume]).all()
        assert (f.patient[anchor] == f.patient[same_patient]).all()


@pytest.mark.parametrize(
    ("weights", "each"),
    [
        ({}, [4, 4, 4]),
        ({"slices": 0}, [3, 3, 3, 3]),
        ({"slices": 0, "volumes": 0}, [2] * 6),
        ({"slices": 0, "volumes": 0, "patients": 0}, [1] * 12),
    ],
)
def test_a_group_has_no_companion_whose_term_has_no_weight(weights, each):
    companions = ContrastSettings(**weights).companions
    s = sampler(*[(f"v{p}{k}", f"p{p}", 5) for p in range(20) for k in range(2)], batch=12, companions=companions)
    assert list(Counter(s.families.patient[s.rows(0)].tolist()).values()) == each


def test_the_default_groups_stay_bit_for_bit():
    volumes = [(f"v{p}{k}", f"p{p}", 4) for p in range(4) for k in range(2)]
    assert sampler(*volumes, batch=10).rows(0) == [30, 29, 31, 27, 23, 22, 21, 18, 3, 2]


def test_an_encoder_learns_from_the_groups_of_its_settings(tmp_path):
    looks = [(f"p{p}", p) for p in range(6) for _ in range(2)]
    view = view_of_volumes(looks, cache=tmp_path)
    run = tiny_contrast(batch=9, slices=0).run(view, pictures_of(view), tmp_path)
    seen = []
    run.method.losses = lambda batch, step: seen.append(batch.cases) or {"none": run.method.head[0].weight.sum()}
    next(run.steps())
    patients = [run.method.families.patient[int(case)] for case in seen[0][:9]]
    assert list(Counter(patients).values()) == [3, 3, 3]


def test_neighbours_never_cross_volumes():
    s = sampler(*[(f"v{p}{k}", f"p{p}", n) for p in range(6) for k, n in enumerate((1, 2, 3))], batch=12)
    for step in range(20):
        rows = s.rows(step)
        index, volume = s.families.index[rows], s.families.volume[rows]
        assert (index < np.array([1, 2, 3])[volume % 3]).all()


def test_slices_from_the_tenth_on_are_drawn_too():
    s = sampler(("a", "p", 13), ("b", "q", 13), batch=8)
    seen = {row for step in range(60) for row in s.rows(step)}
    assert seen == set(range(26))
    assert set(s.families.index) == set(range(13))


def test_the_names_of_cases_say_nothing():
    named = [("patient001_slice_1", "x", 3), ("patient001_slice_2", "y", 3)]
    assert families_of(pictures(*named)).patient.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_step_is_a_pure_function_of_seed_and_step():
    volumes = [(f"v{p}", f"p{p}", 6) for p in range(9)]
    forwards = [sampler(*volumes, batch=8).rows(k) for k in range(4)]
    backwards = [sampler(*volumes, batch=8).rows(k) for k in (3, 2, 1, 0)]
    assert forwards == backwards[::-1]
    assert forwards[0] != forwards[1]
    assert forwards[0] != sampler(*volumes, batch=8, seed=1).rows(0)


def test_a_pool_of_one_patient_is_told_apart_by_volumes_and_one_volume_by_slices():
    assert families_of(pictures(("a", "p", 2), ("b", "p", 2))).patient.tolist() == [0, 0, 1, 1]
    assert families_of(pictures(("a", "p", 3))).patient.tolist() == [0, 1, 2]


STILL = ViewSettings(crop=1, flip=0, angle=0, shift=0, scale=0, shear=0, blur=(1e-3, 1e-3), erase=0)


def disc(b=3, side=32):
    rows, cols = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return ((rows - 10) ** 2 + (cols - 20) ** 2 < 25).float().expand(b, 1, side, side)


def test_views_without_any_change_are_the_pictures():
    assert torch.allclose(make_views(disc(), (0, 1, 2), STILL), disc(), atol=1e-5)


def test_a_mirrored_view_is_mirrored():
    seen = make_views(disc(), (0, 1, 2), STILL.model_copy(update={"flip": 1.0}))
    assert torch.allclose(seen, disc().flip(-1), atol=1e-5)


def test_a_view_depends_on_its_own_seed_only():
    alone = make_views(disc(1), (7,), ViewSettings(gamma=0.3))
    among = make_views(disc(3), (5, 7, 6), ViewSettings(gamma=0.3))
    assert torch.allclose(among[1], alone[0], atol=1e-5)
    assert not torch.allclose(among[0], among[1], atol=0.1)


@pytest.mark.parametrize("name", ["angle", "shift", "scale", "shear", "erase", "gamma"])
def test_each_change_changes_something(name):
    strong = {"angle": 30.0, "shift": 0.3, "scale": 0.4, "shear": 20.0, "erase": 1.0, "gamma": 0.5}
    x = 0.2 + 0.6 * disc()
    seen = make_views(x, (0, 1, 2), STILL.model_copy(update={name: strong[name]}))
    assert (seen - x).abs().amax((1, 2, 3)).min() > 0.01
    assert seen.min() >= 0
    assert seen.max() <= 1


def test_a_shifted_view_shows_black_outside():
    seen = make_views(torch.ones(8, 1, 32, 32), tuple(range(8)), STILL.model_copy(update={"shift": 0.5}))
    assert (seen.amin((1, 2, 3)) < 0.01).all()
