from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frugalseg.data.batch import TRUST, Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import SettingsError
from frugalseg.learn.confident import with_issues_corrected
from frugalseg.learn.losses import clip_logits, masked_dice, weighted_cross_entropy
from frugalseg.methods import build_method
from frugalseg.methods.gmabs import SCHEDULES, GmAbsSettings, as_background, random_gamma, refreshes
from tiny_world import dice, network_maker, world

PLAIN: dict[str, Any] = {"denoise": False, "clip": None, "falling": False, "label_weight": 1.0, "label_dice": 0.0}


def method(**options: Any) -> Any:
    return build_method("gmabs", network_maker(), options)


def taught(batch: Batch, labels: Tensor, trust: int = TRUST) -> Batch:
    return replace(batch, pseudo=torch.stack([labels, torch.full_like(labels, trust)], 1))


def complete(step: int = 0) -> Tensor:
    return world(known=("all",) * 4)(step).label


@pytest.mark.parametrize(
    ("step", "weight"), [(0, 0.99), (2000, 0.96), (4000, 0.85), (6000, 0.60), (8000, 0.26), (10000, 0.10)]
)
def test_the_weight_of_the_labels_falls_as_published(step: int, weight: float) -> None:
    batch = taught(world()(0), complete())
    falling, constant = (
        method(steps=10000, **{**PLAIN, "falling": f}).losses(batch, step)["generalist"].item() for f in (True, False)
    )
    assert falling / constant == pytest.approx(weight, abs=0.006)


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0007), (1000, 0.0027), (4000, 0.054), (6000, 0.1), (9999, 0.1)])
def test_the_consistency_grows_as_published(step: int, weight: float) -> None:
    assert 0.1 * SCHEDULES["paper"].consistency(step) == pytest.approx(weight, rel=0.06)


def test_labels_are_made_when_they_were_published_to_be() -> None:
    published = refreshes(GmAbsSettings(schedule="paper", steps=10000))
    assert published == tuple(range(600, 7801, 600))
    assert len(published) == 13
    assert refreshes(GmAbsSettings(steps=800)) == (240, 400, 560)


@pytest.mark.parametrize("options", [{"steps": 1}, {"schedule": "paper", "steps": 750}])
def test_a_training_too_short_for_any_label_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="makes no labels"):
        refreshes(GmAbsSettings(**options))
    assert refreshes(GmAbsSettings(**options, generalist=None)) == ()


@pytest.mark.parametrize("options", [{"generalist": None}, {"label_weight": 0}])
def test_nothing_is_asked_when_no_label_would_be_learnt(options: dict[str, Any]) -> None:
    assert refreshes(GmAbsSettings(**options)) == ()


def test_without_labels_of_a_generalist_its_term_is_zero() -> None:
    assert method().losses(world()(0), 5)["generalist"] == 0


def undrawn(batch: Batch, labels: Tensor) -> Tensor:
    return labels.masked_fill(batch.label != UNKNOWN, UNKNOWN)


def test_the_term_is_the_trusted_cross_entropy_where_no_expert_has_drawn() -> None:
    m, batch = method(**PLAIN), taught(world()(0), complete(), trust=TRUST // 2)
    labels = undrawn(batch, complete())
    wanted = weighted_cross_entropy(m.student(batch.image), labels, torch.full(labels.shape, 0.5))
    torch.testing.assert_close(m.losses(batch, 3)["generalist"], wanted)


def test_a_part_of_the_term_is_the_trusted_dice() -> None:
    m, batch = method(**{**PLAIN, "label_dice": 1.0}), taught(world()(0), complete(), trust=TRUST // 2)
    labels = undrawn(batch, complete())
    whole = m.losses(batch, 3)["generalist"]
    torch.testing.assert_close(whole, masked_dice(m.student(batch.image), labels, torch.full(labels.shape, 0.5)))
    shares = [method(**{**PLAIN, "label_dice": d}).losses(batch, 3)["generalist"] for d in (0.0, 0.25, 1.0)]
    torch.testing.assert_close(shares[1], 0.75 * shares[0] + 0.25 * shares[2])


def test_a_generalist_cannot_contradict_an_expert() -> None:
    m, batch = method(), world(known=("all",) * 4)(0)
    contradicted = taught(batch, (batch.label + 1) % 3)
    assert m.losses(contradicted, 3)["generalist"] == 0


def test_clipping_bounds_the_term_whatever_the_network_says() -> None:
    m = method(**{**PLAIN, "clip": 1.0})
    nn.init.constant_(m.student[-1].bias, 0)
    with torch.no_grad():
        m.student[-1].weight.mul_(1e4)
    batch = taught(world()(0), complete())
    z, labels = clip_logits(m.student(batch.image), 1.0), undrawn(batch, complete())
    got = m.losses(batch, 3)["generalist"]
    torch.testing.assert_close(got, weighted_cross_entropy(z, labels, torch.ones(labels.shape)))
    assert got < 2.2  # log(1 + 2 exp(sqrt(1.5))) is the most that a wrong label can cost with three classes


def test_issues_are_those_that_the_teacher_sees_and_never_what_experts_drew() -> None:
    m = method(**{**PLAIN, "denoise": True, "noise": 0.0, "gamma": 0.0})
    truth = complete()
    is_wrong = torch.rand(truth.shape, generator=torch.Generator().manual_seed(0)) < 0.2
    batch = taught(world()(0), torch.where(is_wrong, (truth + 1) % 3, truth))
    assert batch.pseudo is not None
    given = undrawn(batch, batch.pseudo[:, 0])
    corrected = with_issues_corrected(given, m.teacher(batch.image).softmax(1))
    assert (corrected != given).any()
    wanted = weighted_cross_entropy(m.student(batch.image), corrected, torch.ones(truth.shape))
    torch.testing.assert_close(m.losses(batch, 3)["generalist"], wanted)


def test_the_labels_alone_teach_what_nobody_has_drawn() -> None:
    m = method(steps=80, label_weight=1.0, denoise=False)
    assert dice(m.predictor) < 0.4
    optimizer = torch.optim.AdamW(m.student.parameters(), 0.02)
    for step in range(80):
        batch = taught(world(known=("nothing",) * 4)(step), complete(step))
        optimizer.zero_grad()
        torch.stack([*m.losses(batch, step).values()]).sum().backward()
        optimizer.step()
        m.after(step)
    assert dice(m.predictor) > 0.7


def test_a_random_power_keeps_signs_and_the_order_and_changes_nothing_in_place() -> None:
    batch = world()(0)
    before = batch.image.clone()
    changed = random_gamma(batch, 0.3)
    assert torch.equal(batch.image, before)
    assert torch.equal(changed.sign(), before.sign())
    exponent = (changed.abs().log() / before.abs().log())[before.abs() > 1.5]
    assert 0.74 <= float(exponent.min()) < float(exponent.max()) <= 1.36
    torch.testing.assert_close(random_gamma(batch, 0.0), before)


def test_what_is_not_trusted_may_hide_in_the_background() -> None:
    g = torch.Generator().manual_seed(0)
    z, q = torch.randn(2, 4, 5, 5, generator=g), torch.randn(2, 4, 5, 5, generator=g).log_softmax(1)
    labels = torch.randint(0, 4, (2, 5, 5), generator=g, dtype=torch.uint8)
    is_open = torch.tensor([False, False, True, False])
    merged, merged_z, merged_q = as_background(labels, is_open, z, q)
    assert torch.equal(merged, torch.where(labels == 2, 0, labels))
    p = z.softmax(1)
    torch.testing.assert_close(merged_z.softmax(1)[:, 0], p[:, 0] + p[:, 2])
    torch.testing.assert_close(merged_q.exp()[:, [1, 3]], q.exp()[:, [1, 3]])
    assert (merged_z.softmax(1)[:, 2] == 0).all()


@pytest.mark.parametrize("dice", [0.0, 0.5, 1.0])
def test_a_class_of_half_the_trust_is_taught_half_as_much(dice: float) -> None:
    def term(weight: float) -> float:
        m = method(**{**PLAIN, "label_dice": dice})
        m.trust([1.0, weight, weight])
        objects = complete().masked_fill(complete() == 0, UNKNOWN)
        batch = taught(world(known=("nothing",) * 4)(0), objects, trust=round(weight * TRUST))
        return m.losses(batch, 3)["generalist"].item()

    assert term(0.5) == pytest.approx(term(1.0) / 2, rel=1e-5)


def test_an_untrusted_class_is_not_taught_away() -> None:
    def gradient(weights: list[float]) -> Tensor:
        m = method(**PLAIN)
        m.trust(weights)
        batch = taught(world(known=("nothing",) * 4)(0), torch.zeros_like(complete()))
        z = m.student(batch.image).detach().requires_grad_()
        m._generalist(z, m.teacher(batch.image).softmax(1), batch).backward()
        assert z.grad is not None
        return z.grad[:, 2]

    assert (gradient([1.0, 1.0, 1.0]) > 0).all()
    assert (gradient([1.0, 1.0, 0.0]) <= 0).all()
