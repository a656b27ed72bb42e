from pathlib import Path

import numpy as np
import published_layouts as layouts
import pytest
import torch
from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel

from frugalseg.errors import DataError
from frugalseg.generalists.checkpoint import read_folder
from frugalseg.generalists.generalist import View
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam2 import SIZES, sam2

PUBLISHED = {
    "t": (471, "bac6d522c4ff90fe"),
    "s": (519, "c9876e8c1ec0adc3"),
    "b+": (615, "e2d94a28cde080da"),
    "l": (903, "e5145693245ec445"),
}
"""Number and digest of the tensors of the authors' own models (sam2 1.1.0, configs/sam2.1)."""

GOLDEN = {
    "point": ([-2.8314, 1.082, 1.6307, -0.5564, -2.2776], [0.6267, 0.5103, 0.7253]),
    "several": ([1.0549, 0.0659, -3.3899, -2.1035, 0.2329], [0.6835]),
    "mask": ([0.9154, -0.7719, -3.7565, -2.666, 0.2662], [0.7784]),
}
"""Answers of the authors' own model with the weights of `fake_state`."""

TINY = layouts.TINY_HIERA
STATE = layouts.fake_state(
    layouts.sam2_layout(widths=TINY["embed_dim_per_stage"], blocks=TINY["blocks_per_stage"], window=4, background=5)
)


def full_layout(size: str) -> layouts.Layout:
    settings = SIZES[size]
    return layouts.sam2_layout(
        widths=settings.get("embed_dim_per_stage", [96, 192, 384, 768]),
        blocks=settings.get("blocks_per_stage", [1, 2, 7, 2]),
        background=settings.get("window_positional_embedding_background_size", [7])[0],
    )


def meta(layout: layouts.Layout) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape in layout.items()}


@pytest.fixture(scope="module")
def tiny():
    return sam2({"model": STATE}, layouts.info("sam2.1"), config=layouts.TINY_SAM2)


@pytest.fixture(scope="module")
def model() -> Sam2Model:
    model = Sam2Model(Sam2Config(**layouts.TINY_SAM2)).eval()
    state = layouts.fake_state({k: tuple(v.shape) for k, v in model.state_dict().items()})
    tied = "shared_image_embedding.positional_embedding"
    state["prompt_encoder.shared_embedding.positional_embedding"] = state[tied]
    model.load_state_dict(state)
    return model


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_published_layout_is_covered_key_by_key_at_full_size(size):
    layout = full_layout(size)
    assert layouts.digest(layout) == PUBLISHED[size]
    generalist = sam2({"model": meta(layout)}, layouts.info(f"sam2.1-hiera-{size}"))
    assert generalist.intake.sides == (1024,)


@pytest.mark.parametrize("name", GOLDEN)
def test_answers_are_those_of_the_authors_own_model(tiny, name):
    masks = tiny.decode(layouts.whole(tiny, layouts.PIXELS), layouts.golden_prompts()[name])
    logits, scores = layouts.sampled(masks)
    assert masks.logits.shape == (1, 3 if name == "point" else 1, 16, 16)
    assert logits == pytest.approx(GOLDEN[name][0], abs=5e-4)
    assert scores == pytest.approx(GOLDEN[name][1], abs=5e-4)


@pytest.mark.parametrize("several", [True, False])
def test_answers_are_those_of_transformers_with_the_same_weights(model, several):
    generalist = sam2(model.state_dict(), layouts.info("sam2.1"), config=layouts.TINY_SAM2)
    embedding = layouts.whole(generalist, layouts.PIXELS)
    points = np.array([[[10, 20]], [[3, 60]]] if several else [[[10, 20], [40, 5]], [[3, 60], [31, 31]]], np.float32)
    labels = np.ones(points.shape[:2], np.int64)
    ours = generalist.decode(embedding, Prompts(points, labels))
    with torch.inference_mode():
        theirs = model(
            pixel_values=layouts.PIXELS,
            input_points=torch.from_numpy(points[None, ..., ::-1].copy()),
            input_labels=torch.from_numpy(labels)[None],
            multimask_output=several,
        )
    torch.testing.assert_close(ours.logits, theirs.pred_masks[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.scores, theirs.iou_scores[0], atol=1e-4, rtol=0)


def test_the_embedding_holds_the_three_maps_of_transformers_from_coarse_to_fine(model):
    generalist = sam2(model.state_dict(), layouts.info("sam2.1"), config=layouts.TINY_SAM2)
    ours = layouts.whole(generalist, layouts.PIXELS).features
    theirs = model.get_image_embeddings(layouts.PIXELS)[::-1]
    assert [tuple(m.shape) for m in ours] == [(256, 4, 4), (64, 8, 8), (32, 16, 16)]
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other[0], atol=1e-5, rtol=0)


def test_features_are_the_image_tokens_after_the_decoders_last_layer(model):
    generalist = sam2(model.state_dict(), layouts.info("sam2.1"), config=layouts.TINY_SAM2)
    seen = []
    hook = model.mask_decoder.transformer.layers[-1].register_forward_hook(lambda _, __, out: seen.append(out[1]))
    with torch.inference_mode():
        model(pixel_values=layouts.PIXELS, input_boxes=torch.tensor([[[8.0, 5, 50, 40]]]))
    hook.remove()
    prompts = Prompts.in_boxes([5, 8, 40, 50])
    masks = generalist.decode(layouts.whole(generalist, layouts.PIXELS), prompts, features=True)
    assert masks.features.shape == (1, 256, 4, 4)
    torch.testing.assert_close(masks.features.flatten(2), seen[0][:, 0].transpose(1, 2), atol=1e-4, rtol=0)


def test_each_prompt_of_a_batch_brings_its_own_mask(tiny):
    embedding = layouts.whole(tiny, layouts.PIXELS)
    rough = np.full((2, 64, 64), -8, np.float32)
    rough[0, 10:40, 12:50] = rough[1, 30:60, 5:20] = 8
    clicks, labels = np.array([[[20.0, 20.0]], [[40.0, 10.0]]]), np.ones((2, 1), np.int64)
    both = tiny.decode(embedding, Prompts(clicks, labels, None, rough))
    second = tiny.decode(embedding, Prompts(clicks[1:], labels[1:], None, rough[1:]))
    torch.testing.assert_close(both.logits[1:], second.logits, atol=1e-4, rtol=0)


def test_a_folder_of_transformers_is_understood_also_when_it_can_do_videos(tmp_path: Path):
    config = Sam2VideoConfig(**layouts.TINY_SAM2)
    Sam2VideoModel(config).save_pretrained(tmp_path)
    settings, state = read_folder(tmp_path)
    generalist = sam2(state, layouts.info("sam2.1"), config=settings)
    embedding = generalist.embed([View(np.eye(30))])[0]
    masks = generalist.decode(embedding, Prompts.at([[3, 3]]))
    assert masks.at_image(0).shape == (30, 30)


def test_pictures_are_squashed_to_the_square(tiny):
    assert tiny.intake.frame(View(np.eye(30)[:10])).content == (64, 64)


def test_no_prompt_gives_no_mask(tiny):
    masks = tiny.decode(layouts.whole(tiny, layouts.PIXELS), Prompts.in_boxes([]), features=True)
    assert masks.logits.shape == (0, 1, 16, 16)
    assert masks.features.shape == (0, 256, 4, 4)


def test_weights_of_another_size_are_refused_by_name():
    with pytest.raises(DataError, match=r"not those of sam2.1-hiera-t: they are Hiera-S, not Hiera-T"):
        sam2(meta(full_layout("s")), layouts.info("sam2.1-hiera-t"))


def test_an_unknown_encoder_without_configuration_is_refused():
    with pytest.raises(DataError, match="no published encoder begins 16 wide and has 5 blocks"):
        sam2(STATE, layouts.info("sam2.1-hiera-t"))


@pytest.mark.parametrize("key", ["no_mem_embed", "sam_prompt_encoder.point_embeddings.3.weight"])
def test_a_missing_tensor_is_named(key):
    state = {k: v for k, v in STATE.items() if k != key}
    with pytest.raises(DataError, match=r"not those of sam2.1: .*(no_memory_embedding|point_embeddings.3)"):
        sam2(state, layouts.info("sam2.1"), config=layouts.TINY_SAM2)


def test_a_tensor_without_a_place_is_named():
    with pytest.raises(DataError, match=r"1 of \d+ tensors have no place in it, the first is 'head.weight'"):
        sam2(STATE | {"head.weight": torch.zeros(1)}, layouts.info("sam2.1"), config=layouts.TINY_SAM2)


def test_weights_of_the_first_sam_2_are_refused():
    state = {k: v for k, v in STATE.items() if k != "no_obj_embed_spatial"}
    with pytest.raises(DataError, match=r"they are of SAM 2\.0"):
        sam2(state, layouts.info("sam2.1"), config=layouts.TINY_SAM2)


def test_weights_of_something_else_are_refused():
    with pytest.raises(DataError, match="of a Hiera encoder"):
        sam2(torch.nn.Linear(2, 2).state_dict(), layouts.info("sam2.1-hiera-t"))
