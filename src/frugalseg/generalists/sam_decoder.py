"""SAM's prompt encoder and mask decoder for many prompts on one image.

Kirillov et al., Segment Anything (ICCV 2023), appendix A. The modules are those of transformers; the order of events is
written here, because theirs repeats the image's tokens for every prompt and projects all of them four times a layer.
A prompt has a handful of tokens, an image thousands: so what a prompt's tokens ask is carried back through the
projection once (`_back`) and held against the image tokens as they are, and these stay in one memory layout to the end,
where a transposed convolution of stride 2 is a matrix product. Prompts go through in groups that fit the processor's
cache, so that a prompt of a large batch is no dearer than a single one. Any input size works: the positional encoding
is laid over the grid at hand.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.models.sam.configuration_sam import SamConfig, SamMaskDecoderConfig
from transformers.models.sam.modeling_sam import SamAttention, SamMaskDecoder, SamPromptEncoder

TOKENS_A_GROUP = 4096
"""Image tokens that go through a decoder at once: one prompt on a 64x64 grid, 16 on a 16x16 one.

More prompts at once are dearer each, because their maps leave the processor's caches.
"""

Laid = tuple[Tensor, Tensor]
"""Image tokens (1 or P, g*g, 256) and the encoding (1, g*g, 256) of their positions."""

Decode = Callable[[Tensor, Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor, Tensor]]
"""Points (P, N, 2) as (x, y) in parts of the input's side, labels (P, N), boxes (P, 4), masks (P, 1, 4g, 4g) ->
logits (P, 4, 4g, 4g), scores (P, 4) and image tokens (P, 256, g, g): what `SamDecoder` does on one image."""


class SamDecoder(nn.Module):
    """Prompts and an image embedding -> mask logits and scores."""

    prompt_encoder: Any  # transformers' modules, whose parts have no types
    mask_decoder: Any

    def __init__(self) -> None:
        super().__init__()
        # The published decoder has torch's eps of 1e-5 in its transformer; transformers' default is another.
        decoder = SamMaskDecoderConfig(layer_norm_eps=1e-5)
        self.prompt_encoder = SamPromptEncoder(SamConfig(mask_decoder_config=decoder))
        self.mask_decoder = SamMaskDecoder(decoder)

    def forward(
        self,
        image: Float[Tensor, "I 256 g g"],
        points: Float[Tensor, "P N 2"],
        labels: Int[Tensor, "P N"],
        boxes: Float[Tensor, "P 4"] | None = None,
        masks: Float[Tensor, "P 1 m m"] | None = None,
        details: Float[Tensor, "P 32 m m"] | None = None,
        *,
        laid: Laid | None = None,
    ) -> tuple[Float[Tensor, "P 4 m m"], Float[Tensor, "P 4"], Float[Tensor, "P 256 g g"]]:
        """Logits and scores of the four candidates (0 for clear prompts, 1 to 3 for ambiguous ones), image tokens.

        The image is the same for all prompts (I = 1) or each prompt has its own (I = P). Points and the corners of
        boxes are (x, y) as parts of the input's side, from 0 to 1; masks are logits four times as fine as the grid;
        `details` are added to the image tokens at that resolution, before they meet the mask tokens. `laid` is the
        image in the decoder's order where that is at hand, see `on`.
        """
        sparse = self._sparse(points, labels, boxes)
        cells, position = laid or self._laid(image)
        size = max(1, TOKENS_A_GROUP // image[0, 0].numel())
        groups = []
        for k in range(0, len(sparse), size):
            part = slice(k, k + size)
            mask, detail = (None if x is None else x[part] for x in (masks, details))
            seen = (cells if len(cells) == 1 else cells[part]) + self._rough(mask)
            groups.append(self._decode((seen, position), sparse[part], detail))
        logits, scores, tokens = groups[0] if len(groups) == 1 else map(torch.cat, zip(*groups, strict=True))
        return logits, scores, tokens

    def on(self, image: Float[Tensor, "1 256 g g"]) -> Decode:
        """The decoder on one image, which is brought into its order once for all prompts."""
        laid = self._laid(image)

        def decode(
            points: Tensor, labels: Tensor, boxes: Tensor | None, masks: Tensor | None
        ) -> tuple[Tensor, Tensor, Tensor]:
            found: tuple[Tensor, Tensor, Tensor] = self(image, points, labels, boxes, masks, laid=laid)
            return found

        return decode

    def _sparse(self, points: Tensor, labels: Tensor, boxes: Tensor | None) -> Tensor:
        """Tokens (P, T, 256) of points and boxes; without boxes there is one token that says "no more points"."""
        encoder = self.prompt_encoder
        if boxes is None:
            points = F.pad(points, (0, 0, 0, 1))
            labels = F.pad(labels, (0, 1), value=-1)
        nothing, beside, inside = encoder.not_a_point_embed, encoder.point_embed[0], encoder.point_embed[1]
        kinds = torch.cat([nothing.weight, beside.weight, inside.weight])
        where = encoder.shared_embedding(points) * (labels >= 0)[..., None]
        tokens: Tensor = where + kinds[labels + 1]
        if boxes is not None:
            corners = torch.cat([encoder.point_embed[2].weight, encoder.point_embed[3].weight])
            tokens = torch.cat([tokens, encoder.shared_embedding(boxes.reshape(-1, 2, 2)) + corners], 1)
        return tokens

    def _laid(self, image: Tensor) -> Laid:
        """The image cell by cell, and where its cells lie."""
        grid = image.shape[-1]
        middles = (torch.arange(grid, device=image.device) + 0.5) / grid
        rows, columns = torch.meshgrid(middles, middles, indexing="ij")
        position: Tensor = self.prompt_encoder.shared_embedding(torch.stack([columns, rows], -1))
        return image.flatten(2).mT.contiguous(), position.reshape(1, grid * grid, -1)

    def _rough(self, masks: Tensor | None) -> Tensor:
        """What a rough mask, or that there is none, adds to the image tokens: (P, g*g, 256) or (1, 1, 256)."""
        encoder = self.prompt_encoder
        added: Tensor = encoder.no_mask_embed.weight[None] if masks is None else encoder.mask_embed(masks).flatten(2).mT
        return added

    def _decode(self, laid: Laid, sparse: Tensor, details: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        decoder, grid = self.mask_decoder, round(laid[0].shape[1] ** 0.5)
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(len(sparse), -1, -1)
        tokens, cells = self._two_way(torch.cat([own, sparse], 1), laid)
        scores: Tensor = decoder.iou_prediction_head(tokens[:, 0])
        return self._masks(tokens, cells, grid, details), scores, cells.mT.reshape(len(cells), -1, grid, grid)

    def _two_way(self, prompt: Tensor, laid: Laid) -> tuple[Tensor, Tensor]:
        """Prompt tokens (P, T, 256) and image tokens (P, g*g, 256) after they have attended to each other."""
        transformer = self.mask_decoder.transformer
        tokens, (cells, position) = prompt, laid
        placed = cells + position
        for i, layer in enumerate(transformer.layers):
            if i == 0:
                tokens = layer.layer_norm1(_met(layer.self_attn, tokens, tokens))
            else:
                tokens = layer.layer_norm1(tokens + _met(layer.self_attn, tokens + prompt, tokens))
            seen = _seen(layer.cross_attn_token_to_image, tokens + prompt, cells, placed)
            tokens = layer.layer_norm2(tokens + seen)
            tokens = layer.layer_norm3(tokens + layer.mlp(tokens))
            told = _told(layer.cross_attn_image_to_token, cells, placed, tokens + prompt, tokens)
            cells = layer.layer_norm4(told)
            placed = cells + position
        seen = _seen(transformer.final_attn_token_to_image, tokens + prompt, cells, placed)
        return transformer.layer_norm_final_attn(tokens + seen), cells

    def _masks(self, tokens: Tensor, cells: Tensor, grid: int, details: Tensor | None) -> Tensor:
        """Logits (P, 4, 4g, 4g): each mask token's vector against the image tokens at four times their resolution."""
        decoder = self.mask_decoder
        norm = decoder.upscale_layer_norm
        fine = _in_four(decoder.upscale_conv1, cells)
        fine = decoder.activation(F.layer_norm(fine, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
        fine = decoder.activation(_in_four(decoder.upscale_conv2, fine))
        if details is not None:
            fine = fine + _as_cells(details, grid)
        vectors = torch.stack([mlp(tokens[:, 1 + k]) for k, mlp in enumerate(decoder.output_hypernetworks_mlps)], 1)
        logits = (vectors @ fine.mT).reshape(len(tokens), -1, grid, grid, 2, 2, 2, 2)
        laid: Tensor = logits.permute(0, 1, 2, 4, 6, 3, 5, 7)
        return laid.reshape(len(tokens), -1, 4 * grid, 4 * grid)


def _met(attention: SamAttention, query: Tensor, value: Tensor) -> Tensor:
    """Prompt tokens (P, T, 256) that attend to each other."""
    projected = attention.q_proj(query), attention.k_proj(query), attention.v_proj(value)
    queries, keys, values = (_by_head(attention, x) for x in projected)
    met: Tensor = attention.out_proj(F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2))
    return met


def _seen(attention: SamAttention, query: Tensor, cells: Tensor, placed: Tensor) -> Tensor:
    """What prompt tokens (P, T, 256) see of the image tokens (1 or P, n, 256).

    q . (W x + b) = (W'q) . x + q . b, and the last term is the same for all x, so it has no say in the softmax; as the
    weights of a query sum to one, values are projected after they were averaged.
    """
    asked = _back(attention.k_proj, _by_head(attention, attention.q_proj(query))) * attention.scaling
    looked = (asked @ placed.mT).softmax(-1) @ cells
    heads, values = attention.num_attention_heads, attention.v_proj
    averaged = looked.reshape(len(query), heads, -1, looked.shape[-1]) @ _apart(values.weight, heads).mT
    seen: Tensor = attention.out_proj(averaged.transpose(1, 2).flatten(2) + values.bias)
    return seen


def _told(attention: SamAttention, cells: Tensor, placed: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Image tokens (P, n, 256) with what the prompt tokens (P, T, 256) tell them added."""
    heads, out = attention.num_attention_heads, attention.out_proj
    keys = _by_head(attention, attention.k_proj(key)) * attention.scaling
    level = (keys @ attention.q_proj.bias.reshape(1, heads, -1, 1)).flatten(1, 2)  # the same for all image tokens
    scores = _back(attention.q_proj, keys) @ placed.mT + level
    weights = scores.reshape(len(key), heads, -1, scores.shape[-1]).softmax(2).flatten(1, 2)
    projected = _by_head(attention, attention.v_proj(value)) @ _apart(out.weight.mT, heads)
    answers = (projected + out.bias / heads).flatten(1, 2)  # the weights of each head sum to one
    return torch.baddbmm(cells.expand(len(key), -1, -1), weights.mT, answers)


def _by_head(attention: SamAttention, x: Tensor) -> Tensor:
    """Projected tokens (P, T, 128) as (P, heads, T, 16)."""
    return x.reshape(*x.shape[:2], attention.num_attention_heads, -1).transpose(1, 2)


def _apart(weight: Tensor, heads: int) -> Tensor:
    """A weight (128, K) head by head: (heads, 16, K)."""
    return weight.reshape(heads, -1, weight.shape[1])


def _back(projection: nn.Linear, x: Tensor) -> Tensor:
    """Tokens by head (P, heads, T, 16) carried back to where a projection comes from: (P, heads * T, 256)."""
    return (x @ _apart(projection.weight, x.shape[1])).flatten(1, 2)


def _in_four(convolution: nn.ConvTranspose2d, cells: Tensor) -> Tensor:
    """A transposed convolution with stride and side 2, whose results nowhere meet: cells (P, n, K) -> (P, 4n, L).

    The four of a cell stay behind each other, row by row.
    """
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)  # K, 2 * 2 * L
    bias = None if convolution.bias is None else convolution.bias.repeat(4)
    return F.linear(cells, weight.mT, bias).reshape(len(cells), 4 * cells.shape[1], -1)


def _as_cells(maps: Tensor, grid: int) -> Tensor:
    """Maps (P, K, 4g, 4g) in the order in which two `_in_four` leave the cells: (P, 16 * g * g, K)."""
    parted = maps.reshape(*maps.shape[:2], grid, 2, 2, grid, 2, 2)
    return parted.permute(0, 2, 5, 3, 6, 4, 7, 1).flatten(1, 6)


RENAMED = (
    (r"^(prompt_encoder)\.pe_layer\.positional_encoding_gaussian_matrix", r"\1.shared_embedding.positional_embedding"),
    (r"^prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
    (r"^prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^(mask_decoder\..*)\.norm(\d|_final_attn)\.", r"\1.layer_norm\2."),
    (r"^mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d|iou_prediction_head))\.layers\.0\.", r"\1.proj_in."),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d|iou_prediction_head))\.layers\.1\.", r"\1.layers.0."),
    (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d|iou_prediction_head))\.layers\.2\.", r"\1.proj_out."),
)
"""Names of the published SAM checkpoints -> names of transformers' modules, for the part behind the image encoder."""


def decoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a published SAM checkpoint that belong to a `SamDecoder`, under its names."""
    return {_renamed(k): v for k, v in state.items() if k.startswith(("prompt_encoder.", "mask_decoder."))}


def _renamed(key: str) -> str:
    for pattern, replacement in RENAMED:
        key, n = re.subn(pattern, replacement, key)
        if n:
            return key
    return key
