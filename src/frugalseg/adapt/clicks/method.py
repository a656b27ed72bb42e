"""The click adapter learns: sessions of simulated users on encoded examples.

Segment Anything, appendix A (interactive training: the first prompt, then clicks in the error, the mask so far as a
prompt; the best of three candidates learns from an ambiguous click) and RITM (Sofiiuk et al. 2022: some rounds of a
session are played without learning, so that late corrections are learnt too).

We differ: (a) only the decoder learns, the encoder's tokens are read from disk; (b) users are noisy on purpose;
(c) boxes alone are left to the published decoder, see `frugalseg.generalists.clicks`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from frugalseg.adapt.clicks.examples import Examples
from frugalseg.adapt.clicks.session import Opening, Session
from frugalseg.data.batch import Batch
from frugalseg.data.label import UNKNOWN
from frugalseg.generalists.click_decoder import ClickDecoder
from frugalseg.seeds import stream
from frugalseg.settings import Settings


class ClickSettings(Settings):
    """What the sessions look like and how the terms are weighted."""

    openings: Mapping[Opening, float] = {"click": 0.6, "box": 0.15, "scribble": 0.1, "mask": 0.15}  # how often
    silent: tuple[int, ...] = (0, 0, 0, 1, 2, 4)  # rounds played before learning, drawn for each step
    taught: int = Field(2, ge=1)  # rounds that are learnt from
    noise: float = Field(0.5, ge=0, le=1)  # part of the users that do not click into the middle
    score: float = Field(0.5, ge=0)  # weight of the error of the predicted IoU


class Clicks(nn.Module):
    """Trains a `ClickDecoder`; a batch's cases are named FOLDER#INDEX and its label is the mask that is meant."""

    def __init__(self, decoder: ClickDecoder, examples: Mapping[str, Examples], settings: ClickSettings | None = None):
        super().__init__()
        self.decoder = decoder
        self.examples = dict(examples)
        self.settings = settings or ClickSettings()
        position = decoder.sam.prompt_encoder.shared_embedding
        position.requires_grad_(False)  # a fixed random projection in SAM; the frozen encoder has learnt with it

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Mask loss (cross-entropy + Dice of the best candidate) and the error of the scores, means over rounds."""
        settings = self.settings
        tokens = self._tokens(batch.cases).to(batch.image.device)
        rng = stream(batch.seeds[0], "sessions", step)
        kinds = list(settings.openings)
        odds = np.array([settings.openings[k] for k in kinds])
        kind = kinds[int(rng.choice(len(kinds), p=odds / odds.sum()))]
        session = Session(batch.label.cpu().numpy(), opening=kind, noise=settings.noise, seeds=batch.seeds)
        silent = int(rng.choice(settings.silent))
        rounds = []
        for k in range(silent + settings.taught):
            with torch.set_grad_enabled(k >= silent and torch.is_grad_enabled()):
                logits, scores, _ = self.decoder(tokens, batch.image, *session.prompts(batch.image.device))
                answers = slice(1, 4) if session.is_ambiguous else slice(0, 1)
                logits, scores = logits[:, answers], scores[:, answers]
                if k >= silent:
                    rounds.append(_terms(logits, scores, batch.label))
            session.answer(_chosen(logits, scores).detach())
        mask, score = (torch.stack(terms).mean() for terms in zip(*rounds, strict=True))
        return {"mask": mask, "score": settings.score * score}

    def _tokens(self, cases: Sequence[str]) -> Tensor:
        named = [case.rpartition("#") for case in cases]
        return torch.stack([self.examples[folder].tokens(int(index)) for folder, _, index in named])

    def after(self, step: int) -> None:
        """Nothing follows."""

    @property
    def predictor(self) -> nn.Module:
        """The trained decoder."""
        return self.decoder


def _chosen(logits: Tensor, scores: Tensor) -> Tensor:
    """The candidate (B, S, S) with the highest score, as a user would be shown."""
    best = scores.argmax(1)
    return logits[torch.arange(len(logits), device=logits.device), best]


def _terms(logits: Tensor, scores: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of the best candidate and squared error of all scores; logits (B, M, S, S), label (B, S, S)."""
    known = (label != UNKNOWN)[:, None]
    truth = ((label == 1)[:, None] & known).to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    entropy = (entropy * known).sum((2, 3)) / known.sum((2, 3))
    soft = logits.sigmoid() * known
    dice = 1 - (2 * (soft * truth).sum((2, 3)) + 1) / (soft.sum((2, 3)) + truth.sum((2, 3)) + 1)
    best = (entropy + dice).min(1).values.mean()
    with torch.no_grad():
        hard = (logits > 0) & known
        both = (hard & (truth > 0)).sum((2, 3))
        iou = both / (hard | (truth > 0)).sum((2, 3)).clamp(min=1)
    return best, F.mse_loss(scores, iou)
