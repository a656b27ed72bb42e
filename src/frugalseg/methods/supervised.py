"""Supervised: learns from what somebody drew and from nothing else. The floor of every comparison.

Idea: cross-entropy and soft Dice on the labelled voxels of the labelled cases; unknown voxels teach nothing.
With dense labels of all cases the same method is the upper bound.

    paper   code                          meaning
    f       network                       the specialist
    x, y    batch.image, batch.label      image; labels, 255 where nobody has looked
    z       z                             logits

Steps: 1 predict the labelled samples; 2 compare with the labels where there are some.

We differ from the LA family's supervised-only script (0.5 CE + 0.5 Dice on two classes, Yu et al. 2019):
any number of classes; the Dice is averaged over the foreground classes that were labelled in the batch.
"""

from pydantic import Field
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.learn.losses import labelled_terms
from frugalseg.learn.method import MakeNetwork
from frugalseg.settings import Settings


class SupervisedSettings(Settings):
    """Options of `supervised`."""

    dice: float = Field(0.5, ge=0, le=1)  # share of Dice in the loss, the rest is cross-entropy; LA family


class Supervised(nn.Module):
    """One network, labels only."""

    def __init__(self, make_network: MakeNetwork, settings: SupervisedSettings) -> None:
        super().__init__()
        self.network = make_network()
        self.settings = settings

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Terms ``ce`` and ``dice``. Unlabelled samples are not looked at."""
        z = self.network(batch.image[: batch.n_labelled])  # B C *space
        return labelled_terms(z, batch.label[: batch.n_labelled], self.settings.dice)

    def after(self, step: int) -> None:
        """Nothing follows."""

    @property
    def predictor(self) -> nn.Module:
        """The network."""
        return self.network
