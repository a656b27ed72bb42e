"""The scribble method: strokes, two decoders on one encoder, their mix as label."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import SettingsError
from frugalseg.learn.engine import FitSettings, Hardware, Step, fit
from frugalseg.learn.losses import masked_cross_entropy
from frugalseg.learn.method import MakeNetwork
from frugalseg.learn.ramps import ramp_up
from frugalseg.methods.scribble import Scribble, ScribbleMethodSettings, pseudo_label, with_dropout
from frugalseg.specialist.plan import Plan, build_network
from tiny_world import CLASSES, network_maker, world


def scribble(make: MakeNetwork | None = None, **settings: float | bool) -> Scribble:
    return Scribble(make or network_maker(), ScribbleMethodSettings.model_validate(settings))


def of_a_plan(ndim: int, network: str) -> MakeNetwork:
    widths = {"vnet": (4, 8, 8, 8, 8), "unet": (4, 8, 8, 8, 8, 8)}.get(network, (8, 8, 16, 16))
    patch, names = (16,) * ndim, ("background", "bright", "dark")
    plan = Plan.model_validate(
        {"ndim": ndim, "classes": names, "patch": patch, "network": network, "widths": widths, "dropout": 0}
    )
    seeds = iter(range(9))
    return lambda: build_network(plan, seed=next(seeds))


def strokes(batch: Batch) -> Tensor:
    return batch.label != UNKNOWN


def test_cross_entropy_has_a_gradient_of_exactly_zero_where_nobody_has_drawn() -> None:
    method, batch = scribble(), world()(0)
    z1, z2 = method.logits(batch)
    z1.retain_grad()
    z2.retain_grad()
    ((masked_cross_entropy(z1, batch.label) + masked_cross_entropy(z2, batch.label)) / 2).backward()
    for z in (z1, z2):
        assert z.grad is not None
        touched = z.grad.abs().sum(1) > 0
        assert torch.equal(touched, strokes(batch))


def test_its_terms_are_half_the_cross_entropy_of_each_decoder_and_half_of_a_dice_of_all_classes() -> None:
    method, batch = scribble(ramp_steps=100, unlabelled=False), world()(0)
    drawn = replace(batch, image=batch.image[:2], label=batch.label[:2], cases=batch.cases[:2], seeds=batch.seeds[:2])
    terms = method.losses(batch, 50)
    z1, z2 = method.logits(drawn)
    target = nn.functional.one_hot(pseudo_label(z1, z2, drawn, confidence=0).long(), CLASSES).movedim(-1, 1)
    for end, z in (("", z1), ("_aux", z2)):
        p = z.softmax(1)
        dice = [2 * (p * target)[:, c].sum() / (p.square() + target)[:, c].sum() for c in range(CLASSES)]
        torch.testing.assert_close(terms["ce" + end], masked_cross_entropy(z, drawn.label) / 2)
        torch.testing.assert_close(terms["pseudo" + end], 0.5 * ramp_up(50, 100) * (1 - torch.stack(dice).mean()) / 2)
        assert terms["dice" + end] == 0


def test_the_pseudo_label_depends_on_seed_and_step_only() -> None:
    method = scribble(confidence=0.5)
    first, again, other = (
        pseudo_label(*method.logits(b), b, confidence=0.5) for b in (world()(3), world()(3), world(seed=1)(3))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_share_of_the_mix_is_drawn_anew_for_each_sample_and_step() -> None:
    """Where the decoders are sure of two classes, the pseudo-label shows which of them had the larger share."""
    say = torch.zeros(4, CLASSES, 6, 6)
    z1, z2 = (say.index_fill(1, torch.tensor(c), 9.0) for c in (1, 2))
    batches = [world(known=("nothing",) * 4)(step) for step in range(40)]
    batches = [replace(b, image=b.image[..., :6, :6], label=b.label[..., :6, :6]) for b in batches]
    found = torch.stack([pseudo_label(z1, z2, b, confidence=0)[:, 0, 0] for b in batches])  # step, sample
    shares = (found == 1).float().mean(0)
    assert set(found.flatten().tolist()) == {1, 2}
    assert ((shares > 0.2) & (shares < 0.8)).all()
    assert (found != found[:, :1]).any()


def test_what_was_drawn_stands_in_the_pseudo_label() -> None:
    method, batch = scribble(), world()(0)
    label = pseudo_label(*method.logits(batch), batch, confidence=1)
    assert torch.equal(label[strokes(batch)], batch.label[strokes(batch)])
    assert (label[0] != UNKNOWN).all()


def test_a_sample_without_a_stroke_gets_only_labels_that_are_sure_enough() -> None:
    method, batch = scribble(), world()(0)
    label = {c: pseudo_label(*method.logits(batch), batch, confidence=c) for c in (0, 0.4, 1)}
    assert (label[0] != UNKNOWN).all()
    kept = label[0.4][2:] != UNKNOWN
    assert 0 < kept.sum() < kept.numel()
    assert torch.equal(label[0.4][2:][kept], label[0][2:][kept])
    assert (label[1][2:] == UNKNOWN).all()


def test_samples_without_a_stroke_can_be_left_out() -> None:
    batch = world()(0)
    other = replace(batch, image=torch.cat([batch.image[:2], torch.zeros_like(batch.image[2:])]))
    for unlabelled in (False, True):
        method = scribble(unlabelled=unlabelled, confidence=0)
        first, second = ([t.item() for t in method.losses(b, 0).values()] for b in (batch, other))
        assert (first == second) == (not unlabelled)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("network", ["unet-tiny", "unet-small", "unet", "vnet"])
def test_the_decoders_differ_by_their_weights_and_the_dropout_only(ndim: int, network: str) -> None:
    size = {2: (21, 32), 3: (16, 17, 18)}[ndim]
    image = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(0))
    label = torch.full((2, *size), UNKNOWN, dtype=torch.uint8)
    batch = Batch(image, label, 1, ("a", "b"), (0, 1))
    method, plain = (scribble(of_a_plan(ndim, network), dropout=d).eval() for d in (0.5, 0.0))
    z1, z2 = plain.logits(batch)
    torch.testing.assert_close(z1, plain.predictor(image))
    assert not torch.allclose(z1, z2)
    for m in (plain, method):
        m.auxiliary.load_state_dict(m.main.state_dict())
    same = plain.logits(batch)
    torch.testing.assert_close(*same)
    thinned = method.logits(batch)
    torch.testing.assert_close(thinned[0], same[0])
    assert not torch.allclose(*thinned)


def test_the_encoder_is_one_and_each_decoder_is_trained_by_its_own_terms() -> None:
    method = scribble(of_a_plan(2, "unet-tiny"))
    own = sum(p.numel() for p in build_parts(method.auxiliary, "encoder"))
    both = [sum(p.numel() for p in m.parameters()) for m in (method.main, method.auxiliary)]
    assert sum(p.numel() for p in method.parameters()) == sum(both) - own
    terms = method.losses(world()(0), 0)
    (terms["ce_aux"] + terms["pseudo_aux"]).backward()
    assert all(p.grad is not None for p in build_parts(method.main, "encoder"))
    assert all(p.grad is None for p in build_parts(method.main, "decoder"))
    assert all(p.grad is not None for p in build_parts(method.auxiliary, "decoder"))


def build_parts(network: nn.Module, name: str) -> Iterator[nn.Parameter]:
    return network.get_submodule(name).parameters()


def test_dropout_takes_whole_channels_sample_by_sample_and_keeps_the_mean() -> None:
    batch = world()(0)
    maps = [torch.ones(4, 400, 3, 3), torch.ones(4, 200, 1, 1)]
    for x in with_dropout(maps, 0.5, batch):
        assert set(x.unique().tolist()) == {0.0, 2.0}
        assert torch.equal(x.amax((2, 3)), x.amin((2, 3)))
        assert not torch.equal(x[0], x[1])
        assert abs(float(x.mean()) - 1) < 0.1
    halves = [with_dropout([m[i : i + 2] for m in maps], 0.5, part(batch, i)) for i in (0, 2)]
    joined = [torch.cat(both) for both in zip(*halves, strict=True)]
    assert all(torch.equal(x, y) for x, y in zip(joined, with_dropout(maps, 0.5, batch), strict=True))


def part(batch: Batch, first: int) -> Batch:
    i = slice(first, first + 2)
    return Batch(batch.image[i], batch.label[i], 2, batch.cases[i], batch.seeds[i])


def run(folder: Path, steps: int | None = None) -> Scribble:
    """Six steps, or as many as a run does before it is given up."""
    method = scribble(network_maker(dropout=0.2))
    settings = FitSettings(steps=6, lr=0.02, checkpoint_every=2, tensorboard=False)
    records: Iterator[Step] = fit(method, world(), settings, folder=folder, hardware=Hardware(device="cpu"), seed=0)
    for _ in islice(records, steps):
        pass
    return method


def test_a_run_that_is_given_up_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole").state_dict()
    run(tmp_path / "stopped", steps=3)
    resumed = run(tmp_path / "stopped").state_dict()
    assert all(torch.equal(x, resumed[name]) for name, x in whole.items())


def test_a_network_that_cannot_be_parted_is_answered_in_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"two decoders on one encoder, but Conv2d cannot be parted.*unet-small"):
        scribble(lambda: nn.Conv2d(1, 3, 1))


@pytest.mark.parametrize("wrong", [{"weight": -1}, {"dropout": 1}, {"confidence": 1.1}, {"dice": 2}])
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ScribbleMethodSettings.model_validate(wrong)


def test_pseudo_labels_break_ties_to_the_lowest_class() -> None:
    batch = replace(world(known=("nothing",))(0), n_labelled=1)
    z = torch.zeros(1, CLASSES, *batch.label.shape[1:])
    assert np.all(pseudo_label(z, z, batch, confidence=0).numpy() == 0)
