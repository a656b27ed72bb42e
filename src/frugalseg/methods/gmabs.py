"""GM-ABS: a mean teacher that also learns from what a frozen generalist says when the teacher prompts it.

Source: Xu, Chen, Lu, Sun, Wei, Zheng, Li & Tong, "GM-ABS: promptable generalist model drives active barely supervised
training in specialist model for 3D medical image segmentation", IEEE TMI 2025 (FM-ABS, MICCAI 2024), after its code.

Idea: three planes of a few scans teach a specialist roughly where things are. That is enough to prompt a generalist,
which knows better where things end. Its labels of all scans are noisy, so what the specialist confidently contradicts
is corrected, what a wrong label can teach is bounded, and the labels count less and less.

    paper, code    code                          meaning
    f_s, f_t       student, teacher              the network that is trained and its moving average
    L_sup          ce, dice                      on what experts drew
    L_con          consistency                   of the student with the teacher's answers to two perturbations
    u + n          batch.noisy(...)              clip(0.1 N(0, 1), -0.2, 0.2)
    g(u)           random_gamma(batch, ...)      sign(u) |u|^gamma, log gamma in [-0.3, 0.3], one number a sample
    L_sam          generalist                    with the generalist's labels, all samples, by trust
    y'             with_issues_corrected         confident learning: what the teacher contradicts is corrected
    tau            settings.clip                 logits longer than this are shortened to it, in the cross-entropy
    w_sam(t)       settings.label_weight, falls  0.5 (1 - 0.9 ramp(t, T))
    lambda(t)      settings.weight, consistency  0.1 ramp

The labels come with the batch (`Batch.pseudo`); when they are made anew is said by `refreshes`, how by
`settings.labels` (prompts, views, fusion, see `prompt.pseudo_labels`), `settings.guard` says how far each class of them
is to be trusted (`prompt.guard`), and `settings.company` beside what (`prompt.company`). `generalist_labels.py`
does it between two steps of the training.

We differ:
- expert labels: cross-entropy of each sample on its own planes, and Dice. The script's masks broadcast over the batch,
  so that one in eight of its targets is a wrong background; its Dice is switched off (`dice=0`). The cross-entropy is
  the mean over all known voxels of the batch, not over its samples.
- consistency holds on every voxel nobody has drawn, see `mean_teacher.py`; the student sees the image itself. The
  script changes the student's image too, in place.
- on the generalist's labels half of the loss is Dice, of logits that are not clipped (`label_dice=0`: the script).
  Clipped cross-entropy alone hardly moves a network that is sure of itself. It is the mean over the voxels that the
  labels speak of; the script divides by all of them.
- consistency is the squared error only; the script knows the absolute one too.
- the expert's planes have a share of one half in the prototypes (`prototypes.expert_share=0`: the script).
- a box is pushed in the same way each time a slice is asked about (`prompts.rule=published`); the script draws anew.
- a generalist that offers several masks for a box gives one; the script takes three and the best by their own scores.
  Slices are stretched between percentiles 0.5 and 99.5, in the script between minimum and maximum.
- the teacher predicts with windows that overlap by half; the script's lie 64 voxels apart.
- the generalist is asked about voxels that no expert has drawn only; on the others the expert's labels teach.
- labels are judged by the teacher's mean answer, not by the student's with its dropout; an issue gets the class that
  the teacher is confident in, which for two classes is the script's flip, and keeps its trust.
- a voxel counts as much as its views agree and its class is trusted; voxels of which no view speaks do not count, and
  classes that are not trusted at all are a part of what the generalist calls background.
- a class that is never said without another one where experts have drawn is believed only near that one, as near as
  experts have drawn it (`company: null`: everywhere, the script).
- any number of classes.
- schedules: "paper" has its numbers; "quick" makes labels at 0.3, 0.5 and 0.7 of a training of any length, its
  consistency ramps up as that of `mean-teacher` does, within 200 steps, and its teacher remembers at most a tenth of
  the steps so far: with the script's memory the teacher that prompts at step 90 of 300 is the mean of all it has been.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor, nn

from frugalseg.data.batch import TRUST, Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import SettingsError
from frugalseg.generalists.cache import CacheSettings
from frugalseg.learn.confident import with_issues_corrected
from frugalseg.learn.losses import clip_logits, labelled_terms, masked_dice, mse, weighted_cross_entropy
from frugalseg.learn.method import MakeNetwork
from frugalseg.learn.ramps import ramp_up
from frugalseg.learn.teacher import Teacher
from frugalseg.prompt.company import CompanySettings
from frugalseg.prompt.guard import GuardSettings
from frugalseg.prompt.prototypes import PrototypeSettings
from frugalseg.prompt.pseudo_labels import PseudoLabelSettings
from frugalseg.settings import Settings

MOST_CLASSES = 256
"""Classes a label can have."""

IMPOSSIBLE = -1e4
"""The logit of a class that has become part of the background."""


class GmAbsSettings(Settings):
    """Options of `gmabs`. Without a part it is: 'generalist: null' a mean teacher, 'denoise: false' and so on."""

    steps: int = Field(1000, ge=1)  # of the whole training, which the schedule divides; `train` gives its own
    schedule: Literal["quick", "paper"] = "quick"  # when labels are made, how the consistency grows
    dice: float = Field(0.5, ge=0, le=1)  # share of Dice in the loss on expert labels; the script: 0
    weight: float = Field(0.1, ge=0)  # of the consistency when the ramp has ended; script
    decay: float = Field(0.99, ge=0, lt=1)  # the teacher's memory; script
    noise: float = Field(0.1, ge=0)  # standard deviation, in those of the normalised image; script
    noise_clip: float = Field(0.2, ge=0)  # largest noise; script
    gamma: float = Field(0.3, ge=0)  # largest logarithm of the random exponent; script
    generalist: str | None = "lite-medsam"  # whose labels teach, a name of `models list`; script: mobile-sam
    label_weight: float = Field(0.5, ge=0)  # of the generalist's labels at the start; script
    label_dice: float = Field(0.5, ge=0, le=1)  # share of Dice in the loss on them; the script: 0
    falling: bool = True  # their weight falls to a tenth of that; script
    denoise: bool = True  # confident learning on them; script
    clip: float | None = Field(1.0, gt=0)  # tau of their logits, null: none; script
    embeddings: CacheSettings = CacheSettings()  # what of the encoder's work is kept between refreshes; ours
    labels: PseudoLabelSettings = PseudoLabelSettings()
    prototypes: PrototypeSettings = PrototypeSettings()
    guard: GuardSettings | None = GuardSettings()  # null: every class is trusted; script
    company: CompanySettings | None = CompanySettings()  # null: classes are believed alone too; script


@dataclass(frozen=True)
class Schedule:
    """What depends on the step: steps before which labels are made, of a training of so many; share of consistency;
    the part of the steps so far that the teacher remembers at most.
    """

    refreshes: Callable[[int], tuple[int, ...]]
    consistency: Callable[[int], float]
    memory: float


SCHEDULES: Mapping[str, Schedule] = {
    "quick": Schedule(
        lambda steps: tuple(sorted({math.ceil(share * steps) for share in (0.3, 0.5, 0.7)})),
        lambda step: ramp_up(step, 200),
        memory=0.1,
    ),
    "paper": Schedule(
        lambda steps: tuple(range(600, math.ceil(0.8 * steps), 600)),
        lambda step: ramp_up(step // 150, 40),
        memory=1.0,
    ),
}


def refreshes(settings: GmAbsSettings) -> tuple[int, ...]:
    """The steps before which the generalist labels the scans anew.

    Raises `SettingsError` when labels are wanted and the training is too short for the schedule to make any.
    """
    if settings.generalist is None or settings.label_weight == 0:
        return ()
    found = [step for step in SCHEDULES[settings.schedule].refreshes(settings.steps) if 0 < step < settings.steps]
    if not found:
        raise SettingsError(
            f"gmabs: in {settings.steps} steps the schedule {settings.schedule!r} makes no labels; train longer,"
            + " choose the schedule 'quick'," * (settings.schedule != "quick")
            + " or set generalist to null"
        )
    return tuple(found)


class GmAbs(nn.Module):
    """A student, its teacher, and the labels that a generalist gives on the teacher's prompts."""

    trusted: Tensor  # (MOST_CLASSES,) how far the generalist is trusted with each class

    def __init__(self, make_network: MakeNetwork, settings: GmAbsSettings) -> None:
        super().__init__()
        self.student = make_network()
        self.teacher = Teacher(self.student, settings.decay, share=SCHEDULES[settings.schedule].memory)
        self.settings = settings
        self.register_buffer("trusted", torch.ones(MOST_CLASSES))

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Terms ``ce``, ``dice``, ``consistency`` and ``generalist``; the last is 0 until there are labels."""
        s = self.settings
        z = self.student(batch.image)  # B C *space
        noisy = batch.noisy("teacher", std=s.noise, clip=s.noise_clip)
        answers = [self.teacher(x).softmax(1) for x in (noisy, random_gamma(batch, s.gamma))]
        weight = s.weight * SCHEDULES[s.schedule].consistency(step)
        consistency = torch.stack([mse(z.softmax(1), q, batch.label == UNKNOWN) for q in answers]).mean()
        return {
            **labelled_terms(z, batch.label, s.dice),
            "consistency": weight * consistency,
            "generalist": self._label_weight(step) * self._generalist(z, torch.stack(answers).mean(0), batch),
        }

    def _generalist(self, z: Tensor, q: Tensor, batch: Batch) -> Tensor:
        """The loss with the generalist's labels; the teacher's probabilities q say which of them are wrong."""
        if batch.pseudo is None:
            return z.new_zeros(())
        labels = batch.pseudo[:, 0].masked_fill(batch.label != UNKNOWN, UNKNOWN)
        trust = batch.pseudo[:, 1].float() / TRUST
        clipped = z if self.settings.clip is None else clip_logits(z, self.settings.clip)
        trusted = self.trusted[: z.shape[1]]
        labels, z, clipped, q = as_background(labels, trusted == 0, z, clipped, q.log())
        if self.settings.denoise:
            labels = with_issues_corrected(labels, q.exp())
        share, dice = self.settings.label_dice, masked_dice(z, labels, trust, share=trusted)
        return (1 - share) * weighted_cross_entropy(clipped, labels, trust) + share * dice

    @torch.no_grad()
    def trust(self, weights: Sequence[float]) -> None:
        """Takes what a guard thinks of each class, background first: one of weight 0 is as good as background.

        The Dice on labels of a class counts so much; their cross-entropy does by the trust that comes with the batch.
        """
        self.trusted.fill_(1)
        self.trusted[: len(weights)] = torch.tensor(weights)

    def _label_weight(self, step: int) -> float:
        s = self.settings
        return s.label_weight * (1 - 0.9 * ramp_up(step, s.steps) if s.falling else 1)

    def after(self, step: int) -> None:
        """Lets the teacher follow the student."""
        self.teacher.follow(self.student, step)

    @property
    def predictor(self) -> nn.Module:
        """The student."""
        return self.student


def as_background(
    labels: UInt8[Tensor, "B *space"], is_open: Tensor, *logits: Float[Tensor, "B C *space"]
) -> tuple[Tensor, ...]:
    """Labels, and then each of the logits, in which the open classes (C,) are a part of the background.

    A generalist that is not trusted with a class says nothing of it: what it calls background may be that class. Its
    logit becomes that of the sum of their probabilities (the marginal loss of Shi et al., "Marginal loss and exclusion
    loss for partially supervised multi-organ segmentation", Medical Image Analysis 2021).
    """
    if not bool(is_open.any()):
        return labels, *logits
    is_part = is_open.clone()
    is_part[0] = True
    shape = (1, -1, *[1] * (labels.ndim - 1))

    def merged(x: Tensor) -> Tensor:
        together = x.masked_fill(~is_part.view(shape), -torch.inf).logsumexp(1, keepdim=True)
        return torch.cat([together, x[:, 1:].masked_fill(is_open[1:].view(shape), IMPOSSIBLE)], 1)

    numbers = is_open.nonzero().flatten().to(labels)
    return torch.where(torch.isin(labels, numbers), labels.new_zeros(()), labels), *map(merged, logits)


def random_gamma(batch: Batch, limit: float) -> Float[Tensor, "B K *space"]:
    """The image with each value's size raised to a random power, one a sample; its sign stays."""
    logs = torch.stack([limit * (2 * torch.rand((), generator=g) - 1) for g in batch.generators("gamma")])
    exponent = logs.exp().to(batch.image).view(-1, *[1] * (batch.image.ndim - 1))
    return batch.image.sign() * batch.image.abs().pow(exponent)
