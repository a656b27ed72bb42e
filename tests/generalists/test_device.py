"""Networks compute where they are told to, and what they give lies in the CPU's memory.

There is no GPU to test on, so torch's device without memory stands for it: its operations refuse tensors of the CPU
as those of a GPU do, and what would be copied back from it is zeros.
"""

import numpy as np
import published_layouts as layouts
import pytest
import torch
from test_sam2 import STATE as SAM2
from test_sam_hq import CONFIG, STATE

from frugalseg.generalists.click_decoder import ClickDecoder
from frugalseg.generalists.clicks import ClickGeneralist
from frugalseg.generalists.generalist import View
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam import SamGeneralist
from frugalseg.generalists.sam2 import sam2
from frugalseg.generalists.sam_decoder import SamDecoder
from frugalseg.generalists.sam_hq import sam_hq
from frugalseg.generalists.tiny_sam import LITE_MEDSAM
from frugalseg.generalists.tinyvit import TinyViT, fused

ELSEWHERE = torch.device("meta")


def lite():
    return SamGeneralist(layouts.info("lite"), fused(TinyViT(stem_stride=1)), SamDecoder(), LITE_MEDSAM)


MAKERS = {
    "lite-medsam": lite,
    "lite-medsam-clicks": lambda: ClickGeneralist(lite(), ClickDecoder(), adapter="none"),
    "sam-hq": lambda: sam_hq(STATE, layouts.info("sam-hq"), config=CONFIG),
    "sam2.1": lambda: sam2({"model": SAM2}, layouts.info("sam2.1"), config=layouts.TINY_SAM2),
}

PROMPTS = {
    "box": Prompts.at(box=[8, 8, 40, 40]),
    "click": Prompts.at([[20, 20]], [1]),
    "clicks and mask": Prompts.at([[20, 20], [3, 3]], [1, 0], mask=np.zeros((64, 60))),
}


@pytest.fixture
def copied_back(monkeypatch):
    copied, real = [], torch.Tensor.cpu

    def cpu(x):
        if not x.is_meta:
            return real(x)
        copied.append(x)
        return torch.zeros(x.shape, dtype=x.dtype)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    return copied


@pytest.mark.parametrize("name", MAKERS)
def test_pictures_and_prompts_go_to_the_networks_and_answers_come_back(name, copied_back):
    generalist = MAKERS[name]()
    generalist.to(ELSEWHERE)
    embedding = generalist.embed([View(np.arange(64 * 60, dtype=np.float32).reshape(64, 60))])[0]
    assert copied_back
    assert {str(m.device) for m in embedding.features} == {"cpu"}
    for prompts in PROMPTS.values():
        copied_back.clear()
        masks = generalist.decode(embedding, prompts, features=True)
        assert copied_back
        assert {str(x.device) for x in (masks.logits, masks.scores, masks.features)} == {"cpu"}
        assert masks.at_image(0).shape == (64, 60)


def test_a_picture_that_stays_behind_is_noticed(copied_back, monkeypatch):
    generalist = lite()
    generalist.to(ELSEWHERE)
    generalist.device = torch.device("cpu")
    with pytest.raises(RuntimeError, match="device"):
        generalist.embed([View(np.zeros((64, 64), np.float32))])
