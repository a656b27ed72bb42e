import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor, nn

from frugalseg.data.label import UNKNOWN
from frugalseg.learn import losses
from frugalseg.learn.losses import (
    clip_logits,
    labelled_terms,
    masked_cross_entropy,
    masked_dice,
    mse,
    weighted_cross_entropy,
)

seeds = st.integers(0, 2**32 - 1)
shapes = st.sampled_from([(2, 3, 5, 4), (3, 2, 4, 3, 2), (1, 5, 6, 6)])  # B C *space


def case(seed: int, shape: tuple[int, ...], known: float = 0.4) -> tuple[Tensor, Tensor]:
    """Random logits that require gradients, and labels of which about that share is known."""
    g = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(shape, generator=g)).requires_grad_()
    space = (shape[0], *shape[2:])
    labels = torch.randint(0, shape[1], space, generator=g)
    labels[torch.rand(space, generator=g) >= known] = UNKNOWN
    return logits, labels.to(torch.uint8)


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss, logits)[0]


@given(seeds, shapes)
@settings(max_examples=25, deadline=None)
def test_cross_entropy_equals_a_loop_over_the_labelled_voxels(seed: int, shape: tuple[int, ...]) -> None:
    logits, labels = case(seed, shape)
    log_p = logits.detach().log_softmax(1).movedim(1, -1)
    terms = [-float(log_p[tuple(i)][int(labels[tuple(i)])]) for i in (labels != UNKNOWN).nonzero()]
    expected = sum(terms) / len(terms) if terms else 0.0
    assert masked_cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-5)


@given(seeds, shapes)
@settings(max_examples=25, deadline=None)
def test_cross_entropy_and_its_gradient_equal_torch_with_ignore_index(seed: int, shape: tuple[int, ...]) -> None:
    logits, labels = case(seed, shape, known=0.9)
    theirs = nn.functional.cross_entropy(logits, labels.long(), ignore_index=UNKNOWN)
    ours = masked_cross_entropy(logits, labels)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient(ours, logits), gradient(theirs, logits))


@given(seeds, shapes)
@settings(max_examples=25, deadline=None)
def test_dice_equals_a_loop_over_classes_and_voxels(seed: int, shape: tuple[int, ...]) -> None:
    logits, labels = case(seed, shape)
    p = logits.detach().double().softmax(1).movedim(1, -1)
    per_class = []
    for c in range(1, shape[1]):
        overlap = sizes = count = 0.0
        for i in (labels != UNKNOWN).nonzero():
            y = float(labels[tuple(i)] == c)
            overlap += float(p[tuple(i)][c]) * y
            sizes += float(p[tuple(i)][c]) ** 2 + y
            count += y
        if count:
            per_class.append(1 - 2 * overlap / sizes)
    expected = sum(per_class) / len(per_class) if per_class else 0.0
    assert masked_dice(logits, labels).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", [masked_cross_entropy, masked_dice])
@given(seed=seeds, shape=shapes)
@settings(max_examples=15, deadline=None)
def test_unknown_voxels_get_a_gradient_of_exactly_zero(loss, seed: int, shape: tuple[int, ...]) -> None:
    logits, labels = case(seed, shape)
    there = gradient(loss(logits, labels), logits).movedim(1, -1)
    assert there[labels == UNKNOWN].count_nonzero() == 0


@pytest.mark.parametrize("loss", [masked_cross_entropy, masked_dice])
def test_unknown_voxels_do_not_change_the_loss(loss) -> None:
    logits, labels = case(0, (2, 3, 6, 6))
    other = torch.where((labels == UNKNOWN)[:, None], 100.0, logits)
    assert torch.equal(loss(logits, labels), loss(other, labels))


@pytest.mark.parametrize("loss", [masked_cross_entropy, masked_dice])
def test_labelled_voxels_do_get_a_gradient(loss) -> None:
    logits, labels = case(0, (2, 3, 6, 6))
    there = gradient(loss(logits, labels), logits).movedim(1, -1)
    assert bool((there[labels != UNKNOWN].abs().sum(-1) > 0).all())


@pytest.mark.parametrize("loss", [masked_cross_entropy, masked_dice])
def test_a_batch_without_labels_gives_zero_with_zero_gradient(loss) -> None:
    logits, labels = case(0, (2, 3, 6, 6), known=0)
    value = loss(logits, labels)
    assert value == 0
    assert gradient(value, logits).count_nonzero() == 0


def test_dice_without_labelled_foreground_is_zero_with_zero_gradient() -> None:
    logits, labels = case(0, (2, 3, 6, 6))
    value = masked_dice(logits, torch.where(labels == UNKNOWN, UNKNOWN, 0).to(torch.uint8))
    assert value == 0
    assert gradient(value, logits).count_nonzero() == 0


@given(seeds, shapes)
@settings(max_examples=25, deadline=None)
def test_weights_of_the_dice_are_how_often_a_voxel_is_there(seed: int, shape: tuple[int, ...]) -> None:
    logits, labels = case(seed, shape)
    often = torch.randint(0, 3, labels.shape, generator=torch.Generator().manual_seed(seed))
    flat = logits.movedim(1, -1).flatten(0, -2).repeat_interleave(often.flatten(), 0)
    expected = masked_dice(flat.T[None], labels.flatten().repeat_interleave(often.flatten())[None])
    torch.testing.assert_close(masked_dice(logits, labels, often / 2), expected)


def test_a_plane_of_one_sample_teaches_no_other_sample() -> None:
    logits, labels = case(0, (2, 2, 4, 4), known=0)
    labels[0, 1] = 1  # the second sample has no label at all
    assert gradient(masked_cross_entropy(logits, labels) + masked_dice(logits, labels), logits)[1].count_nonzero() == 0


def test_a_sure_and_right_prediction_costs_nothing() -> None:
    _, labels = case(1, (2, 3, 6, 6))
    sure = 100 * nn.functional.one_hot(labels.long() % UNKNOWN, 3).movedim(-1, 1).float()
    terms = labelled_terms(sure, labels, dice=0.5)
    assert terms["ce"] == pytest.approx(0, abs=1e-6)
    assert terms["dice"] == pytest.approx(0, abs=1e-6)


def test_dice_of_only_wrong_predictions_is_one() -> None:
    labels = torch.ones(1, 4, 4, dtype=torch.uint8)
    logits = torch.tensor([100.0, -100.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    assert masked_dice(logits, labels) == pytest.approx(1)


def test_a_class_nobody_labelled_does_not_count_in_the_dice() -> None:
    logits, labels = case(2, (2, 4, 6, 6))
    labels[labels == 3] = UNKNOWN
    without = logits.detach().clone()
    expected = []
    for c in (1, 2):
        p, y = without.softmax(1)[:, c][labels != UNKNOWN], (labels == c)[labels != UNKNOWN]
        expected.append(float(1 - 2 * (p * y).sum() / (p.square().sum() + y.sum())))
    assert masked_dice(logits, labels).item() == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_with_shares_the_dice_of_each_class_counts_so_much() -> None:
    logits, labels = case(4, (2, 3, 6, 6))
    first, second = (masked_dice(logits, labels, share=torch.tensor(s)) for s in ([1.0, 1.0, 0.0], [1.0, 0.0, 1.0]))
    torch.testing.assert_close(first + second, masked_dice(logits, labels))
    both = masked_dice(logits, labels, share=torch.tensor([1.0, 0.25, 0.5]))
    torch.testing.assert_close(both, 0.25 * first + 0.5 * second)


def test_the_share_of_dice_weights_both_terms() -> None:
    logits, labels = case(3, (2, 3, 6, 6))
    terms = labelled_terms(logits, labels, dice=0.25)
    assert torch.equal(terms["ce"], 0.75 * masked_cross_entropy(logits, labels))
    assert torch.equal(terms["dice"], 0.25 * masked_dice(logits, labels))


@given(seeds, shapes)
@settings(max_examples=15, deadline=None)
def test_mse_without_mask_equals_torch(seed: int, shape: tuple[int, ...]) -> None:
    p, q = case(seed, shape)[0].softmax(1), case(seed + 1, shape)[0].softmax(1)
    torch.testing.assert_close(mse(p, q), nn.functional.mse_loss(p, q))


@given(seeds, shapes)
@settings(max_examples=15, deadline=None)
def test_mse_counts_only_the_mask(seed: int, shape: tuple[int, ...]) -> None:
    logits, labels = case(seed, shape, known=0.7)
    p, q, mask = logits.softmax(1), case(seed + 1, shape)[0].softmax(1), labels == UNKNOWN
    inside = (p - q).square().movedim(1, -1)[mask]
    torch.testing.assert_close(mse(p, q, mask), inside.mean() if len(inside) else torch.tensor(0.0))
    assert gradient(mse(p, q, mask), logits).movedim(1, -1)[~mask].count_nonzero() == 0


def test_mse_of_an_empty_mask_is_zero_with_zero_gradient() -> None:
    logits, _ = case(0, (2, 3, 4, 4))
    value = mse(logits.softmax(1), torch.full((2, 3, 4, 4), 1 / 3), torch.zeros(2, 4, 4, dtype=torch.bool))
    assert value == 0
    assert gradient(value, logits).count_nonzero() == 0


@pytest.mark.parametrize("name", ["masked_cross_entropy", "masked_dice"])
def test_labels_with_a_channel_axis_do_not_pass_the_stated_shapes(name: str) -> None:
    logits, labels = case(0, (2, 3, 4, 4))
    with pytest.raises(TypeCheckError):
        getattr(losses, name)(logits, labels[:, None])


def trust(labels: Tensor, seed: int = 0) -> Tensor:
    """A weight of 0, 1/3, 2/3 or 1 for each voxel."""
    return torch.randint(0, 4, labels.shape, generator=torch.Generator().manual_seed(seed)) / 3


@given(seeds, shapes)
@settings(max_examples=25, deadline=None)
def test_weighted_cross_entropy_equals_a_loop_over_the_labelled_voxels(seed: int, shape: tuple[int, ...]) -> None:
    logits, labels = case(seed, shape)
    weights, log_p = trust(labels, seed), logits.detach().log_softmax(1).movedim(1, -1)
    places = [tuple(i) for i in (labels != UNKNOWN).nonzero()]
    expected = sum(-float(weights[i] * log_p[i][int(labels[i])]) for i in places) / max(1, len(places))
    assert weighted_cross_entropy(logits, labels, weights).item() == pytest.approx(expected, rel=1e-5)


@given(seeds, shapes, st.floats(0.01, 1))
@settings(max_examples=15, deadline=None)
def test_equal_weights_scale_the_plain_cross_entropy(seed: int, shape: tuple[int, ...], weight: float) -> None:
    logits, labels = case(seed, shape)
    plain, weighted = (
        masked_cross_entropy(logits, labels),
        weighted_cross_entropy(logits, labels, torch.full(labels.shape, weight)),
    )
    torch.testing.assert_close(weighted, weight * plain)
    torch.testing.assert_close(gradient(weighted, logits), weight * gradient(plain, logits))


def test_voxels_without_weight_or_label_get_a_gradient_of_exactly_zero() -> None:
    logits, labels = case(0, (2, 3, 6, 6))
    weights = trust(labels)
    silent = (labels == UNKNOWN) | (weights == 0)
    there = gradient(weighted_cross_entropy(logits, labels, weights), logits).movedim(1, -1)
    assert there[silent].count_nonzero() == 0
    assert there[~silent].count_nonzero() == there[~silent].numel()


def test_no_weight_at_all_is_zero_with_zero_gradient() -> None:
    logits, labels = case(0, (2, 3, 6, 6))
    value = weighted_cross_entropy(logits, labels, torch.zeros(labels.shape))
    assert value == 0
    assert gradient(value, logits).count_nonzero() == 0


def test_weights_of_two_processes_make_the_mean_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = case(0, (2, 3, 6, 6))
    weights = trust(labels) * torch.tensor([1.0, 0.1]).view(2, 1, 1)
    whole = weighted_cross_entropy(logits, labels, weights)
    theirs: list[Tensor] = []
    monkeypatch.setattr(losses, "total", lambda x: theirs.append(x.detach()) or x)
    weighted_cross_entropy(logits[1:], labels[1:], weights[1:])
    sums = iter(theirs)
    monkeypatch.setattr(losses, "total", lambda x: x + next(sums))
    mine = weighted_cross_entropy(logits[:1], labels[:1], weights[:1])
    torch.testing.assert_close(mine, whole)
    torch.testing.assert_close(gradient(mine, logits)[0], gradient(whole, logits)[0])


@given(seeds, shapes, st.floats(0.2, 5))
@settings(max_examples=25, deadline=None)
def test_clipped_logits_keep_their_direction_and_are_no_longer_than_tau(
    seed: int, shape: tuple[int, ...], tau: float
) -> None:
    z = case(seed, shape)[0].detach().double().movedim(1, -1)
    clipped = clip_logits(z.movedim(-1, 1), tau).movedim(1, -1)
    for before, after in zip(z.reshape(-1, shape[1]), clipped.reshape(-1, shape[1]), strict=True):
        length = math.sqrt(float((before**2).sum()))
        expected = before if length <= tau else tau * before / length
        torch.testing.assert_close(after, expected)


@pytest.mark.parametrize(("n_classes", "tau", "bound"), [(2, 1.0, 0.8044), (2, 3.0, 0.9858), (3, 1.0, 0.6299)])
def test_clipping_bounds_the_surest_probability_as_the_closed_form_says(n_classes: int, tau: float, bound: float):
    sure = torch.zeros(1, n_classes, 1)
    sure[:, 0] = 50.0 * (n_classes - 1)
    sure[:, 1:] = -50.0
    p = float(clip_logits(sure, tau).softmax(1)[0, 0])
    assert p == pytest.approx(bound, abs=1e-4)
    assert p == pytest.approx(1 / (1 + (n_classes - 1) * math.exp(-tau * math.sqrt(n_classes / (n_classes - 1)))))
    assert p >= float(clip_logits(1000 * torch.eye(n_classes)[None], tau).softmax(1).max()) - 1e-6


def test_the_cost_of_a_sure_and_right_clipped_voxel_is_0_218() -> None:
    clipped = clip_logits(torch.tensor([[[9.0], [-9.0]]]))
    assert float(masked_cross_entropy(clipped, torch.zeros(1, 1, dtype=torch.uint8))) == pytest.approx(0.218, abs=5e-4)


def test_clipping_has_the_gradient_of_its_formula_and_none_that_is_not_finite() -> None:
    z = torch.tensor([[0.0, 0.3, 2.0], [0.0, -0.4, 1.0]], dtype=torch.float64)[None].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: clip_logits(x, 1.0)[..., 1:], z)
    assert gradient(clip_logits(z).sum(), z)[0, :, 0].tolist() == [1, 1]
