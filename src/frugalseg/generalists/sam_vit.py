"""SAM and MedSAM: a plain vision transformer in front of SAM's decoder.

Kirillov et al., Segment Anything (ICCV 2023), appendix A; Ma et al., Segment anything in medical images (Nature
Communications 2024), whose weights have the same layout, were trained on boxes, and see pictures that fill the square.
The encoder is that of transformers. Weights come in the authors' layout or in that of transformers.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers.models.sam.configuration_sam import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from frugalseg.generalists.checkpoint import Rules, built, check_keys, not_those_of, part_of, renamed, tensors_of
from frugalseg.generalists.generalist import GeneralistInfo
from frugalseg.generalists.sam import Intake, SamGeneralist, spread, standard
from frugalseg.generalists.sam_decoder import SamDecoder, decoder_state

SIZES: dict[str, dict[str, Any]] = {
    "b": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "global_attn_indexes": [2, 5, 8, 11]},
    "l": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "global_attn_indexes": [5, 11, 17, 23],
    },
    "h": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "global_attn_indexes": [7, 15, 23, 31],
    },
}
"""The published encoders; what is not said is the default of transformers."""

RENAMED: Rules = (
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^blocks\.", "layers."),
    (r"^(layers\.\d+)\.norm", r"\1.layer_norm"),
    (r"^neck\.0\.", "neck.conv1."),
    (r"^neck\.1\.", "neck.layer_norm1."),
    (r"^neck\.2\.", "neck.conv2."),
    (r"^neck\.3\.", "neck.layer_norm2."),
)
"""Names of the published image encoder -> names of transformers' module."""

TIED = "shared_image_embedding.positional_embedding"
"""Transformers' second name of the prompt encoder's positional encoding; its files hold one of the two, or both."""


def sam_vit(
    state: Mapping[str, Any], info: GeneralistInfo, *, config: Mapping[str, Any] | None = None
) -> SamGeneralist:
    """SAM from its published state, or from the state and configuration of a transformers folder.

    Without a configuration the size is read from the tensors. Raises `DataError` when a name such as sam-vit-b meets
    the weights of another size, or a tensor does not find its place.
    """
    encoder, decoder = vit_parts(state, info.name, config)
    return SamGeneralist(info, encoder, decoder, Intake((encoder.side,), standard))


def medsam(state: Mapping[str, Any], info: GeneralistInfo, *, config: Mapping[str, Any] | None = None) -> SamGeneralist:
    """MedSAM from its published state: ViT-B, pictures stretched to 0..1 and squashed to the square."""
    encoder, decoder = vit_parts(state, info.name, config)
    return SamGeneralist(info, encoder, decoder, Intake((encoder.side,), spread, squashes=True))


class VitEncoder(nn.Module):
    """Pictures (B, 3, S, S) -> image tokens (B, 256, g, g)."""

    vision: Any  # transformers' module, whose parts have no types

    def __init__(self, config: SamVisionConfig):
        super().__init__()
        self.vision = SamVisionEncoder(config)
        self.side = int(self.vision.image_size)

    def forward(self, x: Tensor) -> Tensor:
        """The image tokens."""
        tokens: Tensor = self.vision(x).last_hidden_state
        return tokens


def vit_parts(state: Mapping[str, Any], name: str, config: Mapping[str, Any] | None) -> tuple[VitEncoder, SamDecoder]:
    """Encoder and decoder with the weights of a checkpoint; raises `DataError` unless every key finds its place."""
    seen, said = vit_states(state, name)
    vision = SamVisionConfig(**vit_settings(seen, name, config))
    encoder = built(lambda: VitEncoder(vision), {f"vision.{k}": v for k, v in seen.items()}, name)
    return encoder, built(SamDecoder, said, name)


def vit_states(content: Mapping[str, Any], name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the image encoder and those behind it, both under transformers' names."""
    state = tensors_of(content, name)
    if "image_encoder.pos_embed" in state:
        seen = renamed(_inside(state, "image_encoder."), RENAMED)
        said = decoder_state(state)
    elif "vision_encoder.pos_embed" in state:
        seen = _inside(state, "vision_encoder.")
        said = {k: v for k, v in state.items() if k.startswith(("prompt_encoder.", "mask_decoder."))}
        if TIED in state:
            said.setdefault("prompt_encoder.shared_embedding.positional_embedding", state[TIED])
    else:
        raise not_those_of(name, "there is neither 'image_encoder.pos_embed' nor 'vision_encoder.pos_embed' of a ViT")
    known = ("image_encoder.", "vision_encoder.", "prompt_encoder.", "mask_decoder.", TIED)
    check_keys({}, {k: v for k, v in state.items() if not k.startswith(known)}, name)
    return seen, said


def _inside(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def vit_settings(seen: Mapping[str, Tensor], name: str, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings of the image encoder: those of a folder's configuration, or of the published size of that width."""
    width = int(seen["pos_embed"].shape[-1])
    size = next((s for s, settings in SIZES.items() if settings["hidden_size"] == width), None)
    wanted = "b" if name == "medsam" else name.rpartition("-")[2]
    if size and wanted in SIZES and size != wanted:
        raise not_those_of(name, f"they are a ViT-{size.upper()}, not a ViT-{wanted.upper()}")
    if config is not None:
        return part_of(config, "vision_config", name)
    if size is None:
        widths = ", ".join(str(settings["hidden_size"]) for settings in SIZES.values())
        raise not_those_of(name, f"their image encoder is {width} wide, the published ones are {widths}")
    return SIZES[size]
