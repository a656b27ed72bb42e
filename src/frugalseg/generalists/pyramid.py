"""Generalists of SAM's make whose decoder wants maps of several resolutions: SAM-HQ and SAM 2.

The modules are those of transformers; what happens between them is written here, because the image tokens after the
prompt are wanted as well, and because each prompt of a group may bring a mask of its own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View, check_prompts
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam import Intake, OnDevice, answered
from frugalseg.generalists.sam_decoder import Decode

Answers = tuple[Tensor, Tensor, Tensor]
"""Logits (P, 4, 4g, 4g), scores (P, 4) and image tokens (P, K, g, g); candidate 0 is for clear prompts."""

NetworkPrompts = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
"""Points (P, N, 2), labels (P, N), boxes (P, 4), masks (P, 1, 4g, 4g), as `network_prompts` gives them."""


class PyramidGeneralist(OnDevice):
    """An encoder and a decoder that share several maps of the image, frozen.

    The encoder makes of pictures (B, 3, S, S) maps (B, K, h, w), the image tokens first, then finer ones; the decoder
    takes those of one image (K, h, w) with `NetworkPrompts` and gives `Answers`. A prompt of one point alone gets three
    candidates, all others one.
    """

    def __init__(self, info: GeneralistInfo, encoder: nn.Module, decoder: nn.Module, intake: Intake):
        self.info = info
        self.encoder = encoder
        self.decoder = decoder
        self.intake = intake

    @torch.inference_mode()
    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """The embedding of each view; at these sizes a batch gains nothing, so they go one after the other."""
        result = []
        for view in views:
            frame = self.intake.frame(view)
            maps = self.encoder(self.intake.pixels(view, frame)[None].to(self.device))
            kept = tuple(m[0].cpu().contiguous().clone() for m in maps)
            result.append(Embedding(kept, frame, self.info.fingerprint))
        return result

    @torch.inference_mode()
    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """The candidates for each prompt; raises `DataError` for prompts it was not trained on."""
        check_prompts(self.info, embedding, prompts)
        return answered(self._on, embedding, prompts, device=self.device, features=features)

    def _on(self, maps: Sequence[Tensor]) -> Decode:
        def decode(points: Tensor, labels: Tensor, boxes: Tensor | None, masks: Tensor | None) -> Answers:
            answers: Answers = self.decoder(maps, (points, labels, boxes, masks))
            return answers

        return decode


class PromptTokens(nn.Module):
    """A prompt encoder of transformers, fed with coordinates as parts of the input's side."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.encoder = encoder

    def forward(
        self,
        points: Float[Tensor, "P N 2"],
        labels: Int[Tensor, "P N"],
        boxes: Float[Tensor, "P 4"] | None = None,
        masks: Float[Tensor, "P 1 m m"] | None = None,
    ) -> tuple[Float[Tensor, "P 1 T K"], Float[Tensor, "_ K g g"], Float[Tensor, "1 K g g"]]:
        """Tokens of points and boxes, a map of the mask, and the positional encoding of the grid's cells."""
        side, grid = self.encoder.input_image_size, self.encoder.image_embedding_size[0]
        has_points = boxes is None or points.shape[1] > 0
        sparse, dense = self.encoder(
            input_points=(points * side - 0.5)[:, None] if has_points else None,
            input_labels=labels[:, None] if has_points else None,
            input_boxes=None if boxes is None else (boxes * side - 0.5)[:, None],
            input_masks=masks,
        )
        middles = (torch.arange(grid, device=points.device) + 0.5) / grid
        rows, columns = torch.meshgrid(middles, middles, indexing="ij")
        position = self.encoder.shared_embedding(torch.stack([columns, rows], -1))
        return sparse, dense, position.permute(2, 0, 1)[None]


def attended(
    transformer: Any,
    own: Float[Tensor, "O K"],
    prompt: tuple[Tensor, Tensor, Tensor],
    image: Float[Tensor, "K g g"],
) -> tuple[Float[Tensor, "P T K"], Float[Tensor, "P K g g"]]:
    """The decoder's own tokens with those of the prompts, and the image tokens, after they have met each other."""
    sparse, dense, position = prompt
    n, (k, rows, columns) = len(sparse), image.shape
    tokens, cells = transformer(
        point_embeddings=torch.cat([own.expand(n, 1, -1, -1), sparse], 2),
        image_embeddings=(image + dense).expand(n, -1, -1, -1),
        image_positional_embeddings=position.expand(n, -1, -1, -1),
        attention_similarity=None,
    )
    return tokens[:, 0], cells[:, 0].transpose(1, 2).reshape(n, k, rows, columns)
