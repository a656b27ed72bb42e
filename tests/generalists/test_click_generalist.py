"""The click generalist before and after training: what it takes, what it hands on, how an adapter is kept."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from frugalseg.errors import DataError
from frugalseg.generalists.click_decoder import Details
from frugalseg.generalists.clicks import ADAPTER, ClickGeneralist, new_click_decoder, save_adapter, with_adapter
from frugalseg.generalists.generalist import GeneralistInfo, View
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam import SamGeneralist, network_prompts
from frugalseg.generalists.sam_decoder import SamDecoder
from frugalseg.generalists.tiny_sam import LITE_MEDSAM
from frugalseg.generalists.tinyvit import TinyViT, fused

PICTURE = np.random.default_rng(0).random((48, 60))


@pytest.fixture(scope="module")
def base() -> SamGeneralist:
    torch.manual_seed(0)
    info = GeneralistInfo("lite-medsam", "Apache-2.0", "0" * 16, frozenset({"boxes"}))
    return SamGeneralist(info, fused(TinyViT(stem_stride=1)), SamDecoder(), LITE_MEDSAM)


@pytest.fixture(scope="module")
def untrained(base: SamGeneralist) -> ClickGeneralist:
    return ClickGeneralist(base, new_click_decoder(base.decoder), adapter="none")


def test_an_untrained_adapter_answers_as_the_published_decoder(base, untrained):
    embedding, published = untrained.embed([View(PICTURE)])[0], base.embed([View(PICTURE)])[0]
    prompts = Prompts.at([(20, 30), (5, 5)], [1, 0], box=(10, 10, 40, 50))
    tokens = published.features[0]
    expected = base.decoder(tokens[None], *network_prompts(prompts, published.frame, tokens))[0]
    assert torch.allclose(untrained.decode(embedding, prompts).logits, expected[:, :1], atol=1e-5)


def test_a_first_click_gets_three_candidates_and_further_clicks_one(untrained):
    embedding = untrained.embed([View(PICTURE)])[0]
    assert untrained.decode(embedding, Prompts.at([(20, 30)])).logits.shape == (1, 3, 64, 64)
    assert untrained.decode(embedding, Prompts.at([(20, 30), (2, 3)], [1, 0])).logits.shape == (1, 1, 64, 64)
    assert untrained.decode(embedding, Prompts.at([(20, 30)], mask=PICTURE > 0.5)).logits.shape == (1, 1, 64, 64)


def test_a_prompt_s_answer_does_not_depend_on_its_company(untrained):
    embedding = untrained.embed([View(PICTURE)])[0]
    two, three = Prompts.at([(20, 30), (2, 3)], [1, 0]), Prompts.at([(9, 9), (8, 8), (7, 7)], [1, 1, 0])
    together = untrained.decode(embedding, Prompts.join([three, two, three]))
    assert torch.allclose(together.logits[1:2], untrained.decode(embedding, two).logits, atol=1e-6)
    assert torch.allclose(together.scores[2:], untrained.decode(embedding, three).scores, atol=1e-6)


def test_boxes_alone_are_left_to_the_published_decoder(base):
    torch.manual_seed(1)
    decoder = new_click_decoder(base.decoder)
    for parameter in decoder.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    trained = ClickGeneralist(base, decoder, adapter="other")
    boxes = Prompts.in_boxes([[10, 10, 40, 50]])
    mine = trained.decode(trained.embed([View(PICTURE)])[0], boxes)
    published = base.decode(base.embed([View(PICTURE)])[0], boxes)
    assert torch.equal(mine.logits, published.logits)


def test_details_see_a_click_where_it_is():
    torch.manual_seed(0)
    details = Details()
    torch.nn.init.normal_(details.out.weight)
    x = torch.zeros(1, 7, 64, 64)
    clicked = x.clone()
    clicked[0, 3, 20, 40] = 1
    change = (details(clicked) - details(x)).abs().sum((0, 1))
    row, column = divmod(int(change.argmax()), 64)
    assert abs(row - 20) <= 4
    assert abs(column - 40) <= 4


def test_an_adapter_comes_back_from_its_file(tmp_path, base):
    torch.manual_seed(2)
    decoder = new_click_decoder(base.decoder)
    for name, parameter in decoder.named_parameters():
        if "shared_embedding" not in name:
            parameter.data += 0.01 * torch.randn_like(parameter)
    save_adapter(decoder, tmp_path / "a.safetensors", {"seed": "0"})
    assert (tmp_path / "a.safetensors").stat().st_size < 10e6
    again = with_adapter(base, tmp_path / "a.safetensors")
    for name, value in again.decoder.state_dict().items():
        assert torch.allclose(value, decoder.state_dict()[name], rtol=1e-3, atol=2e-3), name
    assert again.info.fingerprint != base.info.fingerprint


def test_what_is_no_adapter_is_refused(tmp_path, base):
    with pytest.raises(DataError, match="no such click adapter"):
        with_adapter(base, tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(DataError, match=r"cut\.safetensors is not a click adapter"):
        with_adapter(base, tmp_path / "cut.safetensors")
    save_adapter(new_click_decoder(base.decoder), tmp_path / "a.safetensors", {})
    state = load_file(tmp_path / "a.safetensors")
    state.popitem()
    save_file(state, tmp_path / "b.safetensors")
    with pytest.raises(DataError, match="not a click adapter of this version"):
        with_adapter(base, tmp_path / "b.safetensors")


def test_the_shipped_adapter_fits_this_version_and_is_small(base):
    assert ADAPTER.stat().st_size < 10e6
    assert with_adapter(base).info.name == "lite-medsam-clicks"
