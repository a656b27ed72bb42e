"""Times a generalist on this machine: embedding at each input size, decoding, and a click until its mask is there.

python examples/generalist_speed.py lite-medsam-clicks 2        # name, CPU threads
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage

from frugalseg.generalists.generalist import Generalist, View
from frugalseg.generalists.predictor import Predictor
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.registry import build_generalist

BATCH = 32


def milliseconds(work: Callable[[], object], times: int) -> np.ndarray:
    """The time of each call but the first, which warms up."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return np.array(taken[1:])


def main(name: str = "lite-medsam-clicks", threads: str = "2") -> None:
    """Times the generalist at its three input sizes."""
    torch.set_num_threads(int(threads))
    generalist = build_generalist(name)
    prompt = boxes if name == "lite-medsam" else clicks
    print(f"{name}, {threads} threads, medians in ms")
    for side in (256, 128, 64):
        print(times_at(side, generalist, prompt))


def times_at(side: int, generalist: Generalist, prompt: Callable[[np.ndarray], Prompts]) -> str:
    """One line of medians for a picture of ``side`` pixels."""
    rng = np.random.default_rng(0)
    view = View(ndimage.gaussian_filter(rng.normal(size=(side, side)), side / 20))
    (embedding,) = generalist.embed([view])
    places = rng.uniform(0, side - 31, (BATCH, 2))
    embed = np.median(milliseconds(lambda: generalist.embed([view]), 7))
    single = np.median(milliseconds(lambda: generalist.decode(embedding, prompt(places[:1])), 15))
    batch = np.median(milliseconds(lambda: generalist.decode(embedding, prompt(places)), 3)) / BATCH
    predictor = Predictor(generalist, zoom="off").set_image(view.array)
    answer = milliseconds(lambda: predictor.segment(prompt(rng.uniform(0, side - 31, (1, 2)))).mask(0), 40)
    return (
        f"{side:4} px: embed {embed:.0f}, decode {single:.1f} alone, {batch:.1f} a prompt in batches of {BATCH}, "
        f"prompt to mask {np.median(answer):.1f}, its p95 {np.percentile(answer, 95):.1f}"
    )


def boxes(at: np.ndarray) -> Prompts:
    """One box of 31 pixels a prompt, its first corner ``at``."""
    return Prompts.in_boxes(np.concatenate([at, at + 30], 1))


def clicks(at: np.ndarray) -> Prompts:
    """One click a prompt."""
    return Prompts(at[:, None], np.ones((len(at), 1), int))


if __name__ == "__main__":
    main(*sys.argv[1:])
