"""Losses that know where nobody has looked, and how far a label is to be trusted.

All losses are ratios of two sums over the whole batch *of all processes* (`processes.total`), so a batch that is
divided among processes, with very different numbers of known voxels in each, gives the loss and the gradient of one
process. Unknown voxels get a gradient of exactly zero.
"""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from frugalseg.data.label import UNKNOWN
from frugalseg.learn.processes import total


def masked_cross_entropy(logits: Float[Tensor, "B C *space"], labels: UInt8[Tensor, "B *space"]) -> Float[Tensor, ""]:
    """Cross-entropy, mean over the labelled voxels of all processes; 0 with zero gradient when there is none."""
    summed = nn.functional.cross_entropy(logits, labels.long(), ignore_index=UNKNOWN, reduction="sum")
    return total(summed) / total((labels != UNKNOWN).sum()).clamp(min=1)


def weighted_cross_entropy(
    logits: Float[Tensor, "B C *space"], labels: UInt8[Tensor, "B *space"], weights: Float[Tensor, "B *space"]
) -> Float[Tensor, ""]:
    """Cross-entropy times a weight in [0, 1], mean over the labelled voxels of all processes.

    Weights say how far a label is to be trusted, for example the share of views that agree on it; labels of little
    trust make a small loss. Unknown voxels count nothing whatever their weight; 0 with zero gradient without any label.
    """
    per_voxel = nn.functional.cross_entropy(logits.float(), labels.long(), ignore_index=UNKNOWN, reduction="none")
    known = labels != UNKNOWN
    return total((weights.detach() * known * per_voxel).sum()) / total(known.sum()).clamp(min=1)


def clip_logits(logits: Float[Tensor, "B C *space"], tau: float = 1.0) -> Float[Tensor, "B C *space"]:
    """Logits whose norm over the classes is at most tau > 0: tau z / ||z|| where ||z|| > tau, unchanged elsewhere.

    This bounds what a wrong label can cost and teach: with C classes no probability exceeds
    1 / (1 + (C - 1) exp(-tau sqrt(C / (C - 1)))), which is 0.804 for two classes and tau = 1.

    Source: LogitClip (Wei et al., Mitigating memorization of noisy labels by clipping the model predictions, ICML
    2023). GM-ABS has 1 / tau in the place of tau, which is the same at its only value 1.
    """
    norm: Tensor = torch.linalg.vector_norm(logits, dim=1, keepdim=True)
    return logits / (norm.clamp(min=tau) / tau)


def masked_dice(
    logits: Float[Tensor, "B C *space"],
    labels: UInt8[Tensor, "B *space"],
    weights: Float[Tensor, "B *space"] | None = None,
    *,
    background: bool = False,
    share: Float[Tensor, " C"] | None = None,
) -> Float[Tensor, ""]:
    """Soft Dice loss over the labelled voxels, in [0, 1]; 0 with zero gradient when no foreground is labelled.

    1 - 2 sum(p y) / (sum(p^2) + sum(y^2)), the squared form of V-Net (Milletari et al. 2016). The sums run over the
    batch and all processes: three planes of one patch are too little for a Dice of their own. It is averaged over
    the foreground classes that occur among the labelled voxels. A class that does not occur there would add the
    constant 1 whatever the prediction; that it must not be predicted there is left to the cross-entropy.
    With `background` the background is one class more. With `weights` each voxel counts so much in all sums, which
    says nothing of how much a class counts: with `share` its loss does so much.
    """
    p = logits.float().softmax(1)
    y = _one_hot(labels, logits.shape[1])
    known = (labels != UNKNOWN)[:, None]
    if weights is not None:
        w = weights.detach()[:, None]
        y, known = w * y, w * known
    overlap = total(_per_class(p * y))  # C
    sizes = total(_per_class(p.square() * known) + _per_class(y))  # C; y^2 = y
    present = total(_per_class(y)) > 0
    present[0] &= background
    loss = (1 - 2 * overlap / sizes.clamp(min=1e-5)) * present
    return (loss if share is None else share * loss).sum() / present.sum().clamp(min=1)


def labelled_terms(
    logits: Float[Tensor, "B C *space"], labels: UInt8[Tensor, "B *space"], dice: float
) -> dict[str, Tensor]:
    """The two terms ``ce`` and ``dice`` of what somebody drew, weighted 1 - `dice` and `dice`."""
    return {"ce": (1 - dice) * masked_cross_entropy(logits, labels), "dice": dice * masked_dice(logits, labels)}


def mse(
    p: Float[Tensor, "B C *space"], q: Float[Tensor, "B C *space"], mask: Bool[Tensor, "B *space"] | None = None
) -> Float[Tensor, ""]:
    """Squared difference of two probability maps, mean over classes and over the voxels of the mask (all without one).

    0 with zero gradient when the mask is empty everywhere.
    """
    error = (p - q).square().mean(1)  # B *space
    if mask is None:
        return total(error.sum()) / total(error.new_tensor(error.numel()))
    return total((error * mask).sum()) / total(mask.sum()).clamp(min=1)


def _one_hot(labels: UInt8[Tensor, "B *space"], classes: int) -> Bool[Tensor, "B C *space"]:
    """True where a voxel is labelled with the class; false for every class where it is unknown."""
    numbers = torch.arange(classes, dtype=labels.dtype, device=labels.device).view(1, -1, *[1] * (labels.ndim - 1))
    return labels[:, None] == numbers


def _per_class(x: Tensor) -> Float[Tensor, " C"]:
    """Sums over the batch and space."""
    return x.sum(dim=(0, *range(2, x.ndim))).float()
