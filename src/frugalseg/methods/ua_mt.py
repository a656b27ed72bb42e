"""UA-MT, the uncertainty-aware mean teacher: the student follows the teacher only where the teacher is sure.

Source: Yu, Wang, Li, Fu & Heng, "Uncertainty-aware self-ensembling model for semi-supervised 3D left atrium
segmentation", MICCAI 2019, and its published script.

Idea: a mean teacher is wrong in places and says so when it is asked several times. Eight passes with other noise and
other dropout give a mean prediction; its entropy is the uncertainty. Consistency counts where it lies below a
threshold, which rises until nearly every voxel takes part.

    paper        code                       meaning
    theta        student                    the network that is trained
    theta'       teacher                    exponential moving average of the student (alpha: settings.decay)
    xi, xi'      noise, dropout             perturbations; noise is clip(0.1 N(0, 1), -0.2, 0.2)
    T            settings.passes            stochastic passes of the teacher
    mu_c         mean                       mean probability of class c over the passes
    u            uncertainty(batch)         -sum_c mu_c log mu_c, in [0, ln C]
    H            threshold(step, classes)   (3/4 + 1/4 ramp) ln C
    lambda(t)    weight                     0.1 exp(-5 (1 - t/T)^2)

Steps: 1 the student predicts the batch; 2 the teacher predicts it once with noise: the target; 3 the teacher predicts
it T times with noise and dropout: the uncertainty; 4 labelled voxels: cross-entropy and Dice; 5 voxels without a label
and with u < H: squared difference of probabilities, divided by how many there are; 6 the teacher follows.

We differ:
- any number of classes: the threshold is a share of ln C (the paper has two classes and writes ln 2).
- consistency holds on every voxel without a label of the whole batch, see `mean_teacher.py`.
- the teacher is in evaluation mode (the target has no dropout, batch-norm statistics are the student's); only the
  passes for the uncertainty wake its dropout layers. In a network without dropout the noise alone makes the passes
  differ, so the uncertainty is then mostly the entropy of the teacher's own prediction.
- both ramps have `ramp_steps`; the script spreads both over its 6000 iterations.

As in the script the student is handed out.
"""

import math

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.learn.losses import labelled_terms, mse
from frugalseg.learn.method import MakeNetwork
from frugalseg.learn.ramps import ramp_up
from frugalseg.learn.teacher import Teacher
from frugalseg.settings import Settings


class UaMtSettings(Settings):
    """Options of `ua-mt`."""

    dice: float = Field(0.5, ge=0, le=1)  # share of Dice in the loss on labels, the rest is cross-entropy; script
    weight: float = Field(0.1, ge=0)  # of the consistency when the ramp has ended; script
    ramp_steps: int = Field(200, ge=0)  # of weight and threshold; ours, script: all 6000 steps
    decay: float = Field(0.99, ge=0, lt=1)  # the teacher's memory; paper sec. 3
    noise: float = Field(0.1, ge=0)  # standard deviation, in those of the normalised image; script
    noise_clip: float = Field(0.2, ge=0)  # largest noise; script
    passes: int = Field(8, ge=1)  # T; paper sec. 3
    passes_at_once: int = Field(2, ge=1)  # in one forward call, bounds memory; script
    threshold_start: float = Field(
        0.75, gt=0, le=1
    )  # share of the largest entropy at step 0, rising to 1; paper sec. 3


class UaMt(nn.Module):
    """A student and a teacher that knows where it is unsure."""

    def __init__(self, make_network: MakeNetwork, settings: UaMtSettings) -> None:
        super().__init__()
        self.student = make_network()
        self.teacher = Teacher(self.student, settings.decay)
        self.settings = settings

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Terms ``ce``, ``dice`` and ``consistency``."""
        s = self.settings
        z = self.student(batch.image)  # B C *space
        q = self.teacher(self._noisy(batch, "teacher")).softmax(1)
        sure = self.uncertainty(batch) < self.threshold(step, classes=z.shape[1])
        weight = s.weight * ramp_up(step, s.ramp_steps)
        return {
            **labelled_terms(z, batch.label, s.dice),
            "consistency": weight * mse(z.softmax(1), q, sure & (batch.label == UNKNOWN)),
        }

    @torch.no_grad()
    def uncertainty(self, batch: Batch) -> Float[Tensor, "B *space"]:
        """Entropy of the mean of T stochastic predictions of the teacher, in nats."""
        s = self.settings
        probabilities: list[Tensor] = []
        for first in range(0, s.passes, s.passes_at_once):
            passes = range(first, min(first + s.passes_at_once, s.passes))
            p = self.teacher.sample(torch.cat([self._noisy(batch, f"pass {t}") for t in passes])).softmax(1)
            probabilities += p.chunk(len(passes))  # each B C *space
        mean = torch.stack(probabilities).mean(0)
        entropy: Tensor = torch.special.entr(mean).sum(1)
        return entropy

    def threshold(self, step: int, *, classes: int) -> float:
        """The largest uncertainty with which a voxel takes part, in nats."""
        start = self.settings.threshold_start
        return (start + (1 - start) * ramp_up(step, self.settings.ramp_steps)) * math.log(classes)

    def after(self, step: int) -> None:
        """Lets the teacher follow the student."""
        self.teacher.follow(self.student, step)

    @property
    def predictor(self) -> nn.Module:
        """The student."""
        return self.student

    def _noisy(self, batch: Batch, purpose: str) -> Tensor:
        s = self.settings
        return batch.noisy(purpose, std=s.noise, clip=s.noise_clip)
