"""SAM's prompt encoder and mask decoder for many prompts on one image.

Kirillov et al., Segment Anything (ICCV 2023), appendix A. The modules are those of transformers; the order of events is
written here, because theirs repeats the image's tokens for every prompt before the first layer projects them. Here that
projection is done once an image, and prompts go through in groups that fit the processor's cache, so that a prompt of a
large batch is no dearer than a single one. Any input size works: the positional encoding is laid over the grid at hand.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
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

Projected = tuple[Tensor, Tensor, Tensor]
"""Image tokens (1 or P, g*g, 128) as keys and values of the prompts' attention, and as queries of their own."""

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
        first: Projected | None = None,
    ) -> tuple[Float[Tensor, "P 4 m m"], Float[Tensor, "P 4"], Float[Tensor, "P 256 g g"]]:
        """Logits and scores of the four candidates (0 for clear prompts, 1 to 3 for ambiguous ones), image tokens.

        The image is the same for all prompts (I = 1) or each prompt has its own (I = P). Points and the corners of
        boxes are (x, y) as parts of the input's side, from 0 to 1; masks are logits four times as fine as the grid;
        `details` are added to the image tokens at that resolution, before they meet the mask tokens. `first` is what
        the first layer makes of the image alone, see `on`.
        """
        sparse = self._sparse(points, labels, boxes)
        position = self._position(image.shape[-1])
        size = max(1, TOKENS_A_GROUP // image[0, 0].numel())
        groups = []
        for k in range(0, len(sparse), size):
            part = slice(k, k + size)
            mask, detail = (None if x is None else x[part] for x in (masks, details))
            seen = image if len(image) == 1 else image[part]
            groups.append(self._decode(seen, position, sparse[part], mask, detail, first))
        logits, scores, tokens = (torch.cat(parts) for parts in zip(*groups, strict=True))
        return logits, scores, tokens

    def on(self, image: Float[Tensor, "1 256 g g"]) -> Decode:
        """The decoder on one image: what its first layer makes of the image alone is made once for all prompts.

        Rough masks change the image's tokens; with them nothing is shared.
        """

        @cache
        def first() -> Projected:
            position = self._position(image.shape[-1])
            cells = self._cells(image, None)
            return _projected(self.mask_decoder.transformer.layers[0], cells, position)

        def decode(
            points: Tensor, labels: Tensor, boxes: Tensor | None, masks: Tensor | None
        ) -> tuple[Tensor, Tensor, Tensor]:
            found: tuple[Tensor, Tensor, Tensor] = self(
                image, points, labels, boxes, masks, first=first() if masks is None else None
            )
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

    def _position(self, grid: int) -> Tensor:
        """Positional encoding (1, g*g, 256) of the grid's cells."""
        middles = (torch.arange(grid, device=self.mask_decoder.iou_token.weight.device) + 0.5) / grid
        rows, columns = torch.meshgrid(middles, middles, indexing="ij")
        encoded: Tensor = self.prompt_encoder.shared_embedding(torch.stack([columns, rows], -1))
        return encoded.reshape(1, grid * grid, -1)

    def _cells(self, image: Tensor, masks: Tensor | None) -> Tensor:
        """Image tokens (1 or P, g*g, 256) with what a rough mask says of each."""
        if masks is None:
            dense = self.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        else:
            dense = self.prompt_encoder.mask_embed(masks)
        cells: Tensor = (image + dense).flatten(2).transpose(1, 2)
        return cells

    def _decode(
        self,
        image: Tensor,
        position: Tensor,
        sparse: Tensor,
        masks: Tensor | None,
        details: Tensor | None,
        first: Projected | None,
    ) -> tuple[Tensor, ...]:
        decoder, grid = self.mask_decoder, image.shape[-1]
        cells = self._cells(image, masks)
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(len(sparse), -1, -1)
        tokens, cells = self._two_way(torch.cat([own, sparse], 1), cells, position, first)
        image_tokens = cells.transpose(1, 2).reshape(len(sparse), -1, grid, grid)
        scores: Tensor = decoder.iou_prediction_head(tokens[:, 0])
        return self._masks(tokens, image_tokens, details), scores, image_tokens

    def _two_way(
        self, prompt: Tensor, cells: Tensor, position: Tensor, first: Projected | None
    ) -> tuple[Tensor, Tensor]:
        """Prompt tokens (P, T, 256) and image tokens (1 or P, g*g, 256) after they have attended to each other."""
        transformer = self.mask_decoder.transformer
        tokens = prompt
        for i, layer in enumerate(transformer.layers):
            if i == 0:
                tokens = layer.layer_norm1(_attend(layer.self_attn, tokens, tokens, tokens))
            else:
                placed = tokens + prompt
                tokens = layer.layer_norm1(tokens + _attend(layer.self_attn, placed, placed, tokens))
            keys, values, queries = first if first is not None and i == 0 else _projected(layer, cells, position)
            look, tell = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
            seen = _mixed(look, look.q_proj(tokens + prompt), keys, values)
            tokens = layer.layer_norm2(tokens + seen)
            tokens = layer.layer_norm3(tokens + layer.mlp(tokens))
            told = _mixed(tell, queries, tell.k_proj(tokens + prompt), tell.v_proj(tokens))
            cells = layer.layer_norm4(cells + told)
        seen = _attend(transformer.final_attn_token_to_image, tokens + prompt, cells + position, cells)
        return transformer.layer_norm_final_attn(tokens + seen), cells

    def _masks(self, tokens: Tensor, image_tokens: Tensor, details: Tensor | None) -> Tensor:
        """Logits (P, 4, 4g, 4g): each mask token's vector against the image tokens at four times their resolution."""
        decoder = self.mask_decoder
        fine = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(image_tokens)))
        fine = decoder.activation(decoder.upscale_conv2(fine))
        if details is not None:
            fine = fine + details
        vectors = [mlp(tokens[:, 1 + k]) for k, mlp in enumerate(decoder.output_hypernetworks_mlps)]
        return torch.einsum("pmk,pkhw->pmhw", torch.stack(vectors, 1), fine)


def _projected(layer: Any, cells: Tensor, position: Tensor) -> Projected:
    """What a layer's two attentions to and from the image make of its tokens."""
    where, look = cells + position, layer.cross_attn_token_to_image
    return look.k_proj(where), look.v_proj(cells), layer.cross_attn_image_to_token.q_proj(where)


def _attend(attention: SamAttention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """SAM's attention; whatever is the same for all prompts (first axis 1) is projected once."""
    return _mixed(attention, attention.q_proj(query), attention.k_proj(key), attention.v_proj(value))


def _mixed(attention: SamAttention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """SAM's attention of tokens that are projected already."""
    heads, most = attention.num_attention_heads, max(len(query), len(key))

    def split(x: Tensor) -> Tensor:
        return x.expand(most, -1, -1).reshape(most, x.shape[1], heads, -1).transpose(1, 2)

    attended = F.scaled_dot_product_attention(split(query), split(key), split(value))
    projected: Tensor = attention.out_proj(attended.transpose(1, 2).flatten(2))
    return projected


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
