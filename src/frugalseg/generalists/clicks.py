"""`lite-medsam-clicks`: LiteMedSAM's frozen encoder with a decoder that was trained to follow clicks.

The decoder is trained by ``frugalseg adapt clicks`` and lies in this package as half precision numbers.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from frugalseg.errors import DataError
from frugalseg.files import atomic_path, fingerprint_file
from frugalseg.generalists.click_decoder import ClickDecoder
from frugalseg.generalists.generalist import Embedding, GeneralistInfo, View, check_prompts
from frugalseg.generalists.masks import Masks
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam import SamGeneralist, answered
from frugalseg.generalists.sam_decoder import Decode, SamDecoder

ADAPTER = Path(__file__).with_name("lite_medsam_clicks.safetensors")
"""The adapter that is shipped."""

POSITION = "sam.prompt_encoder.shared_embedding."
"""A fixed projection that the frozen encoder has learnt with; it stays LiteMedSAM's and is no part of an adapter."""


class ClickGeneralist:
    """Takes clicks, boxes with corrections and rough masks; boxes alone go to the published decoder.

    A first click gets three candidates, everything else one.
    """

    def __init__(self, base: SamGeneralist, decoder: ClickDecoder, *, adapter: str):
        self.base = base
        self.decoder = decoder.eval().requires_grad_(False)
        self.info = GeneralistInfo(
            "lite-medsam-clicks",
            base.info.licence,
            f"{base.info.fingerprint}-{adapter}",
            frozenset({"points", "boxes", "masks"}),
            base.info.settings,
        )

    def to(self, device: torch.device) -> None:
        """Lets the networks compute there from now on."""
        self.base.to(device)
        self.decoder.to(device)

    def embed(self, views: Sequence[View]) -> list[Embedding]:
        """LiteMedSAM's tokens and the input's pixels, which the decoder looks at too."""
        return [
            Embedding((*e.features, self.base.pixels(view, e.frame)), e.frame, self.info.fingerprint)
            for view, e in zip(views, self.base.embed(views), strict=True)
        ]

    @torch.inference_mode()
    def decode(self, embedding: Embedding, prompts: Prompts, *, features: bool = False) -> Masks:
        """The candidates for each prompt; scores are the IoU it expects."""
        check_prompts(self.info, embedding, prompts)
        is_box = prompts.kinds == {"boxes"}

        def on(maps: Sequence[Tensor]) -> Decode:
            tokens, pixels = (m[None] for m in maps)
            return self.base.decoder.on(tokens) if is_box else partial(self.decoder, tokens, pixels)

        return answered(on, embedding, prompts, device=self.base.device, features=features)


def new_click_decoder(published: SamDecoder) -> ClickDecoder:
    """A click decoder that answers as the published decoder does until it is trained."""
    decoder = ClickDecoder()
    decoder.sam.load_state_dict(published.state_dict())
    return decoder


def with_adapter(base: SamGeneralist, path: Path = ADAPTER) -> ClickGeneralist:
    """LiteMedSAM with the adapter of a file. Raises `DataError` when the file is not one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise DataError(f"{path}: there is no such click adapter; train one with: frugalseg adapt clicks")
    decoder = new_click_decoder(base.decoder)
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        _load(decoder, state)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path} is not a click adapter of this version: {reason}") from None
    return ClickGeneralist(base, decoder, adapter=fingerprint_file(path))


def save_adapter(decoder: ClickDecoder, path: Path, about: Mapping[str, str]) -> None:
    """Writes what was trained, in half precision, atomically."""
    from safetensors.torch import save_file

    state = {
        k: v.detach().cpu().half().contiguous() for k, v in decoder.state_dict().items() if not k.startswith(POSITION)
    }
    with atomic_path(path) as part:
        save_file(state, part, metadata=dict(about))


def _load(decoder: ClickDecoder, state: dict[str, Tensor]) -> None:
    kept = {k: v for k, v in decoder.state_dict().items() if k.startswith(POSITION)}
    decoder.load_state_dict(state | kept, strict=True)
