"""CPS, cross pseudo supervision: two networks teach each other with their hard predictions.

Source: Chen, Yuan, Zeng & Wang, "Semi-supervised semantic segmentation with cross pseudo supervision", CVPR 2021.

Idea: two networks of one architecture that start from different weights err in different places. Each takes the
other's most probable class as the label where nobody has looked. That pulls the two together, and since labels are
hard it pushes predictions away from the decision boundary.

    paper        code                       meaning
    f(theta_1)   first                      the network that is handed out
    f(theta_2)   second                     the same architecture, other initial weights
    X, Y*        batch.image, batch.label   image; labels, 255 where nobody has looked
    P_1, P_2     z1, z2                     predictions (logits here)
    Y_1, Y_2     pseudo_label(z1, ...)      most probable class, no gradient
    lambda       weight                     0.1 exp(-5 (1 - t/T)^2)

Steps: 1 both networks predict the batch; 2 labelled voxels: cross-entropy and Dice for both; 3 voxels without a
label: cross-entropy of each with the pseudo-labels of the other.

We differ:
- pseudo-labels are given to the voxels without a label only, in every sample; where somebody drew, the truth is known.
  The paper applies the cross term to labelled and unlabelled images as a whole.
- the weight has the size and the ramp of the mean-teacher family, as is usual for CPS on volumes; the paper has a
  constant weight on natural images (set `ramp_steps` 0).
- Dice beside cross-entropy on the labels, as in the other methods here; the paper has cross-entropy only (`dice` 0).

As in the paper the first network alone predicts.
"""

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.learn.losses import labelled_terms, masked_cross_entropy
from frugalseg.learn.method import MakeNetwork
from frugalseg.learn.ramps import ramp_up
from frugalseg.settings import Settings


class CpsSettings(Settings):
    """Options of `cps`."""

    dice: float = Field(0.5, ge=0, le=1)  # share of Dice in the loss on labels, the rest is cross-entropy; LA family
    weight: float = Field(0.1, ge=0)  # of the cross terms when the ramp has ended; LA family
    ramp_steps: int = Field(200, ge=0)  # until the cross terms have their full weight; ours


class Cps(nn.Module):
    """Two networks, each the other's annotator."""

    def __init__(self, make_network: MakeNetwork, settings: CpsSettings) -> None:
        super().__init__()
        self.first = make_network()
        self.second = make_network()
        self.settings = settings

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Terms ``ce``, ``dice`` and ``cross`` of either network (``_1``, ``_2``)."""
        s = self.settings
        z1, z2 = self.first(batch.image), self.second(batch.image)  # B C *space
        weight = s.weight * ramp_up(step, s.ramp_steps)
        terms = {
            "cross_1": weight * masked_cross_entropy(z1, pseudo_label(z2, batch.label)),
            "cross_2": weight * masked_cross_entropy(z2, pseudo_label(z1, batch.label)),
        }
        for number, z in (("1", z1), ("2", z2)):
            for name, term in labelled_terms(z, batch.label, s.dice).items():
                terms[f"{name}_{number}"] = term
        return terms

    def after(self, step: int) -> None:
        """Nothing follows."""

    @property
    def predictor(self) -> nn.Module:
        """The first network."""
        return self.first


def pseudo_label(z: Float[Tensor, "B C *space"], labels: UInt8[Tensor, "B *space"]) -> UInt8[Tensor, "B *space"]:
    """The most probable class (ties: the lowest) where nobody has looked, unknown where somebody has."""
    return torch.where(labels == UNKNOWN, z.detach().argmax(1).to(labels.dtype), UNKNOWN)
