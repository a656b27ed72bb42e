"""SAM-HQ: SAM with one more mask token, which sees early layers of the encoder and the finest of the decoder.

Ke et al., Segment Anything in High Quality (NeurIPS 2023), section 3.2. The modules are those of transformers; the
order of events is that of the authors' `MaskDecoderHQ`, where the image tokens that become masks are those that have
met the prompt. (`SamHQMaskDecoder` of transformers 5.23 upsamples those from before, transposed, so its own forward is
not used.) What the new token needs of the image is computed once, with the embedding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.sam_hq.configuration_sam_hq import SamHQConfig
from transformers.models.sam_hq.modeling_sam_hq import SamHQMaskDecoder, SamHQPromptEncoder, SamHQVisionEncoder

from frugalseg.generalists.checkpoint import Rules, built, renamed
from frugalseg.generalists.generalist import GeneralistInfo
from frugalseg.generalists.pyramid import Answers, NetworkPrompts, PromptTokens, PyramidGeneralist, attended
from frugalseg.generalists.sam import Intake, standard
from frugalseg.generalists.sam_vit import vit_settings, vit_states

RENAMED: Rules = (
    (r"^mask_decoder\.hf_token\.", "mask_decoder.hq_token."),
    (r"^mask_decoder\.hf_mlp\.layers\.0\.", "mask_decoder.hq_mask_mlp.proj_in."),
    (r"^mask_decoder\.hf_mlp\.layers\.1\.", "mask_decoder.hq_mask_mlp.layers.0."),
    (r"^mask_decoder\.hf_mlp\.layers\.2\.", "mask_decoder.hq_mask_mlp.proj_out."),
    (r"^mask_decoder\.compress_vit_feat\.", "mask_decoder.compress_vit_."),
    (r"^mask_decoder\.embedding_encoder\.", "mask_decoder.encoder_."),
    (r"^mask_decoder\.embedding_maskfeature\.", "mask_decoder.mask_."),
    (r"^(mask_decoder\.\w+_)\.0\.", r"\1conv1."),
    (r"^(mask_decoder\.\w+_)\.1\.", r"\1norm."),
    (r"^(mask_decoder\.\w+_)\.3\.", r"\1conv2."),
)
"""Names of the published parts that SAM has not -> names of transformers' module."""


def sam_hq(
    state: Mapping[str, Any], info: GeneralistInfo, *, config: Mapping[str, Any] | None = None
) -> PyramidGeneralist:
    """SAM-HQ from its published state, or from the state and configuration of a transformers folder.

    Without a configuration the size is read from the tensors. Raises `DataError` when a name such as sam-hq-vit-b meets
    the weights of another size, or a tensor does not find its place.
    """
    seen, said = vit_states(state, info.name)
    settings = hq_config(vit_settings(seen, info.name, config))
    weights = {f"vision.{k}": v for k, v in seen.items()} | renamed(said, RENAMED)
    network = built(lambda: HqNetwork(settings), weights, info.name)
    return PyramidGeneralist(info, HqEncoder(network), HqDecoder(network), Intake((network.side,), standard))


def hq_config(vision: dict[str, Any]) -> SamHQConfig:
    """The whole network's settings, which follow from the image encoder's; the rest is the same in all sizes."""
    prompts = {key: vision[key] for key in ("image_size", "patch_size") if key in vision}
    settings: dict[str, Any] = {
        "vision_config": vision,
        "prompt_encoder_config": prompts,
        # The published decoder has torch's eps of 1e-5 in its transformer; transformers' default is another.
        "mask_decoder_config": {"vit_dim": vision["hidden_size"], "layer_norm_eps": 1e-5},
        "attn_implementation": "sdpa",
    }
    return SamHQConfig(**settings)


class HqNetwork(nn.Module):
    """The parts of SAM-HQ."""

    vision: Any  # transformers' modules, whose parts have no types
    mask_decoder: Any

    def __init__(self, config: Any):
        super().__init__()
        self.vision = SamHQVisionEncoder(config.vision_config)
        self.prompt_encoder = SamHQPromptEncoder(config)
        self.mask_decoder = SamHQMaskDecoder(config.mask_decoder_config)
        self.side = int(self.vision.image_size)


class HqEncoder(nn.Module):
    """Pictures (B, 3, S, S) -> image tokens (B, 256, g, g) and what the new mask token needs (B, 32, 4g, 4g)."""

    def __init__(self, network: HqNetwork):
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The two maps; the early features are those of the first block with attention over the whole image."""
        seen = self.network.vision(pixels)
        tokens, early = seen.last_hidden_state, seen.intermediate_embeddings[0].permute(0, 3, 1, 2)
        part = self.network.mask_decoder
        fine = part.encoder_conv2(part.activation(part.encoder_norm(part.encoder_conv1(tokens))))
        early = part.compress_vit_conv2(part.activation(part.compress_vit_norm(part.compress_vit_conv1(early))))
        return tokens, fine + early


class HqDecoder(nn.Module):
    """Maps of one image and prompts -> the masks of SAM with the correction of the new token added."""

    part: Any  # transformers' module

    def __init__(self, network: HqNetwork):
        super().__init__()
        self.prompt_tokens = PromptTokens(network.prompt_encoder)
        self.part = network.mask_decoder

    def forward(self, maps: Sequence[Tensor], prompts: NetworkPrompts) -> Answers:
        """Logits, scores, image tokens; each candidate gets the same correction."""
        part = self.part
        own = torch.cat([part.iou_token.weight, part.mask_tokens.weight, part.hq_token.weight])
        tokens, image = attended(part.transformer, own, self.prompt_tokens(*prompts), maps[0])
        fine = part.activation(part.upscale_layer_norm(part.upscale_conv1(image)))
        fine = part.activation(part.upscale_conv2(fine))
        finest = part.mask_conv2(part.activation(part.mask_norm(part.mask_conv1(fine)))) + maps[1]
        vectors = torch.stack([mlp(tokens[:, 1 + k]) for k, mlp in enumerate(part.output_hypernetworks_mlps)], 1)
        logits = torch.einsum("pmk,pkhw->pmhw", vectors, fine)
        correction = torch.einsum("pk,pkhw->phw", part.hq_mask_mlp(tokens[:, 5]), finest)
        return logits + correction[:, None], part.iou_prediction_head(tokens[:, 0]), image
