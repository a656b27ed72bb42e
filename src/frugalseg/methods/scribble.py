"""Learning from strokes: two decoders on one encoder, whose mixed opinion is the label where nobody has drawn.

Source: Luo, Hu, Liao, Zhai, Song, Wang & Zhang, "Scribble-supervised medical image segmentation via dual-branch network
and dynamically mixed pseudo labels supervision" (DMPLS), MICCAI 2022, and its published script (WSL4MIS).

Idea: strokes say which class lies where, not where a class ends. Two decoders with other initial weights, one of them
on features with dropout, disagree there. The most probable class of their mix, in a proportion that is drawn anew for
each step, is the label of every pixel: it changes as long as the two disagree, so neither learns its own mistakes.

    paper        code                       meaning
    theta_e      main.encode                the encoder, shared
    theta_d1     main.decode                main decoder; what is handed out
    theta_d2     auxiliary.decode           auxiliary decoder, on feature maps with dropout of whole channels
    S            batch.label                strokes, 255 where nobody has looked
    y1, y2       z1, z2                     predictions (logits here)
    alpha        beta                       share of the main decoder in the mix, U(0, 1), new in every step
    PL           pseudo_label(...)          most probable class of the mix, no gradient
    lambda       settings.weight            0.5

Steps: 1 the encoder sees the batch once, both decoders read it; 2 on the strokes: cross-entropy, mean of both
decoders; 3 the pseudo-label of the batch; 4 everywhere: soft Dice loss of all classes with it, mean of both decoders.

We differ:
- where somebody has drawn, the pseudo-label is what was drawn. Among strokes that hardly matters; where a whole slice
  is drawn among strokes elsewhere the term is supervised Dice.
- every sample draws its own share of the mix and its own dropout, from its own seed. The script draws one number for
  the batch; ours is the same however a batch is divided among processes.
- a class that occurs nowhere in the pseudo-labels of a batch is left out of the mean of the Dice losses, where it
  would be the constant 1.
- samples on which nobody has drawn anything take part, in the paper there are none: their pseudo-labels count from
  `confidence` on (`unlabelled` false: never).
- `dice` above 0 adds the Dice loss of the other methods on the strokes; the paper has cross-entropy only.
- behind a stem (`unet-small`) the decoder also looks at the image itself, without dropout.

As in the script the main decoder alone predicts, and the auxiliary decoder's dropout never sleeps.
"""

from typing import cast

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor, nn

from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.errors import SettingsError
from frugalseg.learn.losses import labelled_terms, masked_dice
from frugalseg.learn.method import MakeNetwork
from frugalseg.learn.ramps import ramp_up
from frugalseg.settings import Settings
from frugalseg.specialist.architecture import EncoderDecoder


class ScribbleMethodSettings(Settings):
    """Options of `scribble`."""

    weight: float = Field(0.5, ge=0)  # of the pseudo-label's Dice when the ramp has ended; paper sec. 2.4
    ramp_steps: int = Field(0, ge=0)  # until it has its full weight; paper: 0, at once
    dropout: float = Field(0.5, ge=0, lt=1)  # share of channels that the auxiliary decoder does not see; paper sec. 3
    dice: float = Field(0, ge=0, le=1)  # share of Dice in the loss on strokes, the rest is cross-entropy; paper: 0
    unlabelled: bool = True  # samples without any stroke are given pseudo-labels too; ours
    confidence: float = Field(0.9, ge=0, le=1)  # least probability of a pseudo-label on such a sample; ours


class Scribble(nn.Module):
    """Two networks that share an encoder."""

    def __init__(self, make_network: MakeNetwork, settings: ScribbleMethodSettings) -> None:
        super().__init__()
        self.main, self.auxiliary = make_network(), make_network()
        if not isinstance(self.main, EncoderDecoder):
            raise SettingsError(
                f"method 'scribble' puts two decoders on one encoder, but {type(self.main).__name__} cannot be parted "
                "into encoder and decoder (encode, decode, share_encoder); choose another network in the plan, "
                "for example unet-small, or another method"
            )
        cast(EncoderDecoder, self.auxiliary).share_encoder(self.main)
        self.settings = settings

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Terms ``ce``, ``dice`` and ``pseudo`` of the main decoder, and of the auxiliary one (``_aux``)."""
        s = self.settings
        batch = batch if s.unlabelled else _only_labelled(batch)
        z1, z2 = self.logits(batch)  # B C *space
        label = pseudo_label(z1, z2, batch, confidence=s.confidence)
        weight = s.weight * ramp_up(step, s.ramp_steps)
        terms = {}
        for name, z in (("", z1), ("_aux", z2)):
            for kind, term in labelled_terms(z, batch.label, s.dice).items():
                terms[kind + name] = term / 2
            terms["pseudo" + name] = weight * masked_dice(z, label, background=True) / 2
        return terms

    def logits(self, batch: Batch) -> tuple[Float[Tensor, "B C *space"], Float[Tensor, "B C *space"]]:
        """What the main decoder says and what the auxiliary one says of the same features with dropout."""
        main, auxiliary = cast(EncoderDecoder, self.main), cast(EncoderDecoder, self.auxiliary)
        maps = main.encode(batch.image)
        fewer = with_dropout(maps, self.settings.dropout, batch)
        return main.decode(maps, batch.image)[0], auxiliary.decode(fewer, batch.image)[0]

    def after(self, step: int) -> None:
        """Nothing follows."""

    @property
    def predictor(self) -> nn.Module:
        """The encoder with the main decoder."""
        return self.main


def with_dropout(maps: list[Tensor], share: float, batch: Batch) -> list[Tensor]:
    """The feature maps (B, F, *) with that share of channels at 0 and the rest scaled up, drawn sample by sample."""
    if share == 0:
        return maps
    generators = batch.generators("feature dropout")
    thinned = []
    for x in maps:
        kept = torch.stack([torch.rand(x.shape[1], generator=g) >= share for g in generators])  # B F
        scale = kept.to(x) / (1 - share)
        thinned.append(x * scale.view(*scale.shape, *[1] * (x.ndim - 2)))
    return thinned


@torch.no_grad()
def pseudo_label(
    z1: Float[Tensor, "B C *space"], z2: Float[Tensor, "B C *space"], batch: Batch, *, confidence: float
) -> UInt8[Tensor, "B *space"]:
    """What was drawn; elsewhere the most probable class (ties: the lowest) of a random mix of both predictions.

    Unknown where a sample without any stroke has a probability below `confidence`.
    """
    beta = torch.stack([torch.rand((), generator=g) for g in batch.generators("mix")]).to(z1)
    beta = beta.view(-1, *[1] * (z1.ndim - 1))
    p, label = (beta * z1.softmax(1) + (1 - beta) * z2.softmax(1)).max(1)  # B *space
    known = batch.label != UNKNOWN
    is_drawn = known.flatten(1).any(1).view(-1, *[1] * (known.ndim - 1))
    label = torch.where(is_drawn | (p >= confidence), label.to(batch.label.dtype), UNKNOWN)
    return torch.where(known, batch.label, label)


def _only_labelled(batch: Batch) -> Batch:
    n = batch.n_labelled
    return Batch(batch.image[:n], batch.label[:n], n, batch.cases[:n], batch.seeds[:n])
