"""Contrastive losses with an explicit set of positives: NT-Xent, and the group terms of CoreCLR.

A batch holds several views of each slice. Who is a positive of whom is said by a mask, and so is who is a negative:

    L       = mean over views i of the mean over j in P(i) of L(i, j)
    L(i, j) = -log( e^(s_ij/t) / ( e^(s_ij/t) + sum over k in N(i) of e^(s_ik/t) ) )

with s the cosine similarity and t the temperature. With P = the other view and N = all others this is NT-Xent (Chen et
al. 2020, SimCLR); with several positives it is the supervised contrastive loss (Khosla et al. 2020) whose other
positives are left out of the denominator, as in "Integrating Deep Metric Learning with Coreset for Active Learning in
3D Segmentation" (group terms).

We differ from that paper's code, whose mask of positives is all-true whatever the group: ours is the mask.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

NOBODY = -1e9
"""Similarity of who is no negative: nothing is left of it in a sum of exponentials, and its gradient is 0."""


@dataclass(frozen=True, eq=False)
class Kin:
    """What each view of a batch shows: equal numbers are the same sample, volume or patient.

    `index` is the place of the slice in its volume.
    """

    sample: Int[Tensor, " B"]
    index: Int[Tensor, " B"]
    volume: Int[Tensor, " B"]
    patient: Int[Tensor, " B"]

    def twins(self) -> Bool[Tensor, "B B"]:
        """The other views of the same sample."""
        return _same(self.sample) & ~self._itself()

    def slice_mates(self) -> Bool[Tensor, "B B"]:
        """Twins, and views of the slices before and behind in the same volume."""
        beside = (self.index[:, None] - self.index[None, :]).abs() <= 1
        return _same(self.volume) & beside & ~self._itself()

    def volume_mates(self) -> Bool[Tensor, "B B"]:
        """All other views of the same volume."""
        return _same(self.volume) & ~self._itself()

    def patient_mates(self) -> Bool[Tensor, "B B"]:
        """All other views of the same patient."""
        return _same(self.patient) & ~self._itself()

    def strangers(self) -> Bool[Tensor, "B B"]:
        """The views of other patients."""
        return ~_same(self.patient)

    def others(self) -> Bool[Tensor, "B B"]:
        """The views of other samples."""
        return ~_same(self.sample)

    def _itself(self) -> Bool[Tensor, "B B"]:
        return torch.eye(len(self.sample), dtype=torch.bool, device=self.sample.device)


def contrast(
    z: Float[Tensor, "B D"],
    positives: Bool[Tensor, "B B"],
    negatives: Bool[Tensor, "B B"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """The loss above of embeddings of any length; a mean over the views that have a positive, 0 if none has.

    A view without negatives counts with its smallest value, 0. Views are counted in this process only.
    """
    unit = F.normalize(z.float(), dim=1)
    s = unit @ unit.T / temperature  # B B
    against = s.masked_fill(~negatives, NOBODY).logsumexp(1)
    terms = F.softplus(against[:, None] - s)  # -log(e^s_ij / (e^s_ij + e^against_i))
    n = positives.sum(1)
    per_view = (terms * positives).sum(1) / n.clamp(min=1)
    return per_view.sum() / (n > 0).sum().clamp(min=1)


def nt_xent(z: Float[Tensor, "B D"], kin: Kin, *, temperature: float) -> Float[Tensor, ""]:
    """SimCLR's loss: the twin against all other samples of the batch, relatives too."""
    return contrast(z, kin.twins(), kin.others(), temperature=temperature)


def _same(x: Int[Tensor, " B"]) -> Bool[Tensor, "B B"]:
    return x[:, None] == x[None, :]
