"""A pool of common and rare looks of which common ones are labelled, and a discriminator that learns in a moment."""

import numpy as np
from embedding_worlds import SIDE, label_of, view_of_volumes

from frugalseg.learn.hardware import Hardware
from frugalseg.settings import override, parse
from frugalseg.strategies.vaal import Vaal, VaalSettings

TINY = {"side": 16, "widths": [8, 16], "hidden": 32, "latent": 8, "batch": 32, "fit.steps": 100, "fit.lr": 3e-3}
SLICES = 5


def tiny_vaal(**changes):
    """VAAL with small networks."""
    settings = parse(VaalSettings, override(VaalSettings().model_dump(), {**TINY, **changes}), where="test")
    return Vaal(settings, Hardware(device="cpu", threads=1))


def rare_looks(seed):
    """A view of twenty volumes of four looks, some slices labelled, beside two of other looks; and these two."""
    looks = [(f"p{k}", k % 4) for k in range(20)] + [("r", 5), ("s", 7)]
    looks = [looks[i] for i in np.random.default_rng(seed).permutation(len(looks))]
    common = [f"v{i:02d}" for i, (_, look) in enumerate(looks) if look < 4]
    drawn = {case: label_of((SLICES, SIDE, SIDE), 0, 3) for case in common[:8]}
    return view_of_volumes(looks, SLICES, drawn=drawn, seed=seed), {f"v{i:02d}" for i in range(22)} - set(common)
