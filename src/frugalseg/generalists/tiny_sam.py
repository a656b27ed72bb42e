"""LiteMedSAM and MobileSAM: a TinyViT in front of SAM's decoder.

LiteMedSAM: Ma et al., Segment anything in medical images (Nature Communications 2024), the project's lite model;
MobileSAM: Zhang et al. (2023).
"""

from collections.abc import Mapping

from torch import Tensor

from frugalseg.errors import DataError
from frugalseg.generalists.generalist import GeneralistInfo, Side
from frugalseg.generalists.sam import Intake, SamGeneralist, spread, standard
from frugalseg.generalists.sam_decoder import SamDecoder, decoder_state
from frugalseg.generalists.tinyvit import TinyViT, fused

LITE_MEDSAM = Intake((64, 128, 256), spread)
MOBILE_SAM = Intake((1024,), standard)

LEFT_OVER = ("image_encoder.norm_head.", "image_encoder.head.")
"""Parts of MobileSAM's file that classified images and that nothing uses any more."""


def lite_medsam(state: Mapping[str, Tensor], info: GeneralistInfo, *, input_size: Side = "auto") -> SamGeneralist:
    """LiteMedSAM from its published state; input sides 64, 128, 256 ("auto" takes what the picture needs)."""
    if input_size != "auto" and input_size not in LITE_MEDSAM.sides:
        raise DataError(f"{info.name} takes input_size 'auto', 64, 128 or 256, not {input_size!r}")
    encoder, decoder = tiny_parts(state, info.name, stem_stride=1)
    return SamGeneralist(info, encoder, decoder, LITE_MEDSAM, input_size=input_size)


def mobile_sam(state: Mapping[str, Tensor], info: GeneralistInfo) -> SamGeneralist:
    """MobileSAM from its published state; its input side is 1024."""
    encoder, decoder = tiny_parts(state, info.name, stem_stride=2)
    return SamGeneralist(info, encoder, decoder, MOBILE_SAM)


def tiny_parts(state: Mapping[str, Tensor], name: str, *, stem_stride: int) -> tuple[TinyViT, SamDecoder]:
    """Encoder and decoder with the weights of a checkpoint; raises `DataError` unless every key finds its place."""
    encoder, decoder = TinyViT(stem_stride=stem_stride), SamDecoder()
    prefix = "image_encoder."
    seen = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix) and not k.startswith(LEFT_OVER)}
    rest = [k for k in state if not k.startswith((prefix, "prompt_encoder.", "mask_decoder."))]
    try:
        if rest:
            raise RuntimeError(f"it also holds {rest[:3]}")
        encoder.load_state_dict(seen, strict=True)
        decoder.load_state_dict(decoder_state(state), strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"the weights are not those of {name}: {reason}; fetch them with: frugalseg models get {name}"
        ) from None
    return fused(encoder), decoder
