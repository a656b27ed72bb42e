from pathlib import Path

import published_layouts as layouts
import pytest
import torch
from transformers import SamHQModel

from frugalseg.errors import DataError
from frugalseg.generalists.checkpoint import read_folder
from frugalseg.generalists.generalist import View
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam_hq import hq_config, sam_hq
from frugalseg.generalists.sam_vit import SIZES, sam_vit

PUBLISHED = {"b": (339, "ae860c47e4254d5d"), "l": (507, "d4c86e243ee58741"), "h": (619, "ec666352ed67c5c0")}
"""Number and digest of the tensors of the authors' own models (segment-anything-hq 0.3)."""

GOLDEN = {
    "point": ([-1.3128, 4.2166, 1.8811, 1.7463, 0.4491], [0.3031, -0.1669, 0.0528]),
    "several": ([-1.0238, 1.6965, -3.6264, 4.729, -3.6907], [-0.2145]),
    "mask": ([-0.2392, 1.0093, -1.6315, 6.9881, -3.5748], [-0.1459]),
}
"""Answers of the authors' own model with the weights of `fake_state`; several candidates get the same correction."""

CONFIG = {"vision_config": layouts.TINY_VIT}
STATE = layouts.fake_state(layouts.sam_layout(layouts.TINY_VIT, grid=4, window=3, hq=True))


@pytest.fixture(scope="module")
def tiny():
    return sam_hq(STATE, layouts.info("sam-hq"), config=CONFIG)


@pytest.fixture(scope="module")
def model() -> SamHQModel:
    model = SamHQModel(hq_config(layouts.TINY_VIT)).eval()
    state = layouts.fake_state({k: tuple(v.shape) for k, v in model.state_dict().items()})
    tied = "shared_image_embedding.positional_embedding"
    state["prompt_encoder.shared_embedding.positional_embedding"] = state[tied]
    model.load_state_dict(state)
    return model


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_published_layout_is_covered_key_by_key_at_full_size(size):
    layout = layouts.sam_layout(SIZES[size], hq=True)
    assert layouts.digest(layout) == PUBLISHED[size]
    state = {key: torch.empty(shape, device="meta") for key, shape in layout.items()}
    generalist = sam_hq(state, layouts.info(f"sam-hq-vit-{size}"))
    kept = generalist.encoder.network.parameters()
    assert sum(p.numel() for p in kept) == sum(v.numel() for v in state.values())


@pytest.mark.parametrize("name", GOLDEN)
def test_answers_are_those_of_the_authors_own_model(tiny, name):
    masks = tiny.decode(layouts.whole(tiny, layouts.PIXELS), layouts.golden_prompts()[name])
    logits, scores = layouts.sampled(masks)
    assert masks.logits.shape == (1, 3 if name == "point" else 1, 16, 16)
    assert logits == pytest.approx(GOLDEN[name][0], abs=5e-4)
    assert scores == pytest.approx(GOLDEN[name][1], abs=5e-4)


def test_embeddings_and_scores_are_those_of_transformers_with_the_same_weights(model):
    generalist = sam_hq(model.state_dict(), layouts.info("sam-hq"), config=CONFIG)
    embedding = layouts.whole(generalist, layouts.PIXELS)
    ours = generalist.decode(embedding, Prompts.in_boxes([5, 8, 40, 50]))
    with torch.inference_mode():
        box = torch.tensor([[[8.0, 5, 50, 40]]])
        theirs = model(pixel_values=layouts.PIXELS, input_boxes=box, multimask_output=False)
        tokens, _ = model.get_image_embeddings(layouts.PIXELS)
    torch.testing.assert_close(embedding.features[0], tokens[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.scores, theirs.iou_scores[0], atol=1e-4, rtol=0)


def test_the_finer_features_act_through_the_new_token_alone():
    without = {k: torch.zeros_like(v) if "hf_mlp" in k else v for k, v in STATE.items()}
    without["mask_decoder.hf_token.weight"] = torch.zeros(1, 256)
    hq = sam_hq(without, layouts.info("sam-hq"), config=CONFIG)
    prompts = Prompts.in_boxes([5, 8, 40, 50])
    other = sam_hq(without | _other_fine_features(without), layouts.info("sam-hq"), config=CONFIG)
    before, after = (g.decode(layouts.whole(g, layouts.PIXELS), prompts).logits for g in (hq, other))
    assert torch.equal(before, after)


def _other_fine_features(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    parts = ("compress_vit_feat", "embedding_encoder", "embedding_maskfeature")
    return {k: 2 * v for k, v in state.items() if any(part in k for part in parts)}


def test_a_folder_of_transformers_is_understood(model, tmp_path: Path):
    model.save_pretrained(tmp_path)
    config, state = read_folder(tmp_path)
    generalist = sam_hq(state, layouts.info("sam-hq"), config=config)
    embedding = generalist.embed([View(torch.eye(30).numpy())])[0]
    assert [tuple(f.shape) for f in embedding.features] == [(256, 4, 4), (32, 16, 16)]


def test_a_prompt_of_a_large_group_is_answered_as_if_it_were_alone(tiny):
    embedding = layouts.whole(tiny, layouts.PIXELS)
    boxes = [[k, 2, k + 20, 30] for k in range(5)]
    together = tiny.decode(embedding, Prompts.in_boxes(boxes), features=True)
    alone = tiny.decode(embedding, Prompts.in_boxes(boxes[3]), features=True)
    torch.testing.assert_close(together.logits[3:4], alone.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(together.features[3:4], alone.features, atol=1e-4, rtol=0)


def test_sam_and_sam_hq_refuse_each_others_weights():
    plain = {k: v for k, v in STATE.items() if k in layouts.sam_layout(layouts.TINY_VIT, grid=4, window=3)}
    with pytest.raises(DataError, match=r"not those of sam-hq: 25 of \d+ tensors are missing"):
        sam_hq(plain, layouts.info("sam-hq"), config=CONFIG)
    with pytest.raises(DataError, match=r"not those of sam-vit: 25 of \d+ tensors have no place in it"):
        sam_vit(STATE, layouts.info("sam-vit"), config=CONFIG)


def test_weights_of_another_size_are_refused_by_name():
    state = {k: torch.empty(s, device="meta") for k, s in layouts.sam_layout(SIZES["h"], hq=True).items()}
    with pytest.raises(DataError, match="they are a ViT-H, not a ViT-L"):
        sam_hq(state, layouts.info("sam-hq-vit-l"))


def test_an_embedding_of_other_weights_is_refused(tiny):
    embedding = layouts.whole(sam_hq(STATE, layouts.info("another"), config=CONFIG), layouts.PIXELS)
    with pytest.raises(DataError, match="made by other weights"):
        tiny.decode(embedding, Prompts.in_boxes([5, 8, 40, 50]))
