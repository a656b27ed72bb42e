"""The click adapter's examples, users and training: what is kept, what users say, kill and resume."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from frugalseg.adapt.clicks.examples import encode_examples, open_examples
from frugalseg.adapt.clicks.method import Clicks, ClickSettings
from frugalseg.adapt.clicks.session import Session, rough_mask
from frugalseg.adapt.clicks.sources import SMALLEST, Labelled, Procedural
from frugalseg.adapt.clicks.training import AdaptClicksSettings, ClickTraining, SideSettings
from frugalseg.data.batch import Batch
from frugalseg.data.phantoms import phantom_pool
from frugalseg.errors import SettingsError
from frugalseg.generalists.clicks import new_click_decoder, with_adapter
from frugalseg.generalists.generalist import GeneralistInfo
from frugalseg.generalists.sam import SamGeneralist
from frugalseg.generalists.sam_decoder import SamDecoder
from frugalseg.generalists.tiny_sam import LITE_MEDSAM
from frugalseg.learn.engine import FitSettings

SIDE = 32


class Blocks(nn.Module):
    """Stands in for the encoder: the picture's own 4x4 blocks as tokens."""

    def forward(self, x: Tensor) -> Tensor:
        blocks = nn.functional.pixel_unshuffle(x, 4)
        return torch.cat([blocks] * 6, 1)[:, :256]


@pytest.fixture(scope="module")
def generalist() -> SamGeneralist:
    torch.manual_seed(0)
    info = GeneralistInfo("lite-medsam", "Apache-2.0", "0" * 16, frozenset({"boxes"}))
    return SamGeneralist(info, Blocks(), SamDecoder(), LITE_MEDSAM, input_size=SIDE)


def run(generalist, folder, *, steps, examples=None, seed=0):
    side = SideSettings(procedural=6, labelled=4, batch=2, odds=1)
    fit = FitSettings(steps=steps, lr=1e-3, checkpoint_every=1, tensorboard=False)
    settings = AdaptClicksSettings(sides={SIDE: side}, fit=fit, sessions=ClickSettings(silent=(0, 1)))
    sources = [Labelled(phantom_pool("bubbles", n=2, shape=(64, 64)), "bubbles")]
    return ClickTraining({SIDE: generalist}, sources, settings, folder, examples or folder / "examples", seed=seed)


def test_examples_are_the_same_however_often_the_work_was_stopped(tmp_path, generalist, monkeypatch):
    monkeypatch.setattr("frugalseg.adapt.clicks.examples.CHUNK", 2)
    assert list(encode_examples(Procedural(), generalist, n=5, folder=tmp_path / "whole", seed=0)) == [2, 4, 5]
    stopped = encode_examples(Procedural(), generalist, n=5, folder=tmp_path / "parts", seed=0)
    next(stopped)
    stopped.close()
    assert list(encode_examples(Procedural(), generalist, n=5, folder=tmp_path / "parts", seed=0)) == [4, 5]
    for name in ("tokens.npy", "pixels.npy", "masks.npy"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_folder_of_other_examples_is_refused(tmp_path, generalist):
    list(encode_examples(Procedural(), generalist, n=1, folder=tmp_path, seed=0))
    with pytest.raises(SettingsError, match="examples of other settings"):
        list(encode_examples(Procedural(), generalist, n=1, folder=tmp_path, seed=1))


def test_an_example_is_what_the_encoder_has_seen(tmp_path, generalist):
    list(encode_examples(Procedural(), generalist, n=3, folder=tmp_path, seed=0))
    kept = open_examples(tmp_path)
    assert (kept.n, kept.side) == (3, SIDE)
    for k in range(3):
        seen = Blocks()(torch.from_numpy(kept.pixels(k))[None])[0]
        assert float((seen - kept.tokens(k)).abs().max()) < 0.01  # 8 bits
        assert all(mask.sum() >= SMALLEST for mask in kept.masks(k))


def test_windows_of_a_data_set_show_its_objects():
    source = Labelled(phantom_pool("bubbles", n=2, shape=(96, 96)), "bubbles")
    examples = [source.make(SIDE, np.random.default_rng(seed)) for seed in range(8)]
    found = [e for e in examples if e is not None]
    assert len(found) >= 6
    assert all(mask.shape == (SIDE, SIDE) for e in found for mask in e.masks)
    assert all(e.view.window[2] - e.view.window[0] == e.view.window[3] - e.view.window[1] for e in found)


def disc(row, column, radius=7):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (np.hypot(rows - row, columns - column) < radius).astype(np.uint8)


TRUTH = np.stack([disc(10, 10), disc(20, 18)])


def test_a_first_click_lies_on_the_object():
    points, labels, boxes, mask = Session(TRUTH, opening="click", noise=1, seeds=(1, 2)).prompts(torch.device("cpu"))
    column, row = (points[:, 0] * SIDE).long().T.numpy()
    assert TRUTH[[0, 1], row, column].all()
    assert labels.tolist() == [[1], [1]]
    assert boxes is None
    assert mask is None


def test_users_correct_the_largest_error_and_are_silent_when_there_is_none():
    session = Session(TRUTH, opening="box", noise=0, seeds=(1, 2))
    shown = torch.from_numpy(TRUTH.astype(np.float32)) * 2 - 1
    shown[1, 2:6, 2:6] = 1  # too much
    session.answer(shown)
    points, labels, boxes, mask = session.prompts(torch.device("cpu"))
    assert labels.tolist() == [[-1], [0]]
    assert 2 <= points[1, 0, 0] * SIDE <= 6
    assert torch.equal(mask[:, 0], shown)
    assert (boxes[:, 2:] > boxes[:, :2]).all()


@pytest.mark.parametrize("opening", ["scribble", "mask"])
def test_strokes_and_rough_masks_say_where_the_object_is(opening):
    points, labels, _, mask = Session(TRUTH, opening=opening, noise=0, seeds=(1, 2)).prompts(torch.device("cpu"))
    if opening == "scribble":
        places = (points * SIDE).long().numpy()
        assert labels.shape[1] >= 2
        assert all(TRUTH[k, y, x] for k in range(2) for x, y in places[k])
    else:
        assert all(((mask[k, 0] > 0).numpy() & (TRUTH[k] > 0)).any() for k in range(2))


def test_a_rough_mask_is_near_the_mask_and_not_it():
    ious = []
    for seed in range(20):
        rough = rough_mask(TRUTH[0] == 1, np.random.default_rng(seed)) > 0
        ious.append((rough & (TRUTH[0] == 1)).sum() / (rough | (TRUTH[0] == 1)).sum())
    assert 0.4 < np.mean(ious) < 0.97


def test_the_best_candidate_of_a_first_click_is_what_learns(generalist):
    class Three(nn.Module):
        """Candidate 2 is the truth, the others are nothing."""

        def forward(self, tokens, pixels, points, labels, boxes, masks):
            logits = torch.full((2, 4, SIDE, SIDE), -20.0)
            logits[:, 2] = torch.from_numpy(TRUTH.astype(np.float32)) * 40 - 20
            return logits, torch.tensor([[0.0, 0, 1, 0]] * 2), tokens

    method = Clicks(
        new_click_decoder(generalist.decoder),
        {"x": _Tokens()},
        ClickSettings(openings={"click": 1}, silent=(0,), taught=1),
    )
    method.decoder = Three()
    batch = Batch(torch.zeros(2, 3, SIDE, SIDE), torch.from_numpy(TRUTH), 2, ("x#0", "x#1"), (1, 2))
    losses = method.losses(batch, 0)
    assert float(losses["mask"]) < 0.01
    assert float(losses["score"]) < 1e-6


class _Tokens:
    def tokens(self, index: int) -> Tensor:
        return torch.zeros(256, SIDE // 4, SIDE // 4)


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, generalist):
    whole = run(generalist, tmp_path / "whole", steps=2)
    assert [n for _, n, _ in whole.encode()] == [6, 4]
    assert [step.index for step in whole.steps()] == [0, 1]
    killed = run(generalist, tmp_path / "killed", steps=2, examples=whole.examples)
    steps = killed.steps()
    next(steps)
    steps.close()
    assert [step.index for step in killed.steps()] == [1]
    name = "adapter.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    assert with_adapter(generalist, tmp_path / "whole" / name).info.name == "lite-medsam-clicks"
