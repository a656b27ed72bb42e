"""Mean teacher: the student must agree with a slow copy of itself that sees the image through noise.

Source: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017; for volumes as in the scripts of the
left-atrium (LA) family (Yu et al., UA-MT, MICCAI 2019, and its successors).

Idea: wherever nobody has looked, the teacher's answer is the target. The teacher is an average of the student over
many steps, so it is better than the student at any one step, and its noise makes the student insensitive to noise.

    paper        code                       meaning
    f(theta)     student                    the network that is trained
    f(theta')    teacher                    exponential moving average of the student
    alpha        settings.decay             the teacher's memory
    x, y         batch.image, batch.label   image; labels, 255 where nobody has looked
    eta          batch.noisy(...)           clip(0.1 N(0, 1), -0.2, 0.2), added to the teacher's input
    p, q         z.softmax(1), q            probabilities of student and teacher
    w(t)         weight                     0.1 exp(-5 (1 - t/T)^2)

Steps: 1 the student predicts the batch; 2 the teacher predicts the batch with noise; 3 labelled voxels: cross-entropy
and Dice; 4 all other voxels: (p - q)^2; 5 the teacher follows the student.

We differ:
- consistency holds on every voxel without a label of the whole batch. The scripts take the unlabelled half of the
  batch only, but a case of which three planes were drawn is itself unlabelled by more than nine tenths.
- the teacher is in evaluation mode and takes over the student's batch-norm statistics. The scripts leave it in
  training mode, where it gathers statistics of its own noisy inputs.
- the ramp has its own length in steps. The scripts spread it over their 6000 iterations (set `ramp_steps` so).

As in the scripts the student is handed out. The paper prefers the teacher, but in a run of a few hundred steps an
average over the last hundred lags behind.
"""

from pydantic import Field
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.learn.losses import labelled_terms, mse
from frugalseg.learn.method import MakeNetwork
from frugalseg.learn.ramps import ramp_up
from frugalseg.learn.teacher import Teacher
from frugalseg.settings import Settings


class MeanTeacherSettings(Settings):
    """Options of `mean-teacher`."""

    dice: float = Field(0.5, ge=0, le=1)  # share of Dice in the loss on labels, the rest is cross-entropy; LA family
    weight: float = Field(0.1, ge=0)  # of the consistency when the ramp has ended; LA family
    ramp_steps: int = Field(200, ge=0)  # until the consistency has its full weight; ours, LA family: all 6000 steps
    decay: float = Field(0.99, ge=0, lt=1)  # the teacher's memory; LA family
    noise: float = Field(0.1, ge=0)  # standard deviation, in those of the normalised image; LA family
    noise_clip: float = Field(0.2, ge=0)  # largest noise; LA family


class MeanTeacher(nn.Module):
    """A student and its teacher."""

    def __init__(self, make_network: MakeNetwork, settings: MeanTeacherSettings) -> None:
        super().__init__()
        self.student = make_network()
        self.teacher = Teacher(self.student, settings.decay)
        self.settings = settings

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Terms ``ce``, ``dice`` and ``consistency``."""
        s = self.settings
        z = self.student(batch.image)  # B C *space
        q = self.teacher(batch.noisy("teacher", std=s.noise, clip=s.noise_clip)).softmax(1)
        weight = s.weight * ramp_up(step, s.ramp_steps)
        return {
            **labelled_terms(z, batch.label, s.dice),
            "consistency": weight * mse(z.softmax(1), q, batch.label == UNKNOWN),
        }

    def after(self, step: int) -> None:
        """Lets the teacher follow the student."""
        self.teacher.follow(self.student, step)

    @property
    def predictor(self) -> nn.Module:
        """The student."""
        return self.student
