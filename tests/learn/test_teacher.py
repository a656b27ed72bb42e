import pytest
import torch
from torch import nn

from frugalseg.learn.teacher import Teacher
from tiny_world import network_maker, world


def batch_norm_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))


def wander(net: nn.Module, seed: int) -> None:
    """Changes weights and statistics, as training does."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape, generator=g))
        net.train()(torch.randn(2, 1, 8, 8, generator=g))


def test_the_teacher_is_the_student_before_and_after_step_0() -> None:
    student = batch_norm_net()
    teacher = Teacher(student, 0.99)
    for seed in (None, 1):
        if seed:
            wander(student, seed)
            teacher.follow(student, 0)
        for name, mine in teacher.net.state_dict().items():
            assert torch.equal(mine, student.state_dict()[name])


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_weights_are_the_running_average_written_out(share: float) -> None:
    student = batch_norm_net()
    teacher, average = Teacher(student, 0.9, share=share), student[0].weight.detach().clone()
    for step in range(30):
        wander(student, step)
        teacher.follow(student, step)
        alpha = min(1 - 1 / (share * step + 1), 0.9)
        average = alpha * average + (1 - alpha) * student[0].weight.detach()
    torch.testing.assert_close(teacher.net[0].weight.detach(), average)


def test_a_small_share_forgets_the_beginning() -> None:
    kept = {}
    for share in (1.0, 0.1):
        student = nn.Linear(1, 1, bias=False)
        teacher = Teacher(student, 0.99, share=share)
        for step in range(90):
            student.weight.data.fill_(float(step >= 60))
            teacher.follow(student, step)
        kept[share] = teacher.net.weight.item()
    assert kept[1.0] == pytest.approx(30 / 90, abs=0.01)  # the mean of all
    assert kept[0.1] > 0.95


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        Teacher(batch_norm_net(), 0.9, share=share)


def test_batch_norm_statistics_are_taken_over_integers_too() -> None:
    student = batch_norm_net()
    teacher = Teacher(student, 0.99)
    for step in range(5):
        wander(student, step)
        teacher.follow(student, step)
    assert torch.equal(teacher.net[1].running_var, student[1].running_var)
    assert teacher.net[1].num_batches_tracked == 5


def test_training_mode_of_the_owner_does_not_reach_the_teacher() -> None:
    owner = nn.ModuleDict({"teacher": Teacher(batch_norm_net(), 0.9)})
    owner.train()
    assert not any(m.training for m in owner["teacher"].modules())


def test_the_teacher_has_no_gradients_and_no_trained_parameters() -> None:
    teacher = Teacher(network_maker()(), 0.9)
    y = teacher(torch.randn(1, 1, 8, 8, requires_grad=True))
    assert not y.requires_grad
    assert not any(p.requires_grad for p in teacher.parameters())


def test_samples_differ_by_dropout_only_and_leave_the_teacher_asleep() -> None:
    teacher = Teacher(batch_norm_net(), 0.9)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = teacher.net[1].running_mean.clone()
    assert not torch.equal(teacher.sample(x), teacher.sample(x))
    assert torch.equal(teacher.net[1].running_mean, before)
    assert torch.equal(teacher(x), teacher(x))


def test_samples_of_a_network_without_dropout_are_its_predictions() -> None:
    teacher = Teacher(network_maker()(), 0.9)
    x = world()(0).image
    assert torch.equal(teacher.sample(x), teacher(x))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_cannot_average_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\)"):
        Teacher(nn.Linear(1, 1), decay)
