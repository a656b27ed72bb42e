"""SAM 2.1 on single images: a Hiera encoder with a feature pyramid, SAM's decoder with two finer maps.

Ravi et al., SAM 2: Segment Anything in Images and Videos (2024), section 4 and appendix D. The parts that remember the
frames of a video are left out of the checkpoints; the token for "no memory" is added to the coarsest map, as the
authors' image predictor does. The modules are those of transformers; pictures are squashed to the square.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.sam2.configuration_sam2 import Sam2Config
from transformers.models.sam2.modeling_sam2 import Sam2Model

from frugalseg.generalists.checkpoint import Rules, built, not_those_of, part_of, renamed, tensors_of
from frugalseg.generalists.generalist import GeneralistInfo
from frugalseg.generalists.pyramid import Answers, NetworkPrompts, PromptTokens, PyramidGeneralist, attended
from frugalseg.generalists.sam import Intake, standard

SIZES: dict[str, dict[str, Any]] = {
    "t": {},  # the defaults of transformers
    "s": {"blocks_per_stage": [1, 2, 11, 2], "global_attention_blocks": [7, 10, 13]},
    "b+": {
        "hidden_size": 112,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 3, 16, 3],
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "global_attention_blocks": [12, 16, 20],
        "window_positional_embedding_background_size": [14, 14],
    },
    "l": {
        "hidden_size": 144,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 6, 36, 4],
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 16, 8],
        "global_attention_blocks": [23, 33, 43],
    },
}
"""The published encoders as settings of `Sam2HieraDetConfig`."""

BLOCKS = {("t", 96, 12), ("s", 96, 16), ("b+", 112, 24), ("l", 144, 48)}
"""Size, width of the first stage and number of blocks, by which a checkpoint is known."""

VIDEO = (
    "memory_attention.",
    "memory_encoder.",
    "maskmem_tpos_enc",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "mask_downsample.",
    "obj_ptr_proj.",
    "obj_ptr_tpos_proj.",
    "memory_temporal_positional_encoding",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "object_pointer_proj.",
    "occlusion_spatial_embedding_parameter",
    "temporal_positional_encoding_projection_layer.",
)
"""Beginnings of the names, the authors' and those of transformers, that only videos need; they are dropped."""

MATRIX = "positional_embedding"
ENCODING = (f"shared_image_embedding.{MATRIX}", f"prompt_encoder.shared_embedding.{MATRIX}")
"""The two names of the one positional encoding in transformers."""

THREE = r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head))\.layers"

RENAMED: Rules = (
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", ENCODING[0]),
    (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
    (r"^mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"\.out_proj\.", ".o_proj."),
    (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    (THREE + r"\.0\.", r"\1.proj_in."),
    (THREE + r"\.2\.", r"\1.proj_out."),
    (THREE + r"\.1\.", r"\1.layers.0."),
)
"""Names of the published checkpoints -> names of transformers' `Sam2Model`."""


def sam2(
    state: Mapping[str, Any], info: GeneralistInfo, *, config: Mapping[str, Any] | None = None
) -> PyramidGeneralist:
    """SAM 2.1 from its published state, or from the state and configuration of a transformers folder.

    Without a configuration the size is read from the tensors. Raises `DataError` when a name such as sam2.1-hiera-t
    meets the weights of another size, or a tensor does not find its place.
    """
    weights = sam2_state(state, info.name)
    settings = sam2_config(weights, info.name, config)
    model: Any = built(lambda: Sam2Model(settings), weights, info.name)
    side = int(model.prompt_encoder.input_image_size)
    return PyramidGeneralist(info, Sam2Encoder(model), Sam2Decoder(model), Intake((side,), standard, squashes=True))


def sam2_state(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint in either layout under the names of `Sam2Model`, without the parts for videos."""
    state = tensors_of(content, name)
    if "image_encoder.trunk.pos_embed" in state:
        if "no_obj_embed_spatial" not in state:
            raise not_those_of(name, "'no_obj_embed_spatial' is missing, they are of SAM 2.0")
        state = _points_joined(renamed(_without_video(state), RENAMED), name)
    elif "vision_encoder.backbone.pos_embed" in state:
        state = _without_video(state)
    else:
        tops = "'image_encoder.trunk.pos_embed' nor 'vision_encoder.backbone.pos_embed'"
        raise not_those_of(name, f"there is neither {tops} of a Hiera encoder")
    for key, other in (ENCODING, ENCODING[::-1]):
        if other in state:
            state.setdefault(key, state[other])
    return state


def _without_video(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if not k.startswith(VIDEO)}


def _points_joined(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The four embeddings of points and corners in one table."""
    try:
        rows = [state.pop(f"prompt_encoder.point_embeddings.{k}.weight") for k in range(4)]
    except KeyError as error:
        raise not_those_of(name, f"the tensor sam_{error.args[0]} is missing") from None
    return state | {"prompt_encoder.point_embed.weight": torch.cat(rows)}


def sam2_config(state: Mapping[str, Tensor], name: str, config: Mapping[str, Any] | None) -> Sam2Config:
    """The settings of a folder's configuration, or of the published size with these tensors."""
    prefix = "vision_encoder.backbone."
    width = int(state[f"{prefix}pos_embed"].shape[1])
    depth = sum(k.startswith(f"{prefix}blocks.") and k.endswith(".attn.qkv.weight") for k in state)
    size = next((size for size, w, d in sorted(BLOCKS) if (w, d) == (width, depth)), None)
    wanted = name.rpartition("-")[2]
    if size and wanted in SIZES and size != wanted:
        raise not_those_of(name, f"they are Hiera-{size.upper()}, not Hiera-{wanted.upper()}")
    if config is not None:
        return Sam2Config(
            vision_config=part_of(config, "vision_config", name),
            prompt_encoder_config=part_of(config, "prompt_encoder_config", name),
            mask_decoder_config=part_of(config, "mask_decoder_config", name),
        )
    if size is None:
        raise not_those_of(name, f"no published encoder begins {width} wide and has {depth} blocks")
    trunk = {"model_type": "sam2_hiera_det_model", **SIZES[size]}
    channels = SIZES[size].get("embed_dim_per_stage", [96, 192, 384, 768])[::-1]
    return Sam2Config(vision_config={"backbone_config": trunk, "backbone_channel_list": channels})


class Sam2Encoder(nn.Module):
    """Pictures (B, 3, S, S) -> maps (B, 256, g, g), (B, 64, 2g, 2g), (B, 32, 4g, 4g)."""

    model: Any  # transformers' module

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The three maps, the coarsest first; the two finer ones as the decoder wants them."""
        return tuple(self.model.get_image_embeddings(pixels)[::-1])


class Sam2Decoder(nn.Module):
    """Maps of one image and prompts -> masks; the single mask gives way to one of three when it is not stable."""

    part: Any  # transformers' module

    def __init__(self, model: Any):
        super().__init__()
        self.prompt_tokens = PromptTokens(model.prompt_encoder)
        self.part = model.mask_decoder

    def forward(self, maps: Sequence[Tensor], prompts: NetworkPrompts) -> Answers:
        """Logits, scores, image tokens; candidate 0 is the steady one."""
        part = self.part
        own = torch.cat([part.obj_score_token.weight, part.iou_token.weight, part.mask_tokens.weight])
        tokens, image = attended(part.transformer, own, self.prompt_tokens(*prompts), maps[0])
        fine = part.activation(part.upscale_layer_norm(part.upscale_conv1(image) + maps[1]))
        fine = part.activation(part.upscale_conv2(fine) + maps[2])
        vectors = torch.stack([mlp(tokens[:, 2 + k]) for k, mlp in enumerate(part.output_hypernetworks_mlps)], 1)
        logits = torch.einsum("pmk,pkhw->pmhw", vectors, fine)
        scores = part.iou_prediction_head(tokens[:, 1])
        order = torch.arange(4, device=scores.device).repeat(len(scores), 1)
        order[:, 0] = self._steady(logits, scores)
        return logits.take_along_dim(order[..., None, None], 1), scores.take_along_dim(order, 1), image

    def _steady(self, logits: Tensor, scores: Tensor) -> Tensor:
        """The candidate (P,) to give: 0, or the best of 1 to 3 where 0 changes much with the threshold.

        Source: `dynamic_multimask_via_stability`, which the authors' image predictor has on.
        """
        delta, least = self.part.dynamic_multimask_stability_delta, self.part.dynamic_multimask_stability_thresh
        inner = (logits[:, 0] > delta).sum((-2, -1)).float()
        outer = (logits[:, 0] > -delta).sum((-2, -1)).float()
        is_steady = (outer == 0) | (inner / outer >= least)
        return torch.where(is_steady, 0, 1 + scores[:, 1:].argmax(1))
