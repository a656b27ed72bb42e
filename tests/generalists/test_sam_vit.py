import json
from pathlib import Path

import numpy as np
import published_layouts as layouts
import pytest
import torch
from transformers import SamConfig, SamModel

from frugalseg.errors import DataError
from frugalseg.generalists.checkpoint import built, read_folder, renamed, tensors_of
from frugalseg.generalists.generalist import View
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam_vit import SIZES, medsam, sam_vit

PUBLISHED = {"b": (314, "2a326f8855d290e0"), "l": (482, "872b3a587ece72dc"), "h": (594, "903f3a74ff76f5c2")}
"""Number and digest of the tensors of the authors' own models (segment-anything 1.0)."""

GOLDEN = {
    "point": ([0.2057, 0.004, -0.9222, -0.0233, -0.0033], [0.2737, -0.1873, 0.031]),
    "several": ([0.2494, -0.7903, 1.1711, 0.8125, -0.3024], [-0.2359]),
    "mask": ([-0.4417, -0.4954, 0.2668, -0.1505, -0.5723], [-0.0931]),
}
"""Answers of the authors' own model with the weights of `fake_state`."""

CONFIG = {"vision_config": layouts.TINY_VIT}
LAYOUT = layouts.sam_layout(layouts.TINY_VIT, grid=4, window=3)
STATE = layouts.fake_state(LAYOUT)


def transformers_model() -> SamModel:
    decoder = {"layer_norm_eps": 1e-5}
    config = SamConfig(
        vision_config=layouts.TINY_VIT, prompt_encoder_config={"image_size": 64}, mask_decoder_config=decoder
    )
    model = SamModel(config).eval()
    state = layouts.fake_state({k: tuple(v.shape) for k, v in model.state_dict().items()})
    tied = "shared_image_embedding.positional_embedding"
    state["prompt_encoder.shared_embedding.positional_embedding"] = state[tied]
    model.load_state_dict(state)
    return model


@pytest.fixture(scope="module")
def model() -> SamModel:
    return transformers_model()


@pytest.fixture(scope="module")
def tiny():
    return sam_vit(STATE, layouts.info("sam-vit"), config=CONFIG)


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_published_layout_is_covered_key_by_key_at_full_size(size):
    layout = layouts.sam_layout(SIZES[size])
    assert layouts.digest(layout) == PUBLISHED[size]
    state = {key: torch.empty(shape, device="meta") for key, shape in layout.items()}
    generalist = sam_vit(state, layouts.info(f"sam-vit-{size}"))
    kept = sum(p.numel() for part in (generalist.encoder, generalist.decoder) for p in part.parameters())
    assert kept == sum(v.numel() for v in state.values())
    assert generalist.sides == (1024,)


@pytest.mark.parametrize("name", GOLDEN)
def test_answers_are_those_of_the_authors_own_model(tiny, name):
    masks = tiny.decode(layouts.whole(tiny, layouts.PIXELS), layouts.golden_prompts()[name])
    logits, scores = layouts.sampled(masks)
    assert masks.logits.shape == (1, 3 if name == "point" else 1, 16, 16)
    assert logits == pytest.approx(GOLDEN[name][0], abs=5e-4)
    assert scores == pytest.approx(GOLDEN[name][1], abs=5e-4)


def test_answers_are_those_of_transformers_with_the_same_weights(model):
    generalist = sam_vit(model.state_dict(), layouts.info("sam-vit"), config=CONFIG)
    embedding = layouts.whole(generalist, layouts.PIXELS)
    points = np.array([[[10, 20], [40, 5]], [[3, 60], [31, 31]]], np.float32)
    labels = np.array([[1, 0], [1, 1]])
    boxes = np.array([[5, 8, 40, 50], [10, 10, 30, 60]], np.float32)
    ours = generalist.decode(embedding, Prompts(points, labels, boxes))
    theirs = model(
        pixel_values=layouts.PIXELS,
        input_points=torch.from_numpy(points[None, ..., ::-1].copy()),
        input_labels=torch.from_numpy(labels)[None],
        input_boxes=torch.from_numpy(boxes[None][..., [1, 0, 3, 2]]),
        multimask_output=False,
    )
    torch.testing.assert_close(ours.logits, theirs.pred_masks[0].detach(), atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.scores, theirs.iou_scores[0].detach(), atol=1e-4, rtol=0)


def test_features_are_the_image_tokens_after_the_decoders_last_layer(model):
    generalist = sam_vit(model.state_dict(), layouts.info("sam-vit"), config=CONFIG)
    seen = []
    hook = model.mask_decoder.transformer.layers[-1].register_forward_hook(lambda _, __, out: seen.append(out[1]))
    model(pixel_values=layouts.PIXELS, input_boxes=torch.tensor([[[8.0, 5, 50, 40]]]))
    hook.remove()
    prompts = Prompts.in_boxes([5, 8, 40, 50])
    masks = generalist.decode(layouts.whole(generalist, layouts.PIXELS), prompts, features=True)
    assert masks.features.shape == (1, 256, 4, 4)
    torch.testing.assert_close(masks.features.flatten(2), seen[0].detach()[:, 0].transpose(1, 2), atol=1e-4, rtol=0)


def test_a_folder_of_transformers_gives_the_same_as_its_model(model, tmp_path: Path):
    model.save_pretrained(tmp_path)
    config, state = read_folder(tmp_path)
    generalist = sam_vit(state, layouts.info("sam-vit"), config=config)
    with torch.inference_mode():
        theirs = model.get_image_embeddings(layouts.PIXELS)
        torch.testing.assert_close(generalist.encoder(layouts.PIXELS), theirs, atol=1e-5, rtol=0)


def test_no_prompt_gives_no_mask(tiny):
    masks = tiny.decode(layouts.whole(tiny, layouts.PIXELS), Prompts.in_boxes([]), features=True)
    assert masks.logits.shape == (0, 1, 16, 16)
    assert masks.features.shape == (0, 256, 4, 4)


def test_medsam_sees_a_picture_from_0_to_1_squashed_to_the_square():
    generalist = medsam(STATE, layouts.info("medsam", "boxes"), config=CONFIG)
    view = View(np.arange(30 * 50).reshape(30, 50))
    frame = generalist.frame(view)
    pixels = generalist.pixels(view, frame)
    assert frame.content == (64, 64)
    assert (float(pixels.min()), float(pixels.max())) == (0, 1)


def test_medsam_refuses_points():
    generalist = medsam(STATE, layouts.info("medsam", "boxes"), config=CONFIG)
    embedding = generalist.embed([View(np.eye(20))])[0]
    with pytest.raises(DataError, match="trained on boxes only"):
        generalist.decode(embedding, Prompts.at([[3, 3]]))


def test_sam_keeps_the_aspect_and_pads_with_zeros(tiny):
    view = View(np.random.default_rng(0).integers(0, 255, (20, 40, 3), np.uint8))
    frame = tiny.frame(view)
    assert frame.content == (32, 64)
    assert not tiny.pixels(view, frame)[:, 32:].any()


def test_half_precision_and_a_model_entry_are_understood():
    wrapped = {"model": {k: v.half() for k, v in STATE.items()}, "epoch": 3}
    generalist = sam_vit(wrapped, layouts.info("sam-vit"), config=CONFIG)
    assert {p.dtype for p in generalist.encoder.parameters()} == {torch.float32}


def meta(size: str) -> dict[str, torch.Tensor]:
    return {k: torch.empty(s, device="meta") for k, s in layouts.sam_layout(SIZES[size]).items()}


@pytest.mark.parametrize(("load", "name"), [(sam_vit, "sam-vit-b"), (medsam, "medsam")])
def test_weights_of_another_size_are_refused_by_name(load, name):
    with pytest.raises(DataError, match=f"not those of {name}: they are a ViT-L, not a ViT-B"):
        load(meta("l"), layouts.info(name))


def test_an_unknown_width_without_configuration_is_refused():
    with pytest.raises(DataError, match="their image encoder is 32 wide, the published ones are 768, 1024, 1280"):
        sam_vit(STATE, layouts.info("sam-vit-b"))


def test_a_missing_tensor_is_named():
    state = {k: v for k, v in STATE.items() if k != "image_encoder.blocks.1.attn.rel_pos_h"}
    with pytest.raises(DataError, match=r"1 of \d+ tensors are missing, the first is 'vision.layers.1.attn.rel_pos_h'"):
        sam_vit(state, layouts.info("sam-vit"), config=CONFIG)


@pytest.mark.parametrize("key", ["mask_decoder.hf_token.weight", "image_encoder.blocks.7.norm1.bias", "epoch"])
def test_a_tensor_without_a_place_is_named(key):
    with pytest.raises(DataError, match=r"1 of \d+ tensors have no place in it"):
        sam_vit(STATE | {key: torch.zeros(1, 256)}, layouts.info("sam-vit"), config=CONFIG)


def test_a_tensor_of_another_shape_is_named():
    key = "prompt_encoder.no_mask_embed.weight"
    with pytest.raises(DataError, match=rf"'{key}' has shape \(1, 128\), not \(1, 256\)"):
        sam_vit(STATE | {key: torch.zeros(1, 128)}, layouts.info("sam-vit"), config=CONFIG)


@pytest.mark.parametrize("content", [{}, {"model": {}}, {"a": 3}, {"model": [torch.zeros(2)]}])
def test_what_is_not_a_mapping_of_tensors_is_refused(content):
    with pytest.raises(DataError, match="not a mapping of names to tensors"):
        tensors_of(content, "sam-vit-b")


def test_weights_of_something_else_are_refused():
    with pytest.raises(DataError, match=r"neither 'image_encoder.pos_embed' nor"):
        sam_vit(torch.nn.Linear(2, 2).state_dict(), layouts.info("sam-vit-b"))


def test_two_keys_of_one_meaning_are_refused():
    with pytest.raises(DataError, match="two keys of a checkpoint have the same meaning"):
        renamed({"a.x": torch.zeros(1), "b.x": torch.zeros(1)}, [(r"^a\.", "b.")])


def test_a_built_module_is_frozen_and_in_evaluation_mode():
    module = built(lambda: torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).state_dict(), "x")
    assert not module.training
    assert not module.weight.requires_grad


def test_a_configuration_of_something_else_is_refused():
    with pytest.raises(DataError, match="the configuration is not that of sam-vit: it has no 'vision_config'"):
        sam_vit(STATE, layouts.info("sam-vit"), config={"hidden_size": 3})


def test_folders_that_lack_a_file_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no config\.json"):
        read_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds no model\.safetensors"):
        read_folder(tmp_path)


def test_a_truncated_folder_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    with pytest.raises(DataError, match="cannot be read, is it cut off"):
        read_folder(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_configuration_is_refused(tmp_path: Path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"config\.json: (not valid JSON|must hold an object)"):
        read_folder(tmp_path)


def test_a_folder_in_several_files_is_read_whole(tmp_path: Path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "one.safetensors")
    save_file({"b": torch.ones(2)}, tmp_path / "two.safetensors")
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert set(read_folder(tmp_path)[1]) == {"a", "b"}
