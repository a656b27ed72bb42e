"""Generalists of SAM's make: any image encoder in front of SAM's prompt encoder and mask decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from frugalseg.generalists.frame import Frame, fit_frame, squash_frame
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, Question, Side, View, check_prompts
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.pixels import to_rgb
from frugalseg.generalists.prompts import PADDING, Prompts
from frugalseg.generalists.sam_decoder import TOKENS_A_GROUP, Decode, SamDecoder


@dataclass(frozen=True)
class Intake:
    """How a network wants its pictures: the sides of its input, the smallest first, and how pixels are scaled.

    `scale` maps the cut pixels (3, h, w), 0 to 255 without padding, to what the encoder was trained on. A network that
    was trained on squashed pictures fills its whole square; the others keep the aspect and pad.
    """

    sides: tuple[int, ...]
    scale: Callable[[Tensor], Tensor]
    squashes: bool = False

    def frame(self, view: View) -> Frame:
        """Where a view's pixels lie in the input of the side that fits them."""
        r0, c0, r1, c1 = view.window or (0, 0, *view.size)
        finest = min(view.spacing)
        extent = ((r1 - r0) * view.spacing[0] / finest, (c1 - c0) * view.spacing[1] / finest)
        side = fitting_side(extent, self.sides, least=view.least_side, most=view.most_side)
        if self.squashes:
            return squash_frame(view.size, side, window=view.window)
        return fit_frame(view.size, side, window=view.window, spacing=view.spacing)

    def pixels(self, view: View, frame: Frame) -> Tensor:
        """The scaled pixels (3, S, S) of the window with zeros as padding, as the published models were trained."""
        pixels = frame.cut(to_rgb(view.array))
        rows, columns = frame.content
        result = torch.zeros_like(pixels)
        result[:, :rows, :columns] = self.scale(pixels[:, :rows, :columns])
        return result


def spread(pixels: Tensor) -> Tensor:
    """MedSAM's scaling: the picture's own range to 0..1; a constant picture becomes 0."""
    low, high = pixels.min(), pixels.max()
    return (pixels - low) / (high - low).clamp(min=1e-8)


def standard(pixels: Tensor) -> Tensor:
    """SAM's scaling: ImageNet's mean and deviation of 0..255."""
    mean = pixels.new_tensor([123.675, 116.28, 103.53])[:, None, None]
    deviation = pixels.new_tensor([58.395, 57.12, 57.375])[:, None, None]
    return (pixels - mean) / deviation


def fitting_side(extent: tuple[float, float], sides: Sequence[int], *, least: int = 0, most: int | None = None) -> int:
    """The smallest side, not below `least`, that shows a window of that many square pixels at 0.9 of their size.

    The largest one where none does; sides above `most` are out of the question, unless all of them are.
    """
    allowed = [side for side in sorted(sides) if most is None or side <= most] or [min(sides)]
    needed = max(0.9 * max(extent), least)
    return next((side for side in allowed if side >= needed), allowed[-1])


CPU = torch.device("cpu")


class OnDevice:
    """An encoder and a decoder that compute on one device, the CPU until they are moved."""

    encoder: nn.Module
    decoder: nn.Module
    device = CPU

    def to(self, device: torch.device) -> None:
        """Lets the networks compute there from now on."""
        self.device = device
        self.encoder.to(device)
        self.decoder.to(device)


class SamGeneralist(OnDevice):
    """An encoder (B, 3, S, S) -> (B, 256, g, g) and SAM's decoder, frozen.

    A prompt of one point alone is ambiguous and gets three candidates (Segment Anything, section 3); all other prompts
    get one. `input_size` is a side of the intake, or "auto": the one that fits the picture.
    """

    decoder: SamDecoder

    def __init__(
        self,
        info: GeneralistInfo,
        encoder: nn.Module,
        decoder: SamDecoder,
        intake: Intake,
        *,
        input_size: Side = "auto",
    ):
        self.info = info
        self.encoder = encoder.eval().requires_grad_(False)
        self.decoder = decoder.eval().requires_grad_(False)
        self.intake = intake if input_size == "auto" else replace(intake, sides=(input_size,))

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides of its input, the smallest first."""
        return self.intake.sides

    @torch.inference_mode()
    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """The embedding of each view, to the same bits whatever else is embedded.

        Pictures go through the encoder one after the other: on a CPU a batch is no faster, at 64 px neither, and gives
        other last bits, so that a cache that is half filled would change results.
        """
        return [self._embedded(view, self.frame(view)) for view in views]

    def _embedded(self, view: View, frame: Frame) -> Embedding:
        tokens = self.encoder(self.pixels(view, frame)[None].to(self.device))[0]
        return Embedding((tokens.cpu().contiguous().clone(),), frame, self.info.fingerprint)

    def frame(self, view: View) -> Frame:
        """Where a view's pixels lie in the input."""
        return self.intake.frame(view)

    def pixels(self, view: View, frame: Frame) -> Tensor:
        """What the encoder is shown (3, S, S): scaled pixels of the window, zeros as padding."""
        return self.intake.pixels(view, frame)

    @torch.inference_mode()
    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """The candidates for each prompt; raises `DataError` for prompts it was not trained on."""
        check_prompts(self.info, embedding, prompts)
        return answered(self._on, embedding, prompts, device=self.device, features=features)

    @torch.inference_mode()
    def decode_many(self, questions: Sequence[Question]) -> list[Masks]:
        """What `decode` answers to each, but for the last bits.

        A prompt on a small grid costs more calls than arithmetic, so boxes on several such embeddings share a group.
        """
        grids = {embedding.features[0].shape for embedding, _ in questions}
        is_plain = all(len(prompts) and prompts.kinds == {"boxes"} for _, prompts in questions)
        if len(grids) != 1 or not is_plain or grids.pop()[1:].numel() >= TOKENS_A_GROUP:
            return [self.decode(embedding, prompts) for embedding, prompts in questions]
        for embedding, prompts in questions:
            check_prompts(self.info, embedding, prompts)
        return self._boxes_together(questions)

    def _boxes_together(self, questions: Sequence[Question]) -> list[Masks]:
        """Box by box, each on its own copy of its image's tokens."""
        counts = [len(prompts) for _, prompts in questions]
        images = torch.stack([embedding.features[0] for embedding, _ in questions]).to(self.device)
        points, labels, boxes, _ = zip(*(network_prompts(p, e.frame, images) for e, p in questions), strict=True)
        copies = images.repeat_interleave(torch.tensor(counts, device=self.device), 0)
        logits, scores, _ = self.decoder(copies, torch.cat(points), torch.cat(labels), torch.cat(boxes))
        found = zip(questions, logits[:, :1].cpu().split(counts), scores[:, :1].cpu().split(counts), strict=True)
        return [Masks(mask, score, (e.frame,) * len(p)) for (e, p), mask, score in found]

    def _on(self, maps: Sequence[Tensor]) -> Decode:
        return self.decoder.on(maps[0][None])


def answered(
    decoder: Callable[[Sequence[Tensor]], Decode],
    embedding: Embedding,
    prompts: Prompts,
    *,
    device: torch.device,
    features: bool,
) -> Masks:
    """The answer to prompts in array coordinates: candidates 1 to 3 if any is ambiguous, else candidate 0.

    `decoder` makes of an image's maps (K, h, w), on the device, what decodes prompts on it.
    """
    frame = embedding.frame
    if not len(prompts):
        return no_masks(embedding.features[0], features=features)
    maps = [m.to(device) for m in embedding.features]
    decode, tokens = decoder(maps), maps[0]
    chosen = slice(1, 4) if is_ambiguous(prompts) else slice(0, 1)
    most = max(1, TOKENS_A_GROUP // tokens[0].numel())
    groups = [(m[k : k + most], part[k : k + most]) for m, part in prompts.alike() for k in range(0, len(m), most)]
    parts = [decode(*network_prompts(part, frame, tokens)) for _, part in groups]
    order = torch.from_numpy(np.argsort(np.concatenate([members for members, _ in groups])))
    logits, scores, image_tokens = zip(*parts, strict=True)
    seen = torch.cat(image_tokens).cpu()[order] if features else None
    found = [torch.cat([one[:, chosen] for one in same]).cpu()[order] for same in (logits, scores)]
    return Masks(found[0], found[1], (frame,) * len(prompts), seen)


def no_masks(tokens: Tensor, *, features: bool) -> Masks:
    """The answer to no prompt at all, for an embedding of image tokens (C, g, g)."""
    fine = 4 * tokens.shape[-1]
    return Masks(tokens.new_zeros(0, 1, fine, fine), tokens.new_zeros(0, 1), (), tokens[None][:0] if features else None)


def is_ambiguous(prompts: Prompts) -> bool:
    """True when some prompt is one single point."""
    return prompts.kinds == {"points"} and bool(((prompts.labels != PADDING).sum(1) == 1).any())


def network_prompts(
    prompts: Prompts, frame: Frame, tokens: Tensor
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Points (P, N, 2), labels, boxes (P, 4) as (x, y) in parts of the input's side, masks (P, 1, 4g, 4g)."""

    def parts(coordinates: np.ndarray) -> Tensor:
        pairs = coordinates.reshape(len(prompts), -1, 2)[..., ::-1]
        return torch.as_tensor((pairs + 0.5) / frame.side, dtype=torch.float32, device=tokens.device)

    boxes, masks = None, None
    if prompts.boxes is not None:
        boxes = parts(frame.boxes_in(prompts.boxes)).reshape(-1, 4)
    if prompts.masks is not None:
        seen = frame.into(torch.as_tensor(prompts.masks, dtype=torch.float32, device=tokens.device), fill=0.0)
        masks = nn.functional.interpolate(seen[:, None], size=2 * [4 * tokens.shape[-1]], mode="bilinear")
    labels = torch.as_tensor(prompts.labels, dtype=torch.long, device=tokens.device)
    return parts(frame.points_in(prompts.points)), labels, boxes, masks
