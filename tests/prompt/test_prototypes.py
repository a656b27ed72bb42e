import numpy as np
import pytest

from frugalseg.data.label import UNKNOWN
from frugalseg.errors import DataError
from frugalseg.prompt.prototypes import (
    Prototypes,
    PrototypeSettings,
    believe,
    blended,
    expert_prototypes,
    first_known,
    mean_prototypes,
    predicted_prototypes,
    similarity_maps,
)
from frugalseg.seeds import stream


def random_case(seed: int = 0, *, n_classes: int = 3, shape: tuple[int, ...] = (4, 5, 6)):
    rng = stream(seed, "case")
    p = rng.random((n_classes, *shape)).astype(np.float32)
    return p / p.sum(0), rng.normal(size=(7, *shape)).astype(np.float32)


def unit(*vectors):
    rows = np.array(vectors, np.float32)
    return Prototypes(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8))


def test_prototypes_are_the_published_weighted_means():
    p, f = random_case()
    found = predicted_prototypes(p, f).vectors
    for c in range(3):
        total, weight = np.zeros(7), 1e-5
        for v in np.ndindex(p.shape[1:]):
            if p[(slice(None), *v)].argmax() == c:
                total += p[(c, *v)] * f[(slice(None), *v)]
                weight += p[(c, *v)]
        assert found[c] == pytest.approx(total / weight / np.linalg.norm(total / weight), abs=1e-5)


def test_similarity_is_the_published_softmax_of_cosines():
    p, f = random_case(1)
    prototypes = predicted_prototypes(p, f)
    found = similarity_maps(f, prototypes, sharpness=20)
    for v in np.ndindex(p.shape[1:]):
        x = f[(slice(None), *v)]
        scores = np.exp([20 * (q @ x) / np.linalg.norm(q) / np.linalg.norm(x) for q in prototypes.vectors])
        assert found[(slice(None), *v)] == pytest.approx(scores / scores.sum(), abs=1e-4)


def test_a_class_nobody_predicts_is_nowhere_similar_even_to_opposite_features():
    p, f = random_case()
    p[2] = 0
    belief = believe(p, f)
    assert (belief.similarity[2] == 0).all()
    assert not (belief.classes == 2).any()
    assert belief.similarity.sum(0) == pytest.approx(1, abs=1e-5)


def test_without_any_prototype_all_is_background():
    assert (similarity_maps(np.ones((2, 3, 3)), Prototypes(np.zeros((2, 2), np.float32)))[0] == 1).all()


def test_a_voxel_without_features_is_no_error():
    p, f = random_case()
    f[:, 0, 0, 0] = 0
    assert np.isfinite(believe(p, f).similarity).all()


def test_expert_prototypes_use_drawn_voxels_only():
    _, f = random_case()
    label = np.full(f.shape[1:], UNKNOWN, np.uint8)
    label[1, 2, 3] = 1
    found = expert_prototypes(f, label, 3)
    assert found.present.tolist() == [False, True, False]
    assert found.vectors[1] == pytest.approx(f[:, 1, 2, 3] / np.linalg.norm(f[:, 1, 2, 3]), abs=1e-6)


def test_blending_goes_from_one_to_the_other_and_takes_what_is_there():
    a, b = unit([1, 0], [1, 0], [0, 0]), unit([0, 1], [0, 0], [0, 1])
    assert blended(a, b, 0.0).vectors[0] == pytest.approx([1, 0])
    assert blended(a, b, 1.0).vectors[0] == pytest.approx([0, 1])
    assert blended(a, b, 0.5).vectors[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert blended(a, b, 0.5).vectors[1:].tolist() == [[1, 0], [0, 1]]


def test_the_cases_own_drawing_comes_before_that_of_others():
    own, others = unit([1, 0], [0, 0]), unit([0, 1], [0, 1])
    assert first_known([own, others]).vectors.tolist() == [[1, 0], [0, 1]]


def test_the_mean_over_cases_leaves_out_those_without_the_class():
    assert mean_prototypes([unit([1, 0], [0, 0]), unit([0, 1], [0, 1])]).vectors == pytest.approx(
        np.array([[0.5**0.5, 0.5**0.5], [0, 1]])
    )


def test_drawn_voxels_bring_a_class_back_that_the_specialist_has_lost():
    truth = np.zeros((8, 8, 8), np.uint8)
    truth[2:5, 2:5, 2:5] = 1
    f = np.stack([truth == 0, truth == 1]).astype(np.float32) + 0.1
    p = np.stack([np.ones(truth.shape), np.zeros(truth.shape)]).astype(np.float32)
    expert = np.full(truth.shape, UNKNOWN, np.uint8)
    expert[3] = truth[3]
    assert not believe(p, f).classes.any()
    assert (believe(p, f, expert=expert).classes == truth).all()
    known = expert_prototypes(f, expert, 2)
    assert (believe(p, f, known=known).classes == truth).all()


def test_with_no_share_for_the_expert_what_nobody_predicts_stays_away_as_published():
    p, features = random_case()
    p[2] = 0
    drawn = np.full(p.shape[1:], 2, np.uint8)
    known = expert_prototypes(features, drawn, 3)
    found = believe(p, features, expert=drawn, known=known, settings=PrototypeSettings(expert_share=0))
    assert not found.similarity[2].any()
    assert believe(p, features, expert=drawn, known=known).similarity[2].any()


def test_without_features_the_prediction_speaks():
    p, _ = random_case()
    belief = believe(p)
    assert (belief.classes == p.argmax(0)).all()
    assert (belief.similarity == p).all()


def test_a_slice_of_a_belief_is_that_of_its_arrays():
    belief = believe(*random_case())
    part = belief.slice(1, 2)
    assert (part.similarity == belief.similarity[:, :, 2]).all()
    assert part.classes.shape == part.predicted.shape == (4, 6)


def test_arrays_that_do_not_fit_are_refused():
    p, f = random_case()
    with pytest.raises(DataError, match="do not fit"):
        believe(p, f[:, 1:])
    with pytest.raises(DataError, match="does not fit a case of"):
        believe(p, f, expert=np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(DataError, match="classes beyond the 3"):
        believe(p, f, expert=np.full(p.shape[1:], 3, np.uint8), settings=PrototypeSettings())
