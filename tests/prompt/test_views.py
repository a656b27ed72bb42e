import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.errors import DataError, SettingsError
from frugalseg.generalists.cache import Cached, EmbeddingCache
from frugalseg.generalists.classic import Classic
from frugalseg.metrics.overlap import dice
from frugalseg.prompt.fusion import Votes, fuse
from frugalseg.prompt.prototypes import Belief
from frugalseg.prompt.slices import PromptSettings
from frugalseg.prompt.views import (
    ViewSettings,
    Work,
    answers,
    ask,
    asked_about,
    revised,
    viewing_axes,
    without_unasked,
    without_unconfirmed,
)
from view_worlds import SHAPE, BrightInBox, belief_of, scene

AXES = (0, 1, 2)


def asked_of(belief, axes=AXES, **options):
    return ask(belief, axes, PromptSettings(), ViewSettings(**options), seed=0, case="a")


def votes_of(generalist, image, belief, *, axes=AXES, least_overlap=0.3, every=1):
    asked = asked_of(belief, axes, every=every)
    replies = answers(generalist, image, belief, asked, case="a", least_overlap=least_overlap)
    return revised(Votes.none(len(axes), 3, image.geometry.shape), axes, replies)


@pytest.mark.parametrize(
    ("shape", "spacing", "axes"),
    [
        ((40, 50, 36), (1, 1, 1), (0, 1, 2)),
        ((40, 50, 36), (1, 1, 2), (0, 1, 2)),
        ((40, 50, 36), (1, 1, 2.5), (2,)),
        ((36, 40, 50), (5, 1, 1), (0,)),
        ((222, 224, 10), (1, 1, 1), (2,)),  # a stack whose file has lost its spacing
        ((9, 10, 8), (1, 1, 1), (2,)),
        ((40, 50), (1, 3), (-1,)),
    ],
)
def test_only_slices_with_square_enough_pixels_are_shown(shape, spacing, axes):
    assert viewing_axes(Geometry.plain(shape, spacing), ViewSettings()) == axes


def test_axes_may_be_named_and_must_exist():
    volume = Geometry.plain((40, 50, 5), (1, 1, 9))
    assert viewing_axes(volume, ViewSettings(axes=(2, 0))) == (0, 2)
    for wrong in [(3,), (-1,), (1, 1), ()]:
        with pytest.raises(SettingsError, match="axis 0, 1 or 2"):
            viewing_axes(volume, ViewSettings(axes=wrong))


def test_slices_that_carry_an_object_are_shown_once_and_the_others_not():
    image, truth = scene()
    belief, generalist = belief_of(truth), BrightInBox()
    asked = asked_of(belief)
    replies = list(answers(generalist, image, belief, asked, case="a", least_overlap=0.3))
    with_prompts = [p for p, a in asked.items() if len(a)]
    assert 0 < generalist.encoded == len(with_prompts) < sum(SHAPE)
    assert generalist.decoded == sum(len(a) for a in asked.values())
    assert sorted(r.place for r in replies) == sorted(asked)
    assert sum((r.work for r in replies), Work()) == Work(len(with_prompts), len(with_prompts), generalist.decoded)


def test_every_view_finds_the_objects_where_they_are():
    image, truth = scene()
    votes = votes_of(BrightInBox(), image, belief_of(truth))
    for view in range(3):
        for value in (1, 2):
            assert dice(votes.claims[view, value - 1], truth == value) > 0.9
    label = fuse(votes, belief_of(truth).similarity).label
    assert all(dice(label == c, truth == c) > 0.9 for c in (1, 2))


def test_classic_finds_the_objects_too():
    image, truth = scene()
    belief = belief_of(truth)
    label = fuse(votes_of(Classic(), image, belief, axes=(2,)), belief.similarity).label
    assert all(dice(label == c, truth == c) > 0.85 for c in (1, 2))


def test_a_2d_case_is_its_own_view():
    image, truth = scene()
    flat = Image(image.array[8], Geometry.plain(SHAPE[1:]))
    votes = votes_of(BrightInBox(), flat, belief_of(truth[8]), axes=(-1,))
    assert dice(votes.claims[0, 0], truth[8] == 1) > 0.9


def test_an_answer_about_something_else_is_silence_and_not_background():
    image, truth = scene()
    rim = (truth == 2) & ~ndimage.binary_erosion(truth == 2)  # class 2 is asked for by its rim, the ball is answered
    belief = belief_of(np.where(truth == 1, 1, rim * 2).astype(np.uint8), blur=0.1)
    ball = truth[:, 18] == 2
    strict = votes_of(BrightInBox(), image, belief, axes=(1,), least_overlap=0.7)
    assert strict.silent[0, :, 18][ball].all()
    assert not strict.claims[0, 1, :, 18].any()
    assert not strict.silent[0][truth == 1].any()
    loose = votes_of(BrightInBox(), image, belief, axes=(1,), least_overlap=0)
    assert loose.claims[0, 1, :, 18][ball].mean() > 0.9


def test_an_object_that_no_answer_has_fitted_is_background_and_one_that_some_have_stays_silent():
    classes = np.zeros((8, 8, 6), np.uint8)
    classes[1:3, 1:3, 0:5], classes[5:7, 5:7, 2:6] = 1, 1
    classes[5, 1, 5] = 2
    votes = Votes.none(2, 3, classes.shape)
    votes.silent[:] = classes > 0
    votes.claims[1, 0, 1:3, 1:3, 2] = True  # one view, one slice of the first object
    found = without_unconfirmed(votes, classes, (0, 2), np.ones((2, *classes.shape), bool), every=1)
    first, others = classes == 1, classes > 0
    first[5:] = False
    first |= classes == 2  # of which nothing was confirmed
    assert np.array_equal(found.silent, np.stack([first, first]))
    assert found.claims is votes.claims
    rare = without_unconfirmed(votes, classes, (0, 2), np.ones((2, *classes.shape), bool), every=2)
    shown = np.zeros((2, *classes.shape), bool)
    shown[0, ::2], shown[1, ..., ::2] = True, True
    assert np.array_equal(rare.silent, np.stack([first, first]) | (others & ~shown))


def test_a_claim_for_another_class_confirms_nothing_and_a_picture_is_left_alone():
    classes = np.zeros((6, 6, 4), np.uint8)
    classes[1:3, 1:3, 1:3] = 2
    classes[4:, 4:, 3] = 2
    votes = Votes.none(1, 3, classes.shape)
    votes.claims[0, 0, 1, 1, 1] = True  # for class 1
    assert without_unconfirmed(
        votes, classes, (2,), (classes > 0)[None], every=1
    ).silent.all()  # no object of class 2 was confirmed
    small, large = (classes == 2) & (np.arange(4) == 3), (classes == 2) & (np.arange(4) < 3)
    for confirmed, other, is_spoken in ((small, large, False), (large, small, True)):
        votes.claims[0, 1] = confirmed
        found = without_unconfirmed(votes, classes, (2,), (classes > 0)[None], every=1)
        assert np.array_equal(~found.silent[0], other & is_spoken)
    flat = Votes.none(1, 3, (6, 6))
    assert without_unconfirmed(flat, classes[..., 1], (-1,), (classes[..., 1] > 0)[None], every=1) is flat


def test_what_was_not_asked_about_is_silence_and_not_background():
    classes = np.zeros((40, 40, 3), np.uint8)
    for k in range(12):  # more pieces than get a prompt
        classes[3 * k + 1 : 3 * k + 3, 2:5, 1] = 1
    classes[2:20, 10:30, 1] = 2
    classes[30:33, 30:33, 1] = 2  # too small beside the other one
    classes[38, 38, 2] = 2  # too small altogether, in a slice that nothing is asked about
    classes[30:36, 10:16, 1] = 3  # not to be asked about
    belief = Belief(classes, classes, np.stack([classes == c for c in range(4)]).astype(np.float32))
    asked = ask(belief, (2,), PromptSettings(), ViewSettings(), seed=0, case="a", without=(3,))
    about = asked_about(classes, (2,), asked)
    assert [about[0][classes == value].sum() for value in (1, 2, 3)] == [8 * 6, 18 * 20, 0]
    votes = Votes(np.zeros((1, 3, *classes.shape), bool), np.zeros((1, *classes.shape), bool))
    votes.claims[0, 0, 1:3, 2:5, 1] = True
    votes.claims[0, 1, 31, 31, 1] = True
    found = without_unasked(votes, classes, about, without=(3,))
    expected = (np.isin(classes, (1, 2)) & ~about[0]) & ~votes.claims[0].any(0)
    assert expected.sum() == 4 * 6 + 9 - 1 + 1
    assert np.array_equal(found.silent[0], expected)
    # nor does an answer to a larger one speak against it
    assert np.array_equal(without_unconfirmed(found, classes, (2,), about, every=1).silent, found.silent)


def test_slices_that_are_left_out_are_silent():
    image, truth = scene()
    generalist = BrightInBox()
    votes = votes_of(generalist, image, belief_of(truth), axes=(2,), every=3)
    assert votes.silent[0, :, :, 1::3].all()
    assert not votes.silent[0, :, :, ::3].any()
    assert 0 < generalist.encoded <= SHAPE[2] // 3


def test_a_cached_generalist_encodes_each_slice_once(tmp_path):
    image, truth = scene()
    belief, generalist = belief_of(truth), BrightInBox()
    cached = Cached(generalist, EmbeddingCache(tmp_path))
    costs = [
        sum((a.work for a in answers(cached, image, belief, asked_of(belief), case="a", least_overlap=0)), Work())
        for _ in range(2)
    ]
    assert costs[0].encoded == costs[0].shown == generalist.encoded
    assert costs[1] == Work(costs[0].shown, 0, costs[0].decoded)


def test_prompts_that_the_generalist_does_not_know_are_an_error():
    image, truth = scene()
    belief = belief_of(truth)
    asked = ask(belief, (2,), PromptSettings(add_point=2), ViewSettings(), seed=0, case="a")
    with pytest.raises(DataError, match="trained on boxes only"):
        list(answers(BrightInBox(), image, belief, asked, case="a", least_overlap=0))


@pytest.mark.real
@pytest.mark.skipif("FRUGALSEG_DATA" not in os.environ, reason="FRUGALSEG_DATA does not name the real data sets")
@pytest.mark.parametrize(("folder", "axes"), [("hippocampus", (0, 1, 2)), ("acdc_scribbles", (2,))])
def test_real_scans_are_asked_along_their_good_axes_and_about_what_is_there(folder: str, axes: tuple[int, ...]):
    file = sorted((Path(os.environ["FRUGALSEG_DATA"]) / folder / "labels").glob("*.nii.gz"))[0]
    truth = np.asarray(nibabel.load(file).dataobj).astype(np.uint8)
    assert viewing_axes(Geometry.plain(truth.shape), ViewSettings()) == axes
    belief = belief_of(truth, blur=0.5, n_classes=int(truth.max()) + 1)
    for (axis, index), asked in asked_of(belief, axes).items():
        pieces = np.take(belief.classes, index, axis)
        for box, value in zip(asked.boxes.astype(int), asked.classes, strict=True):
            assert (pieces[box[0] : box[2] + 1, box[1] : box[3] + 1] == value).sum() >= 6
