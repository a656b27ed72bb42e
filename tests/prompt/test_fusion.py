import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalseg.data.label import UNKNOWN
from frugalseg.prompt.fusion import FusionSettings, PseudoLabel, Votes, fuse, winners, with_expert
from frugalseg.seeds import stream

PUBLISHED = {"short_of_votes": "background", "weighted": False}


def one_voxel(*views: set[int] | None, n_classes: int = 3) -> Votes:
    """One voxel: for each view the classes that claim it, or None where it is silent."""
    votes = Votes.none(len(views), n_classes, (1,))
    for k, claimed in enumerate(views):
        votes.silent[k] = claimed is None
        for value in claimed or ():
            votes.claims[k, value - 1] = True
    return votes


def fused(*views: set[int] | None, similarity=(0.2, 0.5, 0.3), **options) -> tuple[int, float]:
    result = fuse(one_voxel(*views), np.array(similarity)[:, None], FusionSettings(**options))
    return int(result.label[0]), float(result.weight[0])


TABLE = [  # views that claim class 1, views -> majority, all, share
    (0, 1, 0, 0, 1),
    (1, 1, 1, 1, 1),
    (0, 2, 0, 0, 1),
    (1, 2, UNKNOWN, UNKNOWN, 1 / 2),
    (2, 2, 1, 1, 1),
    (0, 3, 0, 0, 1),
    (1, 3, 0, UNKNOWN, 2 / 3),
    (2, 3, 1, UNKNOWN, 2 / 3),
    (3, 3, 1, 1, 1),
]


@pytest.mark.parametrize(("claims", "views", "majority", "every", "share"), TABLE)
def test_the_truth_table(claims: int, views: int, majority: int, every: int, share: float):
    said = [{1}] * claims + [set()] * (views - claims)
    assert fused(*said, label_strategy="majority", weighted=False) == (majority, float(majority != UNKNOWN))
    assert fused(*said, label_strategy="all", weighted=False) == (every, float(every != UNKNOWN))
    label, weight = fused(*said, label_strategy="soft")
    assert label == (1 if 2 * claims >= views and claims else 0)
    assert weight == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(("claims", "views", "majority", "every", "_share"), TABLE)
def test_as_published_a_voxel_without_enough_votes_is_background(claims, views, majority, every, _share):
    said = [{1}] * claims + [set()] * (views - claims)
    assert fused(*said, label_strategy="majority", **PUBLISHED) == (majority % UNKNOWN, 1)
    assert fused(*said, label_strategy="all", **PUBLISHED) == (every % UNKNOWN, 1)


def test_three_views_may_agree_by_a_third():
    label, weight = fused({1}, {2}, set(), label_strategy="soft")
    assert (label, weight) == (1, pytest.approx(1 / 3, abs=1e-3))
    assert fused({1}, {2}, set(), label_strategy="majority") == (UNKNOWN, 0)


def test_of_two_claims_the_one_with_more_views_wins_whatever_is_similar():
    assert fused({1, 2}, {2}, {2}, similarity=(0, 0.9, 0.1)) == (2, 1)


def test_of_equal_claims_the_more_similar_class_wins():
    assert fused({1, 2}, similarity=(0, 0.4, 0.6)) == (2, 1)
    assert fused({1, 2}, similarity=(0, 0.6, 0.4)) == (1, 1)
    assert fused({1, 2}, similarity=(0, 0.5, 0.5)) == (1, 1)


def test_a_silent_view_has_no_say():
    assert fused({1}, None, None, label_strategy="all") == (1, 1)
    assert fused(None, None, set()) == (0, 1)


@pytest.mark.parametrize("strategy", ["majority", "all", "soft"])
@pytest.mark.parametrize("short", ["unknown", "background"])
def test_where_no_view_speaks_the_voxel_is_unknown(strategy: str, short: str):
    assert fused(None, None, None, label_strategy=strategy, short_of_votes=short) == (UNKNOWN, 0)


def test_the_expert_is_written_over_everything():
    said = PseudoLabel(np.array([1, 2, UNKNOWN, 1], np.uint8), np.array([0.5, 1, 0, 1], np.float16))
    result = with_expert(said, np.array([0, UNKNOWN, 2, 1], np.uint8))
    assert result.label.tolist() == [0, 2, 2, 1]
    assert result.weight.tolist() == [1, 1, 1, 1]


@given(st.integers(0, 2**20), st.integers(1, 3), st.integers(2, 4))
@settings(max_examples=25, deadline=None)
def test_votes_are_counted_as_a_loop_counts_them(seed: int, views: int, classes: int):
    rng = stream(seed, "votes")
    votes = Votes(rng.random((views, classes - 1, 3, 4)) < 0.4, rng.random((views, 3, 4)) < 0.3)
    similarity = rng.random((classes, 3, 4))
    counts = votes.counted()
    best = winners(counts, similarity)
    for v in np.ndindex(3, 4):
        expected = np.zeros(classes, int)
        for k in range(views):
            claimed = [c for c in range(1, classes) if votes.claims[(k, c - 1, *v)]]
            if not votes.silent[(k, *v)]:
                expected[claimed or [0]] += 1
        assert counts[(slice(None), *v)].tolist() == expected.tolist()
        key = [(n, similarity[(c, *v)]) for c, n in enumerate(expected)]
        assert best[v] == max(range(classes), key=key.__getitem__)
