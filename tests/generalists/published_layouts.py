"""Names and shapes of the published SAM, SAM-HQ and SAM 2.1 checkpoints, at any size, and weights made of the names.

The lists at full size were compared with `state_dict()` of the authors' own models (segment-anything 1.0,
segment-anything-hq 0.3, sam2 1.1.0); their digests are the golden numbers of the tests.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from frugalseg.generalists.frame import squash_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.prompts import Prompts
from frugalseg.seeds import stream

TINY_VIT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "global_attn_indexes": [1],
    "window_size": 3,
    "image_size": 64,
}
TINY_HIERA: dict[str, Any] = {
    "model_type": "sam2_hiera_det_model",
    "hidden_size": 16,
    "num_attention_heads": 1,
    "blocks_per_stage": [1, 1, 2, 1],
    "embed_dim_per_stage": [16, 32, 64, 128],
    "num_attention_heads_per_stage": [1, 2, 4, 8],
    "window_size_per_stage": [4, 2, 3, 2],
    "global_attention_blocks": [3],
    "window_positional_embedding_background_size": [5, 5],
    "image_size": [64, 64],
}
TINY_SAM2: dict[str, Any] = {
    "vision_config": {
        "backbone_config": TINY_HIERA,
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    },
    "prompt_encoder_config": {"image_size": 64},
    "mask_decoder_config": {},
}

PIXELS = torch.from_numpy(stream(0, "pixels").standard_normal((1, 3, 64, 64)).astype("float32"))
"""What the golden answers were given to."""

Layout = dict[str, tuple[int, ...]]
Item = tuple[str, tuple[int, ...]]


def digest(layout: Mapping[str, tuple[int, ...]]) -> tuple[int, str]:
    """How many tensors there are, and a hash of their names and shapes."""
    lines = "\n".join(f"{key} {tuple(shape)}" for key, shape in sorted(layout.items()))
    return len(layout), hashlib.sha256(lines.encode()).hexdigest()[:16]


def fake_state(layout: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """A tensor for each name, drawn from a stream of that name: around 1 for the weights of norms, else around 0."""
    state = {}
    for key, shape in layout.items():
        values = torch.from_numpy(stream(0, key).standard_normal(shape).astype("float32"))
        is_scale = len(shape) == 1 and key.endswith(".weight")
        size = 0.1 if len(shape) == 1 else math.prod(shape[1:]) ** -0.5
        state[key] = 1 + 0.1 * values if is_scale else size * values
    return state


def info(name: str, *prompts: str) -> GeneralistInfo:
    """A generalist's description; it takes every kind of prompt by default."""
    return GeneralistInfo(name, "Apache-2.0", f"of {name}", frozenset(prompts or ("points", "boxes", "masks")))


def whole(generalist: Any, pixels: torch.Tensor) -> Embedding:
    """The embedding of pixels (1, 3, S, S) that are the input already."""
    maps = generalist.encoder(pixels)
    maps = (maps,) if isinstance(maps, torch.Tensor) else maps
    side = pixels.shape[-1]
    return Embedding(tuple(m[0] for m in maps), squash_frame((side, side), side), generalist.info.fingerprint)


def golden_prompts() -> dict[str, Prompts]:
    """The prompts whose answers by the authors' own models are the golden numbers of the tests."""
    click, rough = [[10, 20]], np.zeros((64, 64), bool)
    rough[10:40, 12:50] = True
    return {
        "point": Prompts.at(click),
        "several": Prompts.at([[10, 20], [40, 5]], [1, 0], box=(5, 8, 40, 50)),
        "mask": Prompts.at(click, mask=rough),
    }


def sampled(masks: Masks) -> tuple[list[float], list[float]]:
    """Five logits spread over an answer, and its scores."""
    flat = masks.logits.flatten()
    return flat[:: len(flat) // 5][:5].tolist(), masks.scores.flatten().tolist()


def _affine(name: str, *shape: int) -> Iterator[Item]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _up(name: str, inputs: int, outputs: int) -> Iterator[Item]:
    yield f"{name}.weight", (inputs, outputs, 2, 2)
    yield f"{name}.bias", (outputs,)


def _perceptron(name: str, *widths: int) -> Iterator[Item]:
    for k, (inputs, outputs) in enumerate(pairwise(widths)):
        yield from _affine(f"{name}.layers.{k}", outputs, inputs)


def _prompt_encoder(name: str) -> Iterator[Item]:
    yield f"{name}.pe_layer.positional_encoding_gaussian_matrix", (2, 128)
    for key in (*(f"point_embeddings.{k}" for k in range(4)), "not_a_point_embed", "no_mask_embed"):
        yield f"{name}.{key}.weight", (1, 256)
    for k, shape in ((0, (4, 1, 2, 2)), (1, (4,)), (3, (16, 4, 2, 2)), (4, (16,)), (6, (256, 16, 1, 1))):
        yield from _affine(f"{name}.mask_downscaling.{k}", *shape)


def _attention(name: str, inner: int) -> Iterator[Item]:
    for part in "qkv":
        yield from _affine(f"{name}.{part}_proj", inner, 256)
    yield from _affine(f"{name}.out_proj", 256, inner)


def _mask_decoder(name: str, *, hidden: str) -> Iterator[Item]:
    for layer in (f"{name}.transformer.layers.{k}" for k in range(2)):
        yield from _attention(f"{layer}.self_attn", 256)
        yield from _attention(f"{layer}.cross_attn_token_to_image", 128)
        yield from _attention(f"{layer}.cross_attn_image_to_token", 128)
        for k in range(1, 5):
            yield from _affine(f"{layer}.norm{k}", 256)
        yield from _affine(f"{layer}.mlp.{hidden}".format(0, 1), 2048, 256)
        yield from _affine(f"{layer}.mlp.{hidden}".format(1, 2), 256, 2048)
    yield from _attention(f"{name}.transformer.final_attn_token_to_image", 128)
    yield from _affine(f"{name}.transformer.norm_final_attn", 256)
    yield f"{name}.iou_token.weight", (1, 256)
    yield f"{name}.mask_tokens.weight", (4, 256)
    yield from _up(f"{name}.output_upscaling.0", 256, 64)
    yield from _affine(f"{name}.output_upscaling.1", 64)
    yield from _up(f"{name}.output_upscaling.3", 64, 32)
    for k in range(4):
        yield from _perceptron(f"{name}.output_hypernetworks_mlps.{k}", 256, 256, 256, 32)
    yield from _perceptron(f"{name}.iou_prediction_head", 256, 256, 256, 4)


def _hq(width: int) -> Iterator[Item]:
    name = "mask_decoder"
    yield f"{name}.hf_token.weight", (1, 256)
    yield from _perceptron(f"{name}.hf_mlp", 256, 256, 256, 32)
    for part, widths in (("compress_vit_feat", (width, 256, 32)), ("embedding_encoder", (256, 64, 32))):
        yield from _up(f"{name}.{part}.0", widths[0], widths[1])
        yield from _affine(f"{name}.{part}.1", widths[1])
        yield from _up(f"{name}.{part}.3", widths[1], widths[2])
    yield from _affine(f"{name}.embedding_maskfeature.0", 64, 32, 3, 3)
    yield from _affine(f"{name}.embedding_maskfeature.1", 64)
    yield from _affine(f"{name}.embedding_maskfeature.3", 32, 64, 3, 3)


def _vit(vision: Mapping[str, Any], *, grid: int, window: int) -> Iterator[Item]:
    width = vision["hidden_size"]
    yield "image_encoder.pos_embed", (1, grid, grid, width)
    yield from _affine("image_encoder.patch_embed.proj", width, 3, 16, 16)
    for k in range(vision["num_hidden_layers"]):
        block = f"image_encoder.blocks.{k}"
        for axis in "hw":
            reach = 2 * (grid if k in vision["global_attn_indexes"] else window) - 1
            yield f"{block}.attn.rel_pos_{axis}", (reach, width // vision["num_attention_heads"])
        yield from _affine(f"{block}.attn.qkv", 3 * width, width)
        yield from _affine(f"{block}.attn.proj", width, width)
        yield from _affine(f"{block}.norm1", width)
        yield from _affine(f"{block}.norm2", width)
        yield from _affine(f"{block}.mlp.lin1", 4 * width, width)
        yield from _affine(f"{block}.mlp.lin2", width, 4 * width)
    yield "image_encoder.neck.0.weight", (256, width, 1, 1)
    yield "image_encoder.neck.2.weight", (256, 256, 3, 3)
    yield from _affine("image_encoder.neck.1", 256)
    yield from _affine("image_encoder.neck.3", 256)


def sam_layout(vision: Mapping[str, Any], *, grid: int = 64, window: int = 14, hq: bool = False) -> Layout:
    """The layout of segment-anything, or of SAM-HQ, for an image encoder with those settings."""
    items = [*_vit(vision, grid=grid, window=window), *_prompt_encoder("prompt_encoder")]
    items += _mask_decoder("mask_decoder", hidden="lin{1}")
    return dict(items + list(_hq(vision["hidden_size"]) if hq else items))


def _hiera(*, widths: list[int], blocks: list[int], window: int, background: int) -> Iterator[Item]:
    name = "image_encoder.trunk"
    yield f"{name}.pos_embed", (1, widths[0], background, background)
    yield f"{name}.pos_embed_window", (1, widths[0], window, window)
    yield from _affine(f"{name}.patch_embed.proj", widths[0], 3, 7, 7)
    before = [widths[max(0, s - (k == 0))] for s, n in enumerate(blocks) for k in range(n)]
    after = [widths[s] for s, n in enumerate(blocks) for _ in range(n)]
    for k, (inputs, width) in enumerate(zip(before, after, strict=True)):
        block = f"{name}.blocks.{k}"
        yield from _affine(f"{block}.norm1", inputs)
        yield from _affine(f"{block}.attn.qkv", 3 * width, inputs)
        yield from _affine(f"{block}.attn.proj", width, width)
        yield from _affine(f"{block}.norm2", width)
        yield from _perceptron(f"{block}.mlp", width, 4 * width, width)
        if inputs != width:
            yield from _affine(f"{block}.proj", width, inputs)
    for k, width in enumerate(widths[::-1]):
        yield from _affine(f"image_encoder.neck.convs.{k}.conv", 256, width, 1, 1)


def _memory() -> Iterator[Item]:
    yield from (
        ("maskmem_tpos_enc", (7, 1, 1, 64)),
        ("no_mem_embed", (1, 1, 256)),
        ("no_mem_pos_enc", (1, 1, 256)),
        ("no_obj_ptr", (1, 256)),
        ("no_obj_embed_spatial", (1, 64)),
    )
    yield from _affine("mask_downsample", 1, 1, 4, 4)
    for layer in (f"memory_attention.layers.{k}" for k in range(4)):
        yield from _attention(f"{layer}.self_attn", 256)
        for part, inputs in (("q", 256), ("k", 64), ("v", 64), ("out", 256)):
            yield from _affine(f"{layer}.cross_attn_image.{part}_proj", 256, inputs)
        yield from _affine(f"{layer}.linear1", 2048, 256)
        yield from _affine(f"{layer}.linear2", 256, 2048)
        for k in range(1, 4):
            yield from _affine(f"{layer}.norm{k}", 256)
    yield from _affine("memory_attention.norm", 256)
    yield from _memory_encoder()
    yield from _perceptron("obj_ptr_proj", 256, 256, 256, 256)
    yield from _affine("obj_ptr_tpos_proj", 64, 256)


def _memory_encoder() -> Iterator[Item]:
    for k, (inputs, outputs) in enumerate(((1, 4), (4, 16), (16, 64), (64, 256))):
        yield from _affine(f"memory_encoder.mask_downsampler.encoder.{3 * k}", outputs, inputs, 3, 3)
        yield from _affine(f"memory_encoder.mask_downsampler.encoder.{3 * k + 1}", outputs)
    yield from _affine("memory_encoder.mask_downsampler.encoder.12", 256, 256, 1, 1)
    yield from _affine("memory_encoder.pix_feat_proj", 256, 256, 1, 1)
    for layer in (f"memory_encoder.fuser.layers.{k}" for k in range(2)):
        yield f"{layer}.gamma", (256,)
        yield from _affine(f"{layer}.dwconv", 256, 1, 7, 7)
        yield from _affine(f"{layer}.norm", 256)
        yield from _affine(f"{layer}.pwconv1", 1024, 256)
        yield from _affine(f"{layer}.pwconv2", 256, 1024)
    yield from _affine("memory_encoder.out_proj", 64, 256, 1, 1)


def sam2_layout(*, widths: list[int], blocks: list[int], window: int = 8, background: int = 7) -> Layout:
    """The layout of SAM 2.1 for a Hiera with those stages."""
    items = [*_hiera(widths=widths, blocks=blocks, window=window, background=background), *_memory()]
    items += _prompt_encoder("sam_prompt_encoder")
    items += _mask_decoder("sam_mask_decoder", hidden="layers.{0}")
    items.append(("sam_mask_decoder.obj_score_token.weight", (1, 256)))
    items += _affine("sam_mask_decoder.conv_s0", 32, 256, 1, 1)
    items += _affine("sam_mask_decoder.conv_s1", 64, 256, 1, 1)
    items += _perceptron("sam_mask_decoder.pred_obj_score_head", 256, 256, 256, 1)
    return dict(items)
