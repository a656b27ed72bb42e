"""Mean teacher and UA-MT: what their loss on unlabelled voxels is, written out."""

import math

import pytest
import torch
from torch import Tensor

from frugalseg.data.label import UNKNOWN
from frugalseg.learn.ramps import ramp_up
from frugalseg.methods.mean_teacher import MeanTeacher, MeanTeacherSettings
from frugalseg.methods.ua_mt import UaMt, UaMtSettings
from tiny_world import CLASSES, network_maker, world


def noisy(batch, purpose: str) -> Tensor:
    return batch.image + (0.1 * batch.normal(purpose)).clamp(-0.2, 0.2)


def parted(method):
    """The method with a teacher that no longer is the student."""
    with torch.no_grad():
        for p in method.teacher.net.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    return method


@pytest.mark.parametrize("step", [0, 100, 500])
def test_mean_teacher_consistency_equals_a_loop(step: int) -> None:
    method, batch = parted(MeanTeacher(network_maker(), MeanTeacherSettings())), world()(0)
    p = method.student(batch.image).softmax(1)
    q = method.teacher.net(noisy(batch, "teacher")).softmax(1)
    unknown = [i for i in range(4) if (batch.label[i] == UNKNOWN).any()]
    errors = [((p[i] - q[i]) ** 2)[:, batch.label[i] == UNKNOWN].flatten() for i in unknown]
    expected = 0.1 * ramp_up(step, 200) * torch.cat(errors).mean()
    torch.testing.assert_close(method.losses(batch, step)["consistency"], expected)


def test_noise_is_clipped() -> None:
    batch = world()(0)
    method = MeanTeacher(network_maker(), MeanTeacherSettings(noise=1e6, noise_clip=0.05))
    seen: list[Tensor] = []
    method.teacher.net.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    method.losses(batch, 0)
    torch.testing.assert_close((seen[0] - batch.image).abs(), torch.full_like(batch.image, 0.05))


def test_a_dense_label_leaves_nothing_to_be_consistent_on() -> None:
    method = parted(MeanTeacher(network_maker(), MeanTeacherSettings()))
    assert method.losses(world(known=("all", "all"))(0), 500)["consistency"] == 0


def test_the_teacher_gets_no_gradient() -> None:
    method = parted(MeanTeacher(network_maker(), MeanTeacherSettings()))
    method.losses(world()(0), 500)["consistency"].backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert any(p.grad.abs().sum() > 0 for p in method.student.parameters())


@pytest.mark.parametrize("step", [0, 100, 500])
@pytest.mark.parametrize("passes_at_once", [1, 3, 8])
def test_ua_mt_consistency_equals_an_obvious_loop(step: int, passes_at_once: int) -> None:
    method = parted(UaMt(network_maker(), UaMtSettings(passes_at_once=passes_at_once, threshold_start=0.5)))
    batch = world()(0)
    with torch.no_grad():
        p = method.student(batch.image).softmax(1)
        q = method.teacher.net(noisy(batch, "teacher")).softmax(1)
        passes = [method.teacher.net(noisy(batch, f"pass {t}")).softmax(1) for t in range(8)]
    largest = (0.5 + 0.5 * ramp_up(step, 200)) * math.log(CLASSES)
    total, count = 0.0, 0
    for i, *where in (batch.label == UNKNOWN).nonzero().tolist():
        voxel = (i, slice(None), *where)
        mean = sum(run[voxel] for run in passes) / 8
        if -sum(m * math.log(m) for m in mean.tolist()) < largest:
            total += sum((p[voxel] - q[voxel]) ** 2) / CLASSES
            count += 1
    assert 0 < count < (batch.label == UNKNOWN).sum() or step > 0
    expected = 0.1 * ramp_up(step, 200) * total / count
    assert method.losses(batch, step)["consistency"].item() == pytest.approx(float(expected), rel=1e-4)


def test_the_threshold_rises_from_three_quarters_to_the_largest_entropy() -> None:
    method = UaMt(network_maker(), UaMtSettings(ramp_steps=100))
    values = [method.threshold(step, classes=2) / math.log(2) for step in range(0, 120, 10)]
    assert values[0] == pytest.approx(0.75 + 0.25 * math.exp(-5))
    assert values == sorted(values)
    assert values[-1] == 1


def test_uncertainty_lies_between_nothing_and_ln_c_and_shows_the_dropout() -> None:
    batch = world()(0)
    method = parted(UaMt(network_maker(dropout=0.5), UaMtSettings(noise=0)))
    u = method.uncertainty(batch)
    assert u.shape == batch.label.shape
    assert u.min() >= 0
    assert u.max() <= math.log(CLASSES) + 1e-6
    assert not torch.equal(u, method.uncertainty(batch))


def test_without_noise_and_dropout_the_uncertainty_is_the_teachers_own_entropy() -> None:
    batch = world()(0)
    method = parted(UaMt(network_maker(), UaMtSettings(noise=0)))
    own = torch.distributions.Categorical(logits=method.teacher(batch.image).movedim(1, -1)).entropy()
    torch.testing.assert_close(method.uncertainty(batch), own)


@pytest.mark.parametrize(
    "make", [lambda: MeanTeacher(network_maker(), MeanTeacherSettings()), lambda: UaMt(network_maker(), UaMtSettings())]
)
def test_teacher_and_student_begin_equal_and_the_teacher_follows(make) -> None:
    method, x = make(), world()(0).image
    assert torch.equal(method.teacher(x), method.student(x))
    with torch.no_grad():
        next(method.student.parameters()).add_(1)
    method.after(3)
    mine, theirs = next(method.teacher.net.parameters()), next(method.student.parameters())
    torch.testing.assert_close(theirs - mine, torch.full_like(mine, 0.75))
