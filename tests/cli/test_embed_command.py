"""`frugalseg embed` on a workspace, as a person types it."""

import numpy as np
import pytest
import torch
from running import done, frugalseg

from frugalseg.data.phantoms import phantom_pool
from frugalseg.data.write import write_image
from frugalseg.generalists.frame import fit_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo
from frugalseg.workspace import Workspace
from view_worlds import BrightInBox


class Sees:
    """A generalist whose embedding is the picture's shape; `seen` are the pictures that it was given."""

    info = GeneralistInfo("sees", "none", "sees", frozenset({"points"}))

    def __init__(self):
        self.seen = []

    def embed(self, views):
        self.seen += views
        return [Embedding((torch.tensor([[v.size]]).float(),), fit_frame(v.size, 16), "sees") for v in views]


@pytest.fixture
def fake(monkeypatch):
    """The generalist that every command gets; `asked` is how it was asked for."""
    generalist = Sees()
    generalist.asked = []

    def build(name, *, weights=None, input_size="auto", device=None):
        generalist.asked.append((name, weights))
        return generalist

    monkeypatch.setattr("frugalseg.generalists.registry.build_generalist", build)
    return generalist


@pytest.fixture
def work(capsys, tmp_path):
    """A workspace of three volumes."""
    for case in phantom_pool("anatomy", n=3, shape=(24, 24, 16)).cases:
        write_image(tmp_path / "scans" / f"{case.id}.nii.gz", case.image())
    done(capsys, "init", tmp_path / "work", "--images", tmp_path / "scans")
    return tmp_path / "work"


def test_the_slices_that_a_round_has_asked_for_are_embedded(capsys, work, fake):
    done(capsys, "select", work, "--units", "3", "--unit", "slice", "--axis", "2")
    assert "3 embeddings by sees" in done(capsys, "embed", work)
    workspace = Workspace.open(work)
    for unit, view in zip(sorted(workspace.selected(0)), fake.seen, strict=True):
        image = workspace.pool[unit.case].image()
        assert np.array_equal(view.array, image.array[:, :, unit.index[0]])
        assert view.spacing == image.geometry.spacing[:2]
    assert fake.asked == [("lite-medsam", None)]


def test_three_planes_are_three_slices(capsys, work, fake):
    done(capsys, "select", work, "--units", "1")
    assert "3 embeddings" in done(capsys, "embed", work)
    assert sorted(v.size for v in fake.seen) == [(24, 16), (24, 16), (24, 24)]


def test_the_same_command_again_encodes_nothing(capsys, work, fake):
    first = done(capsys, "embed", work, "--units", "all", "--axis", "2")
    assert "48 embeddings" in first
    assert "48 of them new" in first
    assert "0 of them new" in done(capsys, "embed", work, "--units", "all", "--axis", "2")
    assert len(fake.seen) == 48
    assert len(list((work / "cache" / "embeddings").rglob("*.safetensors"))) == 48


def test_all_slices_lie_across_the_axis_that_was_named(capsys, work, fake):
    done(capsys, "embed", work, "--units", "all", "--axis", "0")
    assert [v.size for v in fake.seen] == [(24, 16)] * 72


def test_views_are_the_slices_that_gm_abs_asks_about(capsys, tmp_path, fake):
    done(capsys, "init", tmp_path / "work", "--data", "phantom=anatomy,n=3,shape=20x24x28", "--test", "1")
    assert "144 embeddings" in done(capsys, "embed", tmp_path / "work", "--units", "views")
    assert sorted({v.size for v in fake.seen}) == [(20, 24), (20, 28), (24, 28)]


def test_a_training_encodes_nothing_of_what_was_embedded_before(capsys, tmp_path, monkeypatch):
    bright = BrightInBox()
    monkeypatch.setattr("frugalseg.generalists.registry.build_generalist", lambda name, **_: bright)
    work = tmp_path / "work"
    done(capsys, "init", work, "--data", "phantom=anatomy,n=3,shape=20x24x28", "--test", "1")
    done(capsys, "select", work, "--units", "1")
    done(capsys, "annotate", work)
    done(capsys, "embed", work, "--units", "views")
    encoded = bright.encoded
    assert encoded == 144
    changes = ["fit.steps=4", "fit.tensorboard=false", "options.labels.prompts.smallest=1"]
    words = [word for change in changes for word in ("--set", change)]
    done(capsys, "train", work, "--method", "gmabs", "--device", "cpu", "--threads", "1", *words)
    assert bright.decoded > 0
    assert bright.encoded == encoded


def test_half_of_the_room_is_enough(capsys, work, fake):
    done(capsys, "embed", work, "--units", "all", "--axis", "2", "--half")
    assert "0 of them new" in done(capsys, "embed", work, "--units", "all", "--axis", "2", "--half")
    assert "48 of them new" in done(capsys, "embed", work, "--units", "all", "--axis", "2")


def test_pictures_are_embedded_whole(capsys, tmp_path, fake):
    done(capsys, "init", tmp_path / "work", "--data", "phantom=shapes,n=4,shape=32x32")
    assert "4 embeddings" in done(capsys, "embed", tmp_path / "work", "--units", "all")
    assert [v.size for v in fake.seen] == [(32, 32)] * 4


def test_weights_and_name_reach_the_generalist(capsys, work, fake, tmp_path):
    weights = tmp_path / "own.safetensors"
    done(capsys, "embed", work, "--units", "all", "--axis", "2", "--generalist", "mobile-sam", "--weights", weights)
    assert fake.asked == [("mobile-sam", weights)]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "nothing was chosen yet: give --units all, or frugalseg select"),
        (("--units", "some"), "there are: all, chosen, views"),
        (("--units", "all", "--axis", "3"), "less than or equal to 2"),
        (("--units", "all", "--limit-gb", "0"), "'limit_gb' = 0.0: Input should be greater than 0"),
        (("--units", "all", "--limit-gb", "0.000001"), "more than fit into the limit"),
    ],
)
def test_wrong_use_is_said_in_one_sentence(capsys, work, fake, words, reason):
    code, said = frugalseg(capsys, "embed", work, *words)
    assert code == 2
    assert reason in " ".join(said.replace("│", " ").split())
